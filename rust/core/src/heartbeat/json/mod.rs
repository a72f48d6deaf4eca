//! A heartbeat as JSON: the sixteen fields of the original with its names and units, then four of ours.
//!
//! Written from integers alone: each number is the exact value, or rounded half up at its sixth decimal, so the same bytes come out
//! on every machine. What is unknown is null.

mod out;

use super::{Heartbeat, ROLES, State, moment, number, read};
use crate::error::Result;
use out::{MILLION, Out, WIDEST};

/// States as the original calls them: it knows no worker that is only starting, and a lost one has crashed.
const WORDS: [&str; 5] = ["idle", "idle", "busy", "stopped", "crashed"];
/// Bytes that all but the texts take at most, with some to write beyond what counts.
const FRAME: usize = 768;
/// Enough for a heartbeat with usual names.
const USUAL: usize = 1_024;

/// Calls `take` with the JSON of a heartbeat's bytes: one object of sixteen fields, or twenty with `own`, UTF-8, no spaces.
///
/// Idle and busy time go on from when the worker wrote them until the heartbeat, in the state that it says. The megabyte of the
/// original is 1,048,576 bytes; CPU in percent of one core is what was spent between two readings.
pub fn json<T>(heartbeat: &[u8], own: bool, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
    let mut plain = true;
    let heartbeat = read(heartbeat, |text| {
        // Most names are ASCII without quotes. Only others are looked at byte by byte.
        if is_unusual(text) {
            std::str::from_utf8(text)?;
            plain = false;
        }
        Ok(text)
    })?;
    let [host, rest @ ..] = &heartbeat.texts;
    let texts = rest.iter().fold(2 * host.len(), |sum, text| sum + text.len());
    let needed = FRAME + texts * if plain { 1 } else { WIDEST };
    if needed <= USUAL {
        let mut room = [0; USUAL];
        let left = heartbeat.put_json(own, plain, Out(&mut room)).0.len();
        return Ok(take(&room[..USUAL - left]));
    }
    let mut room = vec![0; needed];
    let left = heartbeat.put_json(own, plain, Out(&mut room)).0.len();
    Ok(take(&room[..needed - left]))
}

/// Whether some byte is not ASCII or must be escaped: eight at a time, the last ones together with some before them.
fn is_unusual(text: &[u8]) -> bool {
    let found = if let Some(last) = text.last_chunk() {
        let words = text.as_chunks().0.iter().chain([last]);
        words.fold(0, |found, word| found | unusual(u64::from_le_bytes(*word)))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        unusual(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)))
    } else {
        text.iter().fold(0, |found, byte| found | unusual(ONES * u64::from(*byte)))
    };
    found & HIGH != 0
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// Has the highest bit of a byte set when one of eight bytes is not ASCII or must be escaped: the subtraction takes it from a byte
/// that is less, and what is not ASCII keeps it in one of the last two. Only whether there is any holds: a borrow goes on to the bytes
/// behind it.
fn unusual(word: u64) -> u64 {
    let is = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    word.wrapping_sub(ONES * 0x20) | is(b'"') | is(b'\\')
}

