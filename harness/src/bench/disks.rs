//! Times writes and syncs on a plain directory and by each means of making disks fail, in turn.

use super::faults::{Times, elapsed_ms};
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use testbed::host::disk::{Disk, DiskBackend};
use testbed::host::thread::Host;

/// What is written before a sync, and what without one.
const SYNCED: [u8; 4096] = [7; 4096];
const UNSYNCED: [u8; 64] = [7; 64];
/// How many unsynced writes are timed together: reading the clock takes as long as one write.
const UNSYNCED_BATCH: u32 = 50;

/// Milliseconds for 4 KiB written and synced, and for 64 bytes written.
pub(crate) type WriteTimes = (Times, Times);

/// A file on a disk that is whole.
struct DiskBench {
    /// Nothing where it is a plain directory. It goes before the host.
    _disk: Option<Disk>,
    host: Host,
    file: Arc<File>,
    times: WriteTimes,
}

impl DiskBench {
    fn create(means: Option<DiskBackend>, place: &Path) -> Result<Self> {
        let host = Host::shared("bench")?;
        let path = place.join(means.map_or("plain".to_owned(), |means| means.to_string()));
        std::fs::create_dir_all(&path)?;
        let disk = means.map(|means| Disk::set_up(means, &host, &path)).transpose()?;
        let file = host.run(move || File::create(path.join("file")))?;
        let file = Arc::new(file.context("a file to write to cannot be made")?);
        Ok(Self { _disk: disk, host, file, times: WriteTimes::default() })
    }

    fn time_once(&mut self) -> Result<()> {
        let file = Arc::clone(&self.file);
        let (synced, unsynced) = self.host.run(move || time_write(&file))??;
        self.times.0.push(synced);
        self.times.1.push(unsynced);
        Ok(())
    }
}

fn time_write(mut file: &File) -> std::io::Result<(f64, f64)> {
    let began = Instant::now();
    file.write_all(&SYNCED)?;
    file.sync_data()?;
    let synced = elapsed_ms(began);
    let began = Instant::now();
    for _ in 0..UNSYNCED_BATCH {
        file.write_all(&UNSYNCED)?;
    }
    Ok((synced, elapsed_ms(began) / f64::from(UNSYNCED_BATCH)))
}

/// Each means that there is here, the plain directory first, and its times.
pub(crate) fn time_disks(turns: usize, place: &Path) -> Result<Vec<(String, WriteTimes)>> {
    let mut benches = vec![("a plain directory".to_owned(), DiskBench::create(None, place)?)];
    for means in [DiskBackend::Overlay, DiskBackend::Seccomp] {
        // One that this machine refuses is left out; the doctor says why.
        benches
            .extend(DiskBench::create(Some(means), place).ok().map(|it| (means.to_string(), it)));
    }
    for _ in 0..turns {
        benches.iter_mut().try_for_each(|(_, bench)| bench.time_once())?;
        benches.rotate_left(1);
    }
    // Which happens to be the order of their names.
    benches.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(benches.into_iter().map(|(name, bench)| (name, bench.times)).collect())
}
