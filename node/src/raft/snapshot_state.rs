//! Defines what a server tracks about snapshots: its own and the one it receives.

use super::message::InstallSnapshot;
use super::stored::Snapshot;
use super::types::{Position, ServerId};
use crate::bug::{Bug, BugSet};
use alloc::vec::Vec;

/// The snapshots of a server.
#[derive(Debug, Default)]
pub(super) struct SnapshotState {
    /// The last snapshot.
    pub(super) latest: Option<Snapshot>,
    /// Whether the runtime was asked for the next one.
    pub(super) requested: bool,
    /// The bytes of the entries delivered since the last one.
    pub(super) bytes_since: usize,
    /// The leader's snapshot, as far as it was received.
    incoming: Option<IncomingSnapshot>,
}

#[derive(Debug)]
struct IncomingSnapshot {
    from: ServerId,
    last: Position,
    size: u64,
    data: Vec<u8>,
}

impl SnapshotState {
    /// Returns the last entry that the last snapshot contains.
    pub(super) fn last_position(&self) -> Position {
        self.latest.as_ref().map_or(Position::default(), |snapshot| snapshot.last)
    }

    /// Records that entries of so many bytes were delivered.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes_since = self.bytes_since.saturating_add(bytes);
    }

    /// Replaces the last snapshot, and forgets a request and a transfer that are now outdated.
    pub(super) fn set_latest(&mut self, snapshot: Snapshot) {
        *self = Self { latest: Some(snapshot), ..Self::default() };
    }

    /// Returns how many bytes of the leader's snapshot were received.
    pub(super) fn received_bytes(&self) -> u64 {
        self.incoming.as_ref().map_or(0, |incoming| incoming.data.len() as u64)
    }

    /// Adds a chunk; returns the whole snapshot once it is complete.
    pub(super) fn add_chunk(
        &mut self,
        from: ServerId,
        chunk: InstallSnapshot,
        bugs: BugSet,
    ) -> Option<Vec<u8>> {
        let InstallSnapshot { last, size, offset, data, .. } = chunk;
        let same = |it: &IncomingSnapshot| {
            (it.from, it.last, it.size) == (from, last, size)
                || bugs.contains(Bug::MixSnapshotChunks)
        };
        // Chunks of two leaders, or of two snapshots, must not be mixed: the bytes of one state
        // differ from server to server.
        if !self.incoming.as_ref().is_some_and(same) {
            self.incoming = Some(IncomingSnapshot { from, last, size, data: Vec::new() });
        }
        let incoming = self.incoming.as_mut()?;
        // A late, repeated or early chunk would duplicate or skip bytes.
        if incoming.data.len() as u64 == offset || bugs.contains(Bug::AppendAnyChunk) {
            incoming.data.extend_from_slice(&data);
        }
        let whole = incoming.data.len() as u64 >= size;
        whole.then(|| self.incoming.take().map(|incoming| incoming.data)).flatten()
    }
}
