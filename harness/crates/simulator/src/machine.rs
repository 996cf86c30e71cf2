//! Gives a brain a body: a disk that forgets what was not synced, a store, and clients who wait.
//!
//! A body keeps the laws of `node::raft`: effects in order, a message only when what it depends on is durable,
//! every question answered once. One fsync makes durable whatever had been written when it began.

use super::ask::{self, Request};
use node::kv::{Command, Outcome, Store};
use node::raft::{
    Config, Effect, Entry, Index, Input, Message, Payload, Persist, Position, Raft, ServerId,
    Stored, Token,
};
use std::collections::BTreeMap;
use workloads::Reply;

/// One server, its disk, and who waits for it.
pub(super) struct Machine {
    config: Config,
    /// How often it has started; what was meant for an earlier life is dropped.
    pub(super) life: u64,
    body: Option<Body>,
    /// What a restart finds.
    stored: Stored,
    /// The ticks that passed while it stood still.
    slept: u64,
    /// Written, and not yet durable.
    unsynced: Vec<Persist>,
}

/// What a crash takes away.
struct Body {
    raft: Raft,
    store: Store,
    held: BTreeMap<u64, Vec<(ServerId, Message)>>,
    durable: u64,
    /// How many of the unsynced writes the fsync under way covers.
    syncing: Option<usize>,
    proposed: BTreeMap<Token, Command>,
    reading: BTreeMap<Token, String>,
    /// Reads that wait until the store has come so far.
    waiting: BTreeMap<(Index, Token), String>,
    outcomes: BTreeMap<Index, Outcome>,
    /// The snapshot that the brain has asked for.
    taken: Option<(Position, Vec<u8>)>,
}

/// What the world has to do for a server.
#[derive(Debug)]
pub(super) enum Wish {
    /// Carry a message.
    Send(ServerId, Message),
    /// Come back when an fsync is done.
    Sync,
    /// Tell whoever asked.
    Answer(Token, Reply, Option<ServerId>),
    /// Look at an effect, for the onlooker and the story.
    Seen(Effect),
}

impl Machine {
    /// A server with an empty disk, not yet started.
    pub(super) fn new(config: Config) -> Self {
        let (body, stored) = (None, Stored::default());
        Self { config, life: 0, body, stored, slept: 0, unsynced: Vec::new() }
    }

    /// Its brain, if it runs.
    pub(super) fn raft(&self) -> Option<&Raft> {
        self.body.as_ref().map(|body| &body.raft)
    }

    /// What a restart finds.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Starts from what the disk holds.
    pub(super) fn start(&mut self) {
        self.life += 1;
        self.slept = 0;
        let seed = self.config.seed.wrapping_add(self.life << 20);
        let raft = Raft::new(Config { seed, ..self.config.clone() }, self.stored.clone());
        self.body = Some(Body {
            raft,
            store: self.stored.snapshot.as_ref().map_or_else(Store::default, |it| store(&it.data)),
            held: BTreeMap::new(),
            durable: 0,
            syncing: None,
            proposed: BTreeMap::new(),
            reading: BTreeMap::new(),
            waiting: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            taken: None,
        });
    }

    /// Loses power: of what was not synced the first `survive` writes are found again; and of the next, if it is
    /// `torn`, the snapshot, which is a file of its own and written first.
    pub(super) fn crash(&mut self, survive: usize, torn: bool) {
        let survive = survive.min(self.unsynced.len());
        let kept: Vec<Persist> = self.unsynced.drain(..survive).collect();
        kept.into_iter().for_each(|write| self.keep(write));
        let next = self.unsynced.first_mut().filter(|_| torn);
        if let Some(snapshot) = next.and_then(|write| write.snapshot.take()) {
            self.stored.snapshot = Some(snapshot);
        }
        self.unsynced.clear();
        self.body = None;
    }

