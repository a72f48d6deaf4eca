//! `sched_getaffinity(2)`: the CPUs that this process may use.

use crate::kernel;

/// Their number. None if the kernel does not say.
pub fn cpus() -> Option<u64> {
    // A machine of more than 1,024 CPUs refuses a smaller mask.
    for words in [16_usize, 128, 1_024] {
        let mut mask = vec![0_u64; words];
        if kernel::affinity(&mut mask) {
            return Some(mask.iter().map(|word| u64::from(word.count_ones())).sum());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_standard_library_says_at_least() {
        assert!(cpus().unwrap() >= std::thread::available_parallelism().unwrap().get() as u64);
    }
}