impl Heartbeat<[&[u8]; 6]> {
    fn put_json<'a>(&self, own: bool, plain: bool, out: Out<'a>) -> Out<'a> {
        let [host, library, connection, queue, task, job] = self.texts;
        let (written, seen) = (moment(self.written), moment(self.seen));
        let last = seen.or(written);
        let since = last.zip(written).map_or(0, |(last, written)| last.saturating_sub(written).max(0) as u64);
        let state = WORDS.get(usize::from(self.state).wrapping_sub(1)).copied().unwrap_or("");
        let role = ROLES.get(usize::from(self.role).wrapping_sub(1)).copied().unwrap_or("");
        let carried = |time: u64, on: bool| number(time).map(|time| if on { time.saturating_add(since) } else { time });
        let running = self.running > 0;

        let out = out
            .put(b"{\"worker_id\":\"")
            .name(host, plain)
            .put(b":")
            .whole(self.pid.into())
            .put(b":")
            .whole(self.start_ticks)
            .put(b"\",\"connection\":")
            .text(connection, plain)
            .put(b",\"queue\":")
            .text(queue, plain)
            .put(b",\"state\":")
            .text(state.as_bytes(), true)
            .put(b",\"last_heartbeat\":")
            .moment(last)
            .put(b",\"last_state_change\":")
            .moment(moment(self.state_changed))
            .put(b",\"current_job_id\":")
            .text(if running { job } else { b"" }, plain)
            .put(b",\"current_job_class\":")
            .text(if running { task } else { b"" }, plain)
            .put(b",\"idle_time_seconds\":")
            .millionths(carried(self.idle, state == "idle"))
            .put(b",\"busy_time_seconds\":")
            .millionths(carried(self.busy, self.state == State::Busy as u8))
            .put(b",\"jobs_processed\":")
            .known(number(self.finished))
            .put(b",\"pid\":")
            .whole(self.pid.into())
            .put(b",\"hostname\":")
            .text(host, plain)
            .put(b",\"memory_usage_mb\":")
            .millionths(number(self.rss).map(megabytes))
            .put(b",\"cpu_usage_percent\":")
            .millionths(percent(self.cpu_spent, self.cpu_over))
            .put(b",\"peak_memory_usage_mb\":")
            .millionths(number(self.rss_peak).map(megabytes));
        if !own {
            return out.put(b"}");
        }
        let elapsed = last.zip(moment(self.job_started)).filter(|_| running);
        out.put(b",\"library\":")
            .text(library, plain)
            .put(b",\"role\":")
            .text(role.as_bytes(), true)
            .put(b",\"running\":")
            .whole(self.running.into())
            .put(b",\"elapsed_seconds\":")
            .millionths(elapsed.map(|(last, started)| last.saturating_sub(started).max(0) as u64))
            .put(b"}")
    }
}

/// Bytes as millionths of a megabyte.
fn megabytes(bytes: u64) -> u64 {
    // 10^6 / 2^20 = 15625 / 2^14
    ((u128::from(bytes) * 15_625 + (1 << 13)) >> 14) as u64
}

