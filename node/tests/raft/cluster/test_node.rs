//! Runs the core over the node's own log store: writes wait until the test makes them durable, and
//! messages wait for them.
//!
//! The test decides every effect, and its commands are plain text. So this is no
//! [`node::runtime::Runtime`], which has a key-value store and answers clients.

use node::bug::BugSet;
use node::raft::invariants::ServerView;
use node::raft::{Config, Effect, Entry, Input, Membership, Persist, Position, Raft, Snapshot};
use node::runtime::{LogStore, LogWrite, MemoryDisk};
use std::collections::VecDeque;

/// One server and its disk.
pub(crate) struct TestNode {
    config: Config,
    raft: Option<Raft>,
    /// The log, while the server runs.
    log: Option<LogStore<MemoryDisk>>,
    /// The disk, while it does not.
    disk: MemoryDisk,
    writes: VecDeque<Persist>,
    /// Messages that wait for a write.
    held: Vec<Effect>,
    durable: u64,
    applied: Vec<Entry>,
    /// The snapshot that was asked for.
    taken: Option<Position>,
}

impl TestNode {
    /// A server that starts with an empty disk.
    pub(crate) fn new(config: Config) -> Self {
        let mut node = Self {
            config,
            raft: None,
            log: None,
            disk: MemoryDisk::default(),
            writes: VecDeque::new(),
            held: Vec::new(),
            durable: 0,
            applied: Vec::new(),
            taken: None,
        };
        node.restart();
        node
    }

    /// What it shows, if it runs.
    pub(crate) fn server_view(&self) -> Option<ServerView<'_>> {
        self.raft.as_ref().map(ServerView::from_raft)
    }

    /// The members as it knows them, if it runs.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.raft.as_ref().map(Raft::membership)
    }

    /// What it has applied since it started.
    pub(crate) fn applied(&self) -> &[Entry] {
        &self.applied
    }

    /// How many writes wait.
    pub(crate) fn pending_writes(&self) -> usize {
        self.writes.len()
    }

    /// Takes an input, unless it is stopped; returns what can be seen of that.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(raft) = &mut self.raft {
            raft.step(input, &mut effects);
        }
        let mut seen: Vec<_> =
            effects.into_iter().filter_map(|effect| self.carry_out(effect)).collect();
        if let Some(last) = self.taken.take() {
            let data = postcard::to_allocvec(&self.applied).expect("plain data");
            seen.extend(self.step(Input::SnapshotTaken { last, data }));
        }
        seen
    }

    /// Makes the first `count` waiting writes durable; returns what that sets free.
    pub(crate) fn persist(&mut self, count: usize) -> Vec<Effect> {
        self.write_batch(count);
        let mut free = self.release_messages();
        free.extend(self.step(Input::Persisted { sequence: self.durable }));
        free
    }

    /// Loses power; of the writes that wait, the first `survive` reach the disk.
    pub(crate) fn crash(&mut self, survive: usize) {
        self.write_batch(survive);
        self.writes.clear();
        self.held.clear();
        self.raft = None;
        if let Some(log) = self.log.take() {
            self.disk = log.into_disk();
            self.disk.lose_power(&mut |_| 0);
        }
    }

    /// Stops, and nothing is left on the disk.
    pub(crate) fn wipe(&mut self) {
        self.crash(0);
        self.disk = MemoryDisk::default();
    }

    /// Starts from the disk.
    pub(crate) fn restart(&mut self) {
        let disk =
            self.log.take().map_or_else(|| std::mem::take(&mut self.disk), LogStore::into_disk);
        let owner = format!("n{}", self.config.id);
        let (log, mut recovery) = LogStore::open(disk, (&owner, 1), BugSet::default())
            .expect("a crash leaves a disk that can be read");
        let stored = recovery.stored.remove(0);
        self.log = Some(log);
        self.applied = stored.snapshot.as_ref().map(decode_contents).unwrap_or_default();
        self.durable = 0;
        self.config.seed = self.config.seed.wrapping_add(0x1_0000);
        self.raft = Some(Raft::new(self.config.clone(), stored));
    }

    fn write_batch(&mut self, count: usize) {
        let count = count.min(self.writes.len());
        let mut batch = Vec::new();
        for persist in self.writes.drain(..count) {
            assert!(persist.sequence > self.durable, "writes are numbered upwards");
            self.durable = persist.sequence;
            batch.push(LogWrite { group: 0, persist });
        }
        if let Some(log) = &mut self.log {
            log.persist_writes(batch).expect("the disk works");
        }
    }

    fn release_messages(&mut self) -> Vec<Effect> {
        let durable = self.durable;
        let free =
            |effect: &mut Effect| matches!(effect, Effect::Send { after, .. } if *after <= durable);
        self.held.extract_if(.., free).collect()
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Persist(ref write) => self.writes.push_back(write.clone()),
            Effect::Send { after, .. } if after > self.durable => {
                self.held.push(effect);
                return None;
            }
            Effect::Commit { ref entries } => {
                for entry in entries {
                    assert_eq!(
                        entry.index,
                        self.applied.len() as u64 + 1,
                        "commits follow without gaps"
                    );
                    self.applied.push(entry.clone());
                }
            }
            Effect::TakeSnapshot { last } => self.taken = Some(last),
            Effect::Restore { ref snapshot } => self.applied = decode_contents(snapshot),
            _ => {}
        }
        Some(effect)
    }
}

/// What was applied up to the end of a snapshot.
fn decode_contents(snapshot: &Snapshot) -> Vec<Entry> {
    let applied: Vec<Entry> = postcard::from_bytes(&snapshot.data).expect("a test node made it");
    assert_eq!(applied.last().map(|entry| entry.index), Some(snapshot.last.index));
    applied
}
