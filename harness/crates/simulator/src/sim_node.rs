//! Runs one replica: the node's own runtime and log store, over a disk that loses what was not
//! synced.
//!
//! The sync of the storage thread takes simulated time. What waits when it begins is one batch; the
//! log store writes the batch when the time is over, or as much of it as a loss of power allows.

use super::setting::Micros;
use node::raft::{Config, Input, Persist, ServerId, Stored};
use node::runtime::{
    LogStore, LogWrite, MAX_BATCH_WRITES, MemoryDisk, OpenError, Output, Runtime, RuntimeConfig,
};
use std::time::Duration;

/// How a simulated client is found again: the number of its call.
pub(super) type CallNumber = u64;

/// One replica and its disk.
pub(super) struct SimNode {
    config: Config,
    /// How often it has started; events meant for an earlier start are dropped.
    pub(super) incarnation: u64,
    process: Option<Process>,
    /// The disk, while no process uses it.
    disk: MemoryDisk,
    /// The ticks that passed while it was paused.
    missed_ticks: u64,
}

/// What a crash takes away.
struct Process {
    runtime: Runtime<CallNumber>,
    log: LogStore<MemoryDisk>,
    /// Writes that wait for the next sync.
    waiting: Vec<LogWrite>,
    /// The writes of the sync under way.
    syncing: Option<Vec<LogWrite>>,
}

/// A log that was recovered and not started yet.
pub(super) struct RecoveredLog {
    log: LogStore<MemoryDisk>,
    pub(super) stored: Stored,
}

impl SimNode {
    /// A replica with an empty disk, not started yet.
    pub(super) fn new(config: Config) -> Self {
        let disk = MemoryDisk::default();
        Self { config, incarnation: 0, process: None, disk, missed_ticks: 0 }
    }

    pub(super) fn id(&self) -> ServerId {
        self.config.id
    }

    /// Its runtime, if it runs.
    pub(super) fn runtime(&self) -> Option<&Runtime<CallNumber>> {
        self.process.as_ref().map(|process| &process.runtime)
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Recovers the log from the disk.
    pub(super) fn recover_log(&mut self) -> Result<RecoveredLog, OpenError> {
        let owner = format!("n{}", self.id());
        let disk = std::mem::take(&mut self.disk);
        let (log, mut recovery) = LogStore::open(disk, (&owner, 1), self.config.bugs)?;
        Ok(RecoveredLog { log, stored: recovery.stored.remove(0) })
    }

    /// Starts from what was recovered.
    pub(super) fn start_runtime(&mut self, recovered: RecoveredLog) -> Result<(), String> {
        let RecoveredLog { log, stored } = recovered;
        self.incarnation += 1;
        self.missed_ticks = 0;
        let seed = self.config.seed.wrapping_add(self.incarnation << 20);
        let config = RuntimeConfig {
            raft: Config { seed, ..self.config.clone() },
            group: 0,
            groups: 1,
            start: log.end(),
            election: Duration::ZERO,
        };
        let runtime = Runtime::new(config, stored)?;
        self.process = Some(Process { runtime, log, waiting: Vec::new(), syncing: None });
        Ok(())
    }

    /// Loses power in the middle of what the disk does; `draw(n)` chooses a number of `0 .. n`.
    pub(super) fn lose_power(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        let Some(Process { mut log, syncing, .. }) = self.process.take() else { return };
        if let Some(batch) = syncing {
            // A batch is an append and a sync; a cut of the log takes a dozen operations more.
            let cuts = batch.iter().any(|write| write.persist.start.is_some());
            log.disk_mut().fail_after(draw(if cuts { 16 } else { 3 }));
            let _ = log.persist_writes(batch);
        }
        self.disk = log.into_disk();
        self.disk.lose_power(draw);
    }

    /// Counts a tick that passes while it is paused.
    pub(super) fn miss_tick(&mut self) {
        self.missed_ticks += 1;
    }

    /// Runs one step, after it was told how long it was paused.
    pub(super) fn with_runtime(&mut self, now: Micros, act: impl FnOnce(&mut Runtime<CallNumber>)) {
        let Some(process) = &mut self.process else { return };
        let now = Duration::from_micros(now);
        process.runtime.set_time(now, now);
        let ticks = std::mem::take(&mut self.missed_ticks);
        if ticks > 0 {
            process.runtime.step(Input::MissedTicks { ticks });
        }
        act(&mut process.runtime);
    }

    /// Moves what its environment has to do into the empty vector `outputs`.
    pub(super) fn take_outputs(&mut self, outputs: &mut Vec<Output<CallNumber>>) {
        let Some(process) = &mut self.process else { return };
        while process.runtime.has_undelivered() {
            process.runtime.step(Input::Continue);
        }
        process.runtime.swap_outputs(outputs);
    }

    /// Queues a write for the next sync.
    pub(super) fn queue_write(&mut self, persist: Persist) {
        if let Some(process) = &mut self.process {
            process.waiting.push(LogWrite { group: 0, persist });
        }
    }

    /// Begins a sync where writes wait and none is under way; whether it did.
    pub(super) fn begin_sync(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let begins = process.syncing.is_none() && !process.waiting.is_empty();
        if begins {
            let count = process.waiting.len().min(MAX_BATCH_WRITES);
            process.syncing = Some(process.waiting.drain(..count).collect());
        }
        begins
    }

    /// Ends the sync under way: the greatest write that is durable now.
    pub(super) fn end_sync(&mut self) -> Option<u64> {
        let process = self.process.as_mut()?;
        let batch = process.syncing.take()?;
        let sequence = batch.last()?.persist.sequence;
        process.log.persist_writes(batch).expect("a simulated disk fails at crashes only");
        Some(sequence)
    }
}
