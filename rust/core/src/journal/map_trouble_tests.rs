//! A map against real troubles: other processes cut, move and delete its file, take its signal over, and fill its disk.

#![expect(unsafe_code, reason = "forks writers")]

use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::AtomicI64;

use super::*;
use crate::journal::dropped::Dropped;

const SECOND: i64 = 1_000_000;

/// Runs a command of the shell as a process of its own.
fn shell(command: &str) {
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
}

/// In a forked child, which must leave by `_exit`: its wait status.
fn in_child(work: impl FnOnce()) -> libc::c_int {
    // SAFETY: the child uses no lock that another thread of the tests may hold, and leaves by _exit.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            work();
            libc::_exit(0);
        }
        let mut status = -1;
        libc::waitpid(child, &mut status, 0);
        status
    }
}

#[test]
fn a_file_that_others_cut_kills_nobody_and_what_comes_after_is_there() {
    let scratch = Scratch::directory();
    let journal = journal(scratch.path(), 64 << 10);
    let (now, stopped) = (AtomicI64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u64)
            .map(|thread| {
                let (journal, now, stopped) = (&journal, &now, &stopped);
                scope.spawn(move || {
                    let identity = Identity::of_this_process();
                    let mut number = 0;
                    while !stopped.load(Ordering::Relaxed) {
                        number += 1;
                        let record = stop(now.load(Ordering::Relaxed), thread << 32 | number);
                        journal.append(&identity, |current| current.append_payload(&record)).unwrap();
                        if number % 512 == 0 {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for turn in 0..20 {
            let Some(current) = journal.segment() else { continue };
            let file = scratch.path().join(format!("{}.seg", current.id));
            // To nothing, to the header, to the middle of a page, and to nothing and back, which leaves a hole.
            let command = match turn % 4 {
                0 => format!(": > {0}", file.display()),
                1 => format!("truncate -s 4096 {0}", file.display()),
                2 => format!("truncate -s 9000 {0}", file.display()),
                _ => format!("truncate -s 0 {0}; truncate -s 65536 {0}", file.display()),
            };
            shell(&command);
            now.fetch_add(SECOND, Ordering::Relaxed);
        }
        stopped.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    // A second later whoever was cut has noticed.
    now.fetch_add(SECOND, Ordering::Relaxed);
    let identity = Identity::of_this_process();
    for worker in 0..1_000 {
        let record = stop(now.load(Ordering::Relaxed), 9 << 32 | worker);
        journal.append(&identity, |current| current.append_payload(&record)).unwrap();
    }
    let mut last: Vec<u64> = written(scratch.path()).into_iter().filter(|key| key >> 32 == 9).collect();
    last.sort_unstable();
    assert_eq!(last, (0..1_000).map(|worker| 9 << 32 | worker).collect::<Vec<_>>());
    for entry in fs::read_dir(scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(Opened::Readable(reader)) = SegmentReader::open(&path) {
            assert!(!reader.records(0, u64::MAX).any(|slot| matches!(slot.unwrap().1, Slot::Damaged)));
        }
    }
}

#[test]
fn an_append_after_the_cut_is_not_lost_even_before_anybody_asked() {
    let scratch = Scratch::directory();
    let journal = journal(scratch.path(), 64 << 10);
    let identity = Identity::of_this_process();
    let append = |worker| journal.append(&identity, |current| current.append_payload(&stop(0, worker))).unwrap();
    append(1);
    shell(&format!("truncate -s 0 {}/*.seg", scratch.path().display()));
    append(2);
    assert_eq!(written(scratch.path()), [2]);
}

#[test]
fn a_file_that_others_empty_move_replace_or_delete_is_left_within_a_second() {
    let scratch = Scratch::directory();
    let journal = journal(scratch.path(), 64 << 10);
    let identity = Identity::of_this_process();
    let directory = scratch.path().display();
    let commands = [
        format!("for f in {directory}/*.seg; do size=$(stat -c %s $f); truncate -s 0 $f; truncate -s $size $f; done"),
        format!("rm {directory}/*.seg"),
        format!("cd {directory} && mv *.seg moved"),
        format!("cd {directory} && for f in *.seg; do cp $f copy; mv copy $f; done && : > $f"),
        format!("rm -r {directory}"),
    ];
    for (turn, command) in commands.iter().enumerate() {
        let at = turn as i64 * 10 * SECOND;
        journal.append(&identity, |current| current.append_payload(&stop(at, 1))).unwrap();
        shell(command);
        journal.append(&identity, |current| current.append_payload(&stop(at + SECOND / 2, 2))).unwrap();
        journal.append(&identity, |current| current.append_payload(&stop(at + SECOND, 3))).unwrap();
        journal.append(&identity, |current| current.append_payload(&stop(at + SECOND, 4))).unwrap();
        assert_eq!(written(scratch.path()), [3, 4], "{command}");
    }
}

#[test]
fn a_bus_error_that_is_not_ours_still_ends_the_process() {
    let scratch = Scratch::directory();
    let (segment, _) = made(&scratch, 8_192);
    let file = fs::File::options().read(true).write(true).create_new(true).open(scratch.path().join("other")).unwrap();
    file.set_len(4_096).unwrap();
    let store = || {
        // SAFETY: a mapping of the child's own, in which it stores one byte behind the end of the file.
        unsafe {
            let map = libc::mmap(std::ptr::null_mut(), 4_096, libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0);
            libc::ftruncate(file.as_raw_fd(), 0);
            map.cast::<u8>().write_volatile(1);
        }
    };
    let status = in_child(store);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGBUS, "{status}");
    segment.append(&stop(0, 1)).unwrap();
}

#[test]
fn a_program_that_takes_the_signal_over_gets_no_more_maps() {
    let scratch = Scratch::directory();
    let (segment, _) = made(&scratch, 8_192);
    let status = in_child(|| {
        // SAFETY: the child takes the signal for itself.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        let far = segment.checked_at.load(Ordering::Relaxed) + SECOND;
        let ended = matches!(segment.append(&stop(far, 1)), Err(Refused::Ended));
        let spool = Spool::open(scratch.path(), Owners::User);
        let refused = spool.and_then(|spool| MapSegment::create(&spool, &Identity::of_this_process(), 8_192)).is_err();
        // SAFETY: leaves the child.
        unsafe { libc::_exit(if ended && refused { 7 } else { 8 }) };
    });
    assert_eq!(libc::WEXITSTATUS(status), 7, "{status}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2, "a temporary file stayed");
}

#[test]
fn a_limit_of_file_sizes_leads_to_the_other_way_and_not_to_a_signal() {
    let scratch = Scratch::directory();
    let status = in_child(|| {
        let limit = libc::rlimit { rlim_cur: 20_000, rlim_max: 20_000 };
        // SAFETY: the kernel reads one rlimit.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
        let journal = journal(scratch.path(), 64 << 10);
        let identity = Identity::of_this_process();
        let written = journal.append(&identity, |current| current.append_payload(&stop(0, 1)));
        let way = journal.segment().map(|segment| segment.way);
        // SAFETY: leaves the child.
        unsafe { libc::_exit(if written.is_ok() && way == Some(Way::Write) { 7 } else { 8 }) };
    });
    assert_eq!(libc::WEXITSTATUS(status), 7, "{status}");
    assert_eq!(written(scratch.path()), [1]);
}

#[test]
fn a_disk_that_is_full_drops_records_with_their_reason_and_takes_the_next_ones() {
    let scratch = Scratch::directory();
    let directory = scratch.path().display().to_string();
    // In a mount namespace of its own, which root and unprivileged users may have: this very test again, on a small file system.
    if std::env::var_os("QM_SMALL_DISK").is_none() {
        let name = "journal::map_segment::tests::trouble::a_disk_that_is_full_drops_records_with_their_reason_and_takes_the_next_ones";
        let mounted = "mount -t tmpfs -o size=100k none \"$1\" && exec \"$0\" --exact \"$2\"";
        let status = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", mounted])
            .arg(std::env::current_exe().unwrap())
            .args([&directory, name])
            .env("QM_SMALL_DISK", &directory)
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let spool = PathBuf::from(std::env::var_os("QM_SMALL_DISK").unwrap());
    let journal = journal(&spool, 64 << 10);
    let identity = Identity::of_this_process();
    let append = |worker| journal.append(&identity, |current| current.append_payload(&stop(0, worker)));
    append(0).unwrap();
    assert_eq!(journal.segment().unwrap().way, Way::Map);
    shell(&format!("dd if=/dev/zero of={0}/ballast bs=4096 2>/dev/null || true", spool.display()));
    // The first segment was given all its room; no second one can be made, of either way.
    let taken = (1..5_000).take_while(|worker| append(*worker).is_ok()).count() as u64;
    assert_eq!(taken, 959);
    assert_eq!(append(1), Err(Dropped::DiskFull));
    fs::remove_file(spool.join("ballast")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while append(5_000).is_err() {
        assert!(std::time::Instant::now() < deadline, "there is room again");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(written(&spool).len(), 961);
    assert_eq!(journal.segment().unwrap().way, Way::Write, "the little room is not enough for a map");
    assert!(journal.segment().unwrap().why.contains("No space"), "{:?}", journal.segment());
}