/// CPU time over time, in millionths of a percent; more than 100 % with several threads.
fn percent(spent: u64, over: u64) -> Option<u64> {
    let (spent, over) = (number(spent)?, number(over).filter(|over| *over > 0)?);
    let rounded = |numerator: u64| Some(numerator.checked_add(over / 2)? / over);
    spent.checked_mul(100 * MILLION).and_then(rounded).or_else(|| {
        let ratio = (u128::from(spent) * 100 * u128::from(MILLION) + u128::from(over / 2)) / u128::from(over);
        Some(u64::try_from(ratio).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{NO_TIME, NO_VALUE};

    const MOMENT: i64 = 1_767_323_045_678_901; // 2026-01-02 03:04:05.678901

    fn example() -> Heartbeat {
        Heartbeat {
            state: State::Busy as u8,
            role: 2,
            pid: 4242,
            parent: 1,
            running: 1,
            worker: 1,
            start_ticks: 987_654,
            pid_namespace: 1,
            process_started: 0,
            written: MOMENT,
            job_started: MOMENT,
            busy: 2_500_000,
            idle: 7_000_001,
            finished: 17,
            failed: 3,
            rss: (20 << 20) + 4_096,
            rss_peak: 30 << 20,
            cpu: 9,
            boot: 1,
            state_changed: MOMENT - 45_678_901,
            seen: MOMENT + 10_000_000,
            cpu_spent: 15_000_001,
            cpu_over: 10_000_000,
            texts: ["web-1", "celery", "broker", "default", "app.send", "job-1"].map(String::from),
        }
    }

    fn written(heartbeat: &Heartbeat, own: bool) -> String {
        json(&heartbeat.encode(), own, |json| String::from_utf8(json.to_vec()).unwrap()).unwrap()
    }

    #[test]
    fn all_fields_are_there_with_the_names_and_units_of_the_original() {
        let original = "{\"worker_id\":\"web-1:4242:987654\",\"connection\":\"broker\",\"queue\":\"default\",\"state\":\"busy\",\
            \"last_heartbeat\":\"2026-01-02T03:04:15+00:00\",\"last_state_change\":\"2026-01-02T03:03:20+00:00\",\
            \"current_job_id\":\"job-1\",\"current_job_class\":\"app.send\",\"idle_time_seconds\":7.000001,\
            \"busy_time_seconds\":12.500000,\"jobs_processed\":17,\"pid\":4242,\"hostname\":\"web-1\",\
            \"memory_usage_mb\":20.003906,\"cpu_usage_percent\":150.000010,\"peak_memory_usage_mb\":30.000000";
        let ours = ",\"library\":\"celery\",\"role\":\"child\",\"running\":1,\"elapsed_seconds\":10.000000}";
        assert_eq!(written(&example(), false), format!("{original}}}"));
        assert_eq!(written(&example(), true), format!("{original}{ours}"));
    }

    #[test]
    fn the_longest_of_all_has_room() {
        let most = u64::MAX - 1;
        let longest = Heartbeat {
            role: 3,
            pid: u32::MAX,
            running: u32::MAX,
            start_ticks: most,
            written: 0,
            seen: 0,
            job_started: i64::MIN + 1,
            state: State::Stopped as u8,
            busy: most,
            idle: most,
            finished: most,
            rss: most,
            rss_peak: most,
            cpu_spent: most,
            cpu_over: 1,
            state_changed: 0,
            texts: [const { String::new() }; 6],
            ..example()
        };
        assert!(written(&longest, true).len() + 8 <= FRAME);
        let texts = ["\u{1f}", "\"", "é", "x", "\0", "€"].map(|text| text.repeat(1_024));
        assert!(written(&Heartbeat { texts, ..longest }, true).len() > USUAL);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let blank = Heartbeat {
            state: State::Starting as u8,
            role: 0,
            running: 0,
            written: NO_TIME,
            seen: NO_TIME,
            state_changed: i64::MAX,
            busy: NO_VALUE,
            idle: NO_VALUE,
            finished: NO_VALUE,
            rss: NO_VALUE,
            rss_peak: NO_VALUE,
            cpu_spent: NO_VALUE,
            texts: [const { String::new() }; 6],
            ..example()
        };
        assert_eq!(
            written(&blank, true),
            "{\"worker_id\":\":4242:987654\",\"connection\":null,\"queue\":null,\"state\":\"idle\",\"last_heartbeat\":null,\
             \"last_state_change\":null,\"current_job_id\":null,\"current_job_class\":null,\"idle_time_seconds\":null,\
             \"busy_time_seconds\":null,\"jobs_processed\":null,\"pid\":4242,\"hostname\":null,\"memory_usage_mb\":null,\
             \"cpu_usage_percent\":null,\"peak_memory_usage_mb\":null,\"library\":null,\"role\":null,\"running\":0,\
             \"elapsed_seconds\":null}"
        );
    }

    #[test]
    fn a_lost_worker_crashed_and_its_time_stands_still() {
        let lost = Heartbeat { state: State::Lost as u8, running: 0, job_started: NO_TIME, ..example() };
        let json = written(&lost, true);
        for part in
            ["\"state\":\"crashed\"", "\"busy_time_seconds\":2.500000,", "\"current_job_id\":null", "seconds\":null}"]
        {
            assert!(json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn of_an_idle_worker_idle_time_goes_on_and_a_clock_set_back_takes_nothing() {
        let idle = Heartbeat { state: State::Idle as u8, ..example() };
        assert!(written(&idle, false).contains("\"idle_time_seconds\":17.000001,\"busy_time_seconds\":2.500000,"));
        let back = Heartbeat { seen: MOMENT - 10, job_started: MOMENT, ..idle };
        assert!(written(&back, true).contains("\"idle_time_seconds\":7.000001,"));
        assert!(written(&back, true).ends_with("\"elapsed_seconds\":0.000000}"));
    }

    proptest! {
        #[test]
        fn any_numbers_and_texts_are_written(numbers: [u64; 8], texts: [String; 6]) {
            let [busy, idle, rss, rss_peak, cpu_spent, cpu_over, seen, written] = numbers;
            let (seen, at) = (seen as i64, written as i64);
            let any = Heartbeat { busy, idle, rss, rss_peak, cpu_spent, cpu_over, seen, written: at, texts, ..example() };
            let json = self::written(&any, true);
            prop_assert!(json.bytes().all(|byte| byte >= 0x20));
        }

        #[test]
        fn unusual_is_what_is_not_ascii_or_must_be_escaped(text in prop::collection::vec(0x20_u8..0x80, 0..70), odd: Option<(u8, usize)>) {
            let mut text = text;
            if let Some((byte, at)) = odd && !text.is_empty() {
                let at = at % text.len();
                text[at] = byte;
            }
            let expected = text.iter().any(|byte| !byte.is_ascii() || matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(is_unusual(&text), expected);
        }
    }
}
