//! Measures how much memory a piece of work needs at its worst, as the kernel counts it.

use std::fs;

/// The result of the work, and the peak growth of this process in bytes, if the kernel reports it.
pub(super) fn measure_peak<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let before = read_status_field("VmRSS:");
    // Forgets the highest value so far.
    let reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let result = work();
    let grown =
        before.zip(read_status_field("VmHWM:")).map(|(before, peak)| peak.saturating_sub(before));
    (result, grown.filter(|_| reset))
}

fn read_status_field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
