//! Says what was measured on, so that figures can be read elsewhere.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many synchronous writes are timed.
const SYNCS: usize = 200;

/// What this machine is and does right now.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Machine {
    /// Processors that this process may use.
    pub(crate) cores: usize,
    /// The processor's own name.
    pub(crate) model: String,
    /// The load average of the last minute.
    pub(crate) load: f64,
    /// The middle time of a synchronous write of 256 bytes, in milliseconds.
    pub(crate) sync_ms: f64,
}

impl Machine {
    /// Looks, and tries the disk under that directory.
    pub(crate) fn inspect(directory: &Path) -> io::Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            sync_ms: median_sync_time(directory)?.as_secs_f64() * 1e3,
        })
    }

    /// The same in a line.
    pub(crate) fn to_text(&self) -> String {
        let Self { cores, model, load, sync_ms } = self;
        format!("{cores} cores of {model}, load {load:.2}, fdatasync of 256 B {sync_ms:.3} ms")
    }
}

/// The middle time of a small durable write.
fn median_sync_time(directory: &Path) -> io::Result<Duration> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 256])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}
