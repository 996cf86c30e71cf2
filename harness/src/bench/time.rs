//! Counts the time of processors, from `/proc`.

/// The kernel's ticks in a second, on every architecture that Linux runs on today.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// The processor time that this process has used, all threads, in seconds.
pub(super) fn process_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    parse_cpu_ticks(&stat).unwrap_or(0.0) / TICKS_PER_SECOND
}

/// User and system time of proc(5), whose second field may hold spaces.
fn parse_cpu_ticks(stat: &str) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        assert_eq!(parse_cpu_ticks("42 (a) b) T 1 42 42 0 -1 4 1 2 3 4 50 60 7 8"), Some(110.0));
        assert_eq!(parse_cpu_ticks("42 (a"), None);
        std::hint::black_box((0..50_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
        assert!(process_cpu_seconds() > 0.0);
    }
}