    /// How many writes a crash would lose.
    pub(super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The fsync that was under way is done.
    pub(super) fn synced(&mut self, wishes: &mut Vec<Wish>) {
        let Some(count) = self.body.as_mut().and_then(|body| body.syncing.take()) else { return };
        let done: Vec<Persist> = self.unsynced.drain(..count).collect();
        let Some(sequence) = done.last().map(|write| write.sequence) else { return };
        done.into_iter().for_each(|write| self.keep(write));
        if let Some(body) = &mut self.body {
            body.durable = sequence;
            let later = body.held.split_off(&(sequence + 1));
            let free = std::mem::replace(&mut body.held, later);
            wishes.extend(free.into_values().flatten().map(|(to, it)| Wish::Send(to, it)));
        }
        self.step(Input::Persisted { sequence }, wishes);
        self.sync(wishes);
    }

    fn keep(&mut self, write: Persist) {
        self.stored.hard_state = write.hard_state.unwrap_or(self.stored.hard_state);
        if let Some(snapshot) = write.snapshot {
            self.stored.snapshot = Some(snapshot);
        }
        if let Some(start) = write.start {
            (self.stored.start, self.stored.entries) = (start, Vec::new());
        }
        if let Some(first) = write.entries.first() {
            let before = first.index - 1 - self.stored.start.index;
            self.stored.entries.truncate(usize::try_from(before).unwrap_or(usize::MAX));
            self.stored.entries.extend(write.entries);
        }
    }

    /// A tick passes while it stands still.
    pub(super) fn sleep(&mut self) {
        self.slept += 1;
    }

    /// Hears, before anything else, how long it stood still.
    pub(super) fn wake(&mut self, wishes: &mut Vec<Wish>) {
        let ticks = std::mem::take(&mut self.slept);
        if ticks > 0 {
            self.step(Input::MissedTicks { ticks }, wishes);
        }
    }

    /// Takes a client's request.
    pub(super) fn ask(&mut self, token: Token, request: Request, wishes: &mut Vec<Wish>) {
        let Some(body) = &mut self.body else { return };
        let input = match request {
            Request::Write(command) => {
                let bytes = command.encode();
                body.proposed.insert(token, command);
                Input::Propose { token, command: bytes }
            }
            Request::Read(key) => {
                body.reading.insert(token, key);
                if self.config.lease_reads {
                    Input::LeaseRead { token }
                } else {
                    Input::Read { token }
                }
            }
        };
        self.step(input, wishes);
    }

    /// Takes an input and does what follows of it.
    pub(super) fn step(&mut self, input: Input, wishes: &mut Vec<Wish>) {
        let mut effects = Vec::new();
        let Some(body) = &mut self.body else { return };
        body.raft.step(input, &mut effects);
        while body.raft.has_undelivered() {
            body.raft.step(Input::Continue, &mut effects);
        }
        for effect in effects {
            self.carry_out(effect, wishes);
        }
        if let Some((last, data)) = self.body.as_mut().and_then(|body| body.taken.take()) {
            return self.step(Input::SnapshotTaken { last, data }, wishes);
        }
        self.sync(wishes);
    }

    fn carry_out(&mut self, effect: Effect, wishes: &mut Vec<Wish>) {
        let Some(body) = &mut self.body else { return };
        match &effect {
            Effect::Persist(write) => self.unsynced.push(write.clone()),
            Effect::Send { to, message, after } if *after > body.durable => {
                body.held.entry(*after).or_default().push((*to, message.clone()));
            }
            Effect::Send { to, message, .. } => wishes.push(Wish::Send(*to, message.clone())),
            Effect::Commit { entries } => body.apply(entries, wishes),
            Effect::TakeSnapshot { last } => body.taken = Some((*last, body.store.encode())),
            Effect::Restore { snapshot } => {
                body.store = store(&snapshot.data);
                body.serve(wishes);
            }
            Effect::Acknowledge { token, index } => body.acknowledge(*token, *index, wishes),
            Effect::Refused { token, leader } => {
                body.proposed.remove(token);
                wishes.push(Wish::Answer(*token, Reply::fail("not-leader"), *leader));
            }
            Effect::OutcomeUnknown { token } => {
                body.proposed.remove(token);
                wishes.push(Wish::Answer(*token, Reply::info("lost"), None));
            }
            Effect::ReadReady { token, index } => body.ready(*token, *index, wishes),
            Effect::ReadFailed { token } | Effect::ReadExpired { token } => {
                body.reading.remove(token);
                wishes.push(Wish::Answer(*token, Reply::fail("no-leader"), None));
            }
            Effect::MembershipChanged { .. }
            | Effect::ChangeRejected { .. }
            | Effect::Fatal { .. }
            | Effect::PeerLostEntries { .. }
            | Effect::StatusChanged(_) => {}
        }
        if matches!(effect, Effect::Fatal { .. }) {
            self.crash(0, false);
        }
        wishes.push(Wish::Seen(effect));
    }

    /// Begins an fsync where something is written and none is under way.
    fn sync(&mut self, wishes: &mut Vec<Wish>) {
        let Some(body) = &mut self.body else { return };
        if body.syncing.is_none() && !self.unsynced.is_empty() {
            body.syncing = Some(self.unsynced.len());
            wishes.push(Wish::Sync);
        }
    }
}

/// The store of a snapshot, which another store made.
fn store(bytes: &[u8]) -> Store {
    Store::decode(bytes).expect("a store made these bytes")
}

impl Body {
    fn apply(&mut self, entries: &[Entry], wishes: &mut Vec<Wish>) {
        self.outcomes.clear();
        for Entry { index, payload, .. } in entries {
            let command = match payload {
                Payload::Command(bytes) => Command::decode(bytes).ok(),
                Payload::Noop | Payload::Membership(_) => None,
            };
            match command {
                Some(command) => {
                    let outcome = self.store.apply(*index, &command);
                    self.outcomes.insert(*index, outcome);
                }
                None => self.store.skip(*index),
            }
        }
        self.serve(wishes);
    }

    /// Answers the reads that waited for as much as is applied now.
    fn serve(&mut self, wishes: &mut Vec<Wish>) {
        let later = self.waiting.split_off(&(self.store.applied() + 1, 0));
        for ((_, token), key) in std::mem::replace(&mut self.waiting, later) {
            wishes.push(Wish::Answer(token, ask::read(&self.store, &key), None));
        }
    }

    /// A brain with a bug acknowledges what is not applied yet; then the store foretells what it would find.
    fn acknowledge(&mut self, token: Token, index: Index, wishes: &mut Vec<Wish>) {
        let Some(command) = self.proposed.remove(&token) else { return };
        let outcome = match self.outcomes.get(&index) {
            Some(outcome) => outcome.clone(),
            None => self.store.run(&command).0,
        };
        wishes.push(Wish::Answer(token, ask::written(&outcome), None));
    }

    fn ready(&mut self, token: Token, index: Index, wishes: &mut Vec<Wish>) {
        let Some(key) = self.reading.remove(&token) else { return };
        if index <= self.store.applied() {
            wishes.push(Wish::Answer(token, ask::read(&self.store, &key), None));
        } else {
            self.waiting.insert((index, token), key);
        }
    }
}
