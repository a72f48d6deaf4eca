//! The heartbeat: `docs/journal-format.md`, section 5.1.

use queue_metrics_core::heartbeat::{FIXED, Heartbeat, json};
use queue_metrics_core::journal::format::{NO_TIME, NO_VALUE};

use super::Target;

pub const TARGET: Target = Target { name: "heartbeat", longest: 4_096, bytes: 16_384, bytes_each: 8, run, seeds };

fn run(input: &[u8]) {
    check(input);
    let mut sound = input.to_vec();
    sign(&mut sound);
    check(&sound);
}

fn check(bytes: &[u8]) {
    let text = json(bytes, true, |text| String::from_utf8(text.to_vec()).unwrap());
    assert_eq!(text.is_ok(), Heartbeat::decode(bytes).is_ok());
    if let Ok(text) = text {
        assert!(text.bytes().all(|byte| byte >= b' '), "control characters are escaped");
    }
    if let Ok(heartbeat) = Heartbeat::decode(bytes) {
        let again = heartbeat.encode();
        // Behind the texts lie bytes of newer versions; nothing is cut that was within its limit.
        assert!(bytes.starts_with(&again));
        assert_eq!(Heartbeat::decode(&again).unwrap(), heartbeat);
    }
}

/// Makes the fixed part one of version 1.
pub fn sign(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(FIXED), 0);
    bytes[..2].copy_from_slice(&1_u16.to_le_bytes());
    bytes[2] = 1 + bytes[2] % 5;
}

/// A worker that executes.
pub fn example() -> Heartbeat {
    Heartbeat {
        state: 3,
        role: 2,
        pid: 4242,
        parent: 4200,
        running: 1,
        worker: 0x1111,
        start_ticks: 987_654,
        pid_namespace: 4_026_531_836,
        process_started: 1,
        written: 2,
        job_started: NO_TIME,
        state_changed: 2,
        busy: 3,
        idle: 4,
        finished: 5,
        failed: 1,
        rss: 6,
        rss_peak: NO_VALUE,
        cpu: 7,
        boot: 8,
        seen: NO_TIME,
        cpu_spent: 9,
        cpu_over: NO_VALUE,
        texts: ["host", "celery", "redis://", "default", "app.sénd", "job-1"].map(str::to_owned),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let empty = Heartbeat { texts: [const { String::new() }; 6], ..example() };
    // Longer than any limit, so that it is cut; with as much again behind it, since what is written at the limit may change to more.
    let longest = Heartbeat { texts: std::array::from_fn(|_| "é".repeat(600)), ..example() };
    let behind = vec![b'x'; 1_200];
    vec![
        example().encode(),
        empty.encode(),
        [empty.encode(), vec![1; 40]].concat(),
        [longest.encode(), behind].concat(),
    ]
}
