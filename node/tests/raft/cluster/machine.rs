//! Gives a brain the smallest possible body: a disk with a queue of writes, and letters that wait
//! for it.

use node::raft::Stored;
use node::raft::invariants::ServerView;
use node::raft::{Config, Effect, Entry, Input, Membership, Persist, Position, Raft, Snapshot};
use std::collections::VecDeque;

/// One server and its disk.
pub(crate) struct Machine {
    config: Config,
    raft: Option<Raft>,
    stored: Stored,
    writes: VecDeque<Persist>,
    letters: Vec<Effect>,
    durable: u64,
    applied: Vec<Entry>,
    /// The snapshot that was asked for.
    taken: Option<Position>,
}

impl Machine {
    /// A server that starts with an empty disk.
    pub(crate) fn new(config: Config) -> Self {
        let mut machine = Self {
            config,
            raft: None,
            stored: Stored::default(),
            writes: VecDeque::new(),
            letters: Vec::new(),
            durable: 0,
            applied: Vec::new(),
            taken: None,
        };
        machine.restart();
        machine
    }

    /// What it shows, if it runs.
    pub(crate) fn server(&self) -> Option<ServerView<'_>> {
        self.raft.as_ref().map(ServerView::of)
    }

    /// Whom it takes for members, if it runs.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.raft.as_ref().map(Raft::membership)
    }

    /// What it has applied since it started.
    pub(crate) fn applied(&self) -> &[Entry] {
        &self.applied
    }

    /// How many writes wait.
    pub(crate) fn waiting(&self) -> usize {
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
        self.write(count);
        let mut free = self.release();
        free.extend(self.step(Input::Persisted { sequence: self.durable }));
        free
    }

    /// Stops; of the writes that wait, the first `survive` reach the disk.
    pub(crate) fn crash(&mut self, survive: usize) {
        self.write(survive);
        self.writes.clear();
        self.letters.clear();
        self.raft = None;
    }

    /// Stops, and nothing is left on the disk.
    pub(crate) fn wipe(&mut self) {
        self.crash(0);
        self.stored = Stored::default();
    }

    /// Starts from the disk.
    pub(crate) fn restart(&mut self) {
        self.applied = self.stored.snapshot.as_ref().map(contents).unwrap_or_default();
        self.durable = 0;
        self.config.seed = self.config.seed.wrapping_add(0x1_0000);
        self.raft = Some(Raft::new(self.config.clone(), self.stored.clone()));
    }

    fn write(&mut self, count: usize) {
        let count = count.min(self.writes.len());
        for write in self.writes.drain(..count) {
            assert!(write.sequence > self.durable, "writes are numbered upwards");
            self.durable = write.sequence;
            self.stored.hard_state = write.hard_state.unwrap_or(self.stored.hard_state);
            if let Some(snapshot) = write.snapshot {
                self.stored.snapshot = Some(snapshot);
            }
            if let Some(start) = write.start {
                (self.stored.start, self.stored.entries) = (start, Vec::new());
            }
            if let Some(first) = write.entries.first() {
                let keep = (first.index - self.stored.start.index) as usize - 1;
                assert!(keep <= self.stored.entries.len(), "entries follow without gaps");
                self.stored.entries.truncate(keep);
                self.stored.entries.extend(write.entries);
            }
        }
    }

    fn release(&mut self) -> Vec<Effect> {
        let durable = self.durable;
        let free =
            |letter: &mut Effect| matches!(letter, Effect::Send { after, .. } if *after <= durable);
        self.letters.extract_if(.., free).collect()
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Persist(ref write) => self.writes.push_back(write.clone()),
            Effect::Send { after, .. } if after > self.durable => {
                self.letters.push(effect);
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
            Effect::Restore { ref snapshot } => self.applied = contents(snapshot),
            _ => {}
        }
        Some(effect)
    }
}

/// What was applied up to the end of a snapshot.
fn contents(snapshot: &Snapshot) -> Vec<Entry> {
    let applied: Vec<Entry> = postcard::from_bytes(&snapshot.data).expect("a machine made it");
    assert_eq!(applied.last().map(|entry| entry.index), Some(snapshot.last.index));
    applied
}
