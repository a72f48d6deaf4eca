//! The limit of open descriptors is the program's: sysinfo before 0.40 raised it, and a child then closes a million numbers.

#![cfg_attr(unix, expect(unsafe_code, reason = "sets a limit of the process"))]

/// The limits as they were; put back when dropped.
#[must_use]
pub struct DescriptorLimit(Option<Limit>);

#[cfg(unix)]
type Limit = libc::rlimit;
#[cfg(not(unix))]
type Limit = ();

impl DescriptorLimit {
    /// Remembers them.
    pub fn kept() -> DescriptorLimit {
        DescriptorLimit(read())
    }
}

impl Drop for DescriptorLimit {
    fn drop(&mut self) {
        if let Some(limit) = &self.0 {
            write(limit);
        }
    }
}

#[cfg(unix)]
fn read() -> Option<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which is ours.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0).then_some(limit)
}

#[cfg(unix)]
fn write(before: &Limit) {
    let changed = read().is_none_or(|now| now.rlim_cur != before.rlim_cur || now.rlim_max != before.rlim_max);
    if changed {
        // SAFETY: the kernel reads one rlimit, which is ours.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, before) };
    }
}

#[cfg(not(unix))]
fn read() -> Option<Limit> {
    None
}

#[cfg(not(unix))]
fn write(_before: &Limit) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a child: the limits are those of the whole process, and other tests open files.
    #[test]
    fn a_limit_that_was_changed_in_between_is_put_back() {
        // SAFETY: the child makes system calls only and leaves by _exit.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                let before = read().unwrap_unchecked();
                let kept = DescriptorLimit::kept();
                libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: before.rlim_cur - 1, ..before });
                let lowered = read().unwrap_unchecked().rlim_cur == before.rlim_cur - 1;
                drop(kept);
                let put_back = read().unwrap_unchecked().rlim_cur == before.rlim_cur;
                libc::_exit(i32::from(!(lowered && put_back)));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(status, 0);
    }
}
