//! Times pieces of work.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often each row is timed, and how long at most.
const TIMES: usize = 10;
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// The shortest of several times.
pub(super) fn best_time<T>(work: impl Fn() -> T) -> Duration {
    let began = Instant::now();
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
        if began.elapsed() > TIME_LIMIT {
            break;
        }
    }
    best
}

/// Work that takes this machine as long as it is slow.
pub(super) fn calibrate() -> u64 {
    (0..100_000_000_u64).fold(0, |sum, number| black_box(sum.wrapping_add(number)))
}

pub(super) fn to_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
