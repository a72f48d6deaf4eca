//! Folds 10^6 records of 20 tasks into the rows of batches, again and again; prints ns of CPU a record of each round. For benches.

use std::io::{self, Write};
use std::sync::Arc;

use queue_metrics_core::fold::{Fold, Series, ServerTask, Task};
use queue_metrics_core::journal::format::{End, Outcome, Start};
use queue_metrics_core::names::{SERVER, TASK, label_list};
use queue_metrics_core::sampling::clock::process_cpu_ns;

const RECORDS: usize = 1_000_000;
const TASKS: usize = 20;
/// Series of a batch, as the drainer asks for.
const SERIES: usize = 100;
/// A thousand jobs a second, as the drainer is measured at.
const APART: i64 = 1_000;

/// Executions as a worker records them: times and memory of all sizes, one in twenty fails.
fn executions(count: usize) -> Vec<(usize, Start, End)> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|number| {
            let (task, key) = ((draw() % TASKS as u64) as usize, number as u64 + 1);
            let at = 1_760_000_000_000_000 + number as i64 * APART;
            // Within three powers of two of each task's own, as run times are.
            let of_task = 1_u64 << (12 + task % 8);
            let (runtime, wait) = (of_task + draw() % (7 * of_task), draw() % 2_000_000);
            let cpu = runtime - draw() % (runtime / 2);
            let start =
                Start { attempt: 0, at, key, task: task as u64, job: draw(), ready_at: at - wait as i64, worker: 9 };
            let failed = draw() % 20 == 0;
            let end = End {
                outcome: if failed { Outcome::Failed } else { Outcome::Succeeded } as u16,
                flags: 0,
                at: at + runtime as i64,
                key,
                runtime: runtime * 1_000,
                cpu: cpu * 1_000,
                rss_peak: 50_000 + (draw() % 100_000) as u32,
                rss_change: (draw() % 200) as i32,
                exception: 0,
                worker: 9,
            };
            (task, start, end)
        })
        .collect()
}

/// Folds all and packs the rows of each batch; how many bytes that were.
fn folded(tasks: &[Arc<ServerTask>], executions: &[(usize, Start, End)]) -> Result<usize, Box<dyn std::error::Error>> {
    let mut bytes = 0;
    let mut fold = Fold::new(SERIES);
    let mut pack = |fold: &mut Fold| -> Result<(), Box<dyn std::error::Error>> {
        let rows = std::mem::replace(fold, Fold::new(SERIES)).rows()?;
        bytes += rows.iter().map(|row| row.value.len()).sum::<usize>();
        Ok(())
    };
    for (task, start, end) in executions {
        let task = &tasks[*task];
        while !fold.start(task, start) {
            pack(&mut fold)?;
        }
        let outcome = if end.outcome == Outcome::Failed as u16 { Outcome::Failed } else { Outcome::Succeeded };
        while !fold.end(task, None, outcome, end) {
            pack(&mut fold)?;
        }
    }
    pack(&mut fold)?;
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse())?;
    let tasks: Vec<Arc<ServerTask>> = (0..TASKS)
        .map(|number| {
            let labels = ["bench", ["default", "mail", "slow"][number % 3], &format!("app.task{number}")];
            let task = Task::new(Some(&label_list(TASK, &labels).into()));
            Arc::new(ServerTask::new(Arc::new(task), Series::new(SERVER, &["host"])))
        })
        .collect();
    let executions = executions(RECORDS / 2);
    for _ in 0..rounds {
        let begin = process_cpu_ns().ok_or("no clock")?;
        let bytes = folded(&tasks, &executions)?;
        let taken = process_cpu_ns().ok_or("no clock")? - begin;
        writeln!(io::stdout(), "{:.3} {bytes}", taken as f64 / RECORDS as f64)?;
    }
    Ok(())
}
