//! Turns the write-ahead log into bytes and back: nothing durable is lost, and no damage to it goes
//! unnoticed.
//!
//! The log is one run of bytes with offsets from 0, cut into segments (one file each), and serves
//! all groups of a replica: each [`Record`] names its own. A segment
//! begins with a header that names its own offset; batches of records follow. Each batch names
//! its *mark*: the offset up to which everything was durable before it was written (a segment's
//! header is a mark too, for its own offset). So a batch that cannot be read is either *torn*, when
//! no mark lies beyond it (it was never reported durable: [`decode`] cuts it off), or *damaged*,
//! when one does (it was: [`decode`] refuses the log).
//!
//! ```text
//! segment  "nodewal2"  offset u64  crc32 u32
//! batch    ff "wal"  crc32 u32  length u32  mark u64  payload (postcard of the records)
//! ```
//! Numbers are little-endian. A checksum covers everything in its header and payload but itself
//! and, in a batch, the magic, whose first byte never occurs in UTF-8: no client's value can pose
//! as a batch.

use crate::raft::{Entry, HardState, Index, Persist, Position, Snapshot, Stored};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How many bytes the header of a segment takes.
pub const SEGMENT_HEADER: usize = 20;
const BATCH_HEADER: usize = 20;
const SEGMENT_MAGIC: &[u8; 8] = b"nodewal2";
/// How a segment begins, of whatever version.
const SEGMENT_MAGIC_PREFIX: &[u8] = b"nodewal";
const SNAPSHOT_MAGIC: &[u8; 8] = b"nodesnp2";
const BATCH_MAGIC: &[u8; 4] = b"\xffwal";

/// The number of a group: from 0.
pub type GroupId = u32;

/// What one [`Persist`] leaves in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The group that wrote it.
    pub group: GroupId,
    /// The new term and vote, when they changed.
    pub hard_state: Option<HardState>,
    /// Entries that replace everything from the first one's index on.
    pub entries: Vec<Entry>,
    /// Where the log begins from now on: then the entries are all that it has after this place, and
    /// the hard state is there, so that nothing of the group before this record is needed. Such a
    /// record is the first of its segment.
    pub start: Option<Position>,
}

impl Record {
    /// What a write of that group leaves.
    pub fn from_persist(group: GroupId, persist: Persist) -> Self {
        let Persist { hard_state, entries, start, .. } = persist;
        Self { group, hard_state, entries, start }
    }
}

/// The first bytes of the segment that begins at this offset of the log.
pub fn segment_header(base: u64) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..16].copy_from_slice(&base.to_le_bytes());
    let checksum = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The bytes of one batch, written when everything before the offset `mark` is durable.
pub fn encode_batch(records: &[Record], mark: u64) -> postcard::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(records, Vec::from([0; BATCH_HEADER]))?;
    let length = u32::try_from(bytes.len() - BATCH_HEADER)
        .map_err(|_| postcard::Error::SerializeBufferFull)?;
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..20].copy_from_slice(&mark.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[8..]);
    bytes[..4].copy_from_slice(BATCH_MAGIC);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// The bytes of a snapshot's file: `"nodesnp2"  crc32 u32  term u64  index u64  length u32`, the
/// members (postcard, of that length), and the store.
pub fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let members = postcard::to_allocvec(&snapshot.membership).expect("members can be serialized");
    let mut bytes = Vec::with_capacity(64 + members.len() + snapshot.data.len());
    bytes.extend_from_slice(SNAPSHOT_MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&snapshot.last.term.to_le_bytes());
    bytes.extend_from_slice(&snapshot.last.index.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(members.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&members);
    bytes.extend_from_slice(&snapshot.data);
    let checksum = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The snapshot of these bytes, unless they are damaged.
pub fn decode_snapshot(bytes: &[u8]) -> Option<Snapshot> {
    let (checksum, rest) = bytes.strip_prefix(SNAPSHOT_MAGIC)?.split_first_chunk()?;
    let (term, after) = rest.split_first_chunk()?;
    let (index, after) = after.split_first_chunk()?;
    let (length, after) = after.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (members, data) = after.split_at_checked(length)?;
    let last = Position { term: u64::from_le_bytes(*term), index: u64::from_le_bytes(*index) };
    let whole = crc32fast::hash(rest) == u32::from_le_bytes(*checksum);
    let membership = postcard::from_bytes(members).ok().filter(|_| whole)?;
    Some(Snapshot { last, membership, data: data.into() })
}

/// One segment as it was found.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The offset of its first byte in the log, which is also its name.
    pub base: u64,
    /// All that is in it.
    pub bytes: &'a [u8],
}

impl Segment<'_> {
    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Whether it has the header of another version, whole.
    fn has_other_version(&self) -> bool {
        let Some((header, _)) = self.bytes.split_first_chunk::<SEGMENT_HEADER>() else {
            return false;
        };
        let checksum = crc32fast::hash(&header[..16]).to_le_bytes();
        header.starts_with(SEGMENT_MAGIC_PREFIX)
            && header[16..] == checksum
            && header[..8] != *SEGMENT_MAGIC
    }

    fn has_header(&self) -> bool {
        self.bytes.starts_with(&segment_header(self.base))
    }
}

/// The content of a log.
#[derive(Clone, Debug, Default)]
pub struct DecodedLog {
    /// What each group had made durable, and perhaps a little that it had only written.
    pub stored: Vec<Stored>,
    /// The segment, by its base, before which nothing of a group is needed.
    pub needed: Vec<u64>,
    /// Where the log ends: what follows is torn and must be cut off before anything is written.
    pub end: u64,
    /// How many bytes follow.
    pub torn_bytes: u64,
    /// How many batches were read.
    pub batches: u64,
}

/// Why a log is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalErrorKind {
    /// The bytes are damaged, although everything before this mark was once durable.
    Damaged {
        /// The greatest mark beyond the damage.
        mark: u64,
    },
    /// The segment begins where another one has not ended.
    Overlap,
    /// The segment is one of another version of this program.
    Version,
    /// The checksum holds, but the payload is not that of a batch.
    Undecodable,
    /// The checksum holds, but an entry does not follow the one before it.
    Gap {
        /// The index that was due.
        expected: Index,
        /// The index that was found.
        found: Index,
    },
}

/// A log that must not be used, and where it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalError {
    /// The segment, by the offset of its first byte in the log.
    pub segment: u64,
    /// The first byte that is wrong, counted from the beginning of the segment.
    pub offset: u64,
    /// What is wrong.
    pub kind: WalErrorKind,
}

impl fmt::Display for WalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged at byte {}: ", self.offset)?;
        match self.kind {
            WalErrorKind::Damaged { mark } => write!(
                f,
                "this part was durable (a later mark covers the log up to offset {mark}), \
                 so what this replica promised cannot be read back"
            ),
            WalErrorKind::Overlap => {
                f.write_str("the segment begins before the one in front of it ends")
            }
            WalErrorKind::Version => {
                f.write_str("the segment was written by another version of node")
            }
            WalErrorKind::Undecodable => {
                f.write_str("the batch is whole but not one of this version of node")
            }
            WalErrorKind::Gap { expected, found } => {
                write!(f, "the batch is whole but brings entry {found} where {expected} was due")
            }
        }
    }
}

impl core::error::Error for WalError {}

/// Reads the log of so many groups back from its segments, in order of their bases.
pub fn decode_segments(segments: &[Segment<'_>], groups: GroupId) -> Result<DecodedLog, WalError> {
    decode_with(segments, groups, ChecksumMode::Verify)
}

/// The same as a bug has it: whatever can be decoded is believed, and what follows is cut off as if
/// it were torn.
pub fn decode_unverified(segments: &[Segment<'_>], groups: GroupId) -> DecodedLog {
    decode_with(segments, groups, ChecksumMode::Ignore)
        .unwrap_or_else(|_| DecodedLog::with_groups(groups))
}

/// The same as another bug has it: damage in the middle is taken for a torn tail.
pub fn decode_until_damage(segments: &[Segment<'_>], groups: GroupId) -> DecodedLog {
    decode_with(segments, groups, ChecksumMode::Truncate)
        .unwrap_or_else(|_| DecodedLog::with_groups(groups))
}

/// The refusal of a torn tail, which only a bug refuses.
pub fn describe_torn_tail(segments: &[Segment<'_>], log: &DecodedLog) -> WalError {
    let home = segments.iter().rev().find(|segment| segment.base <= log.end);
    let segment = home.map_or(0, |segment| segment.base);
    WalError { segment, offset: log.end - segment, kind: WalErrorKind::Undecodable }
}

/// What of the bytes is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChecksumMode {
    /// What its checksum covers.
    Verify,
    /// What its checksum covers, and all damage is taken for the end of the log.
    Truncate,
    /// Everything.
    Ignore,
}

impl DecodedLog {
    /// Nothing yet, of so many groups.
    fn with_groups(groups: GroupId) -> Self {
        let groups = usize::try_from(groups).unwrap_or(usize::MAX);
        Self { stored: vec![Stored::default(); groups], needed: vec![0; groups], ..Self::default() }
    }

    fn stored_mut(&mut self, group: GroupId) -> Option<&mut Stored> {
        self.stored.get_mut(usize::try_from(group).ok()?)
    }

    /// Whether a record in the segment at this offset belongs to what its group needs.
    fn needs_record(&self, record: &Record, base: u64) -> bool {
        let from = usize::try_from(record.group).ok().and_then(|at| self.needed.get(at));
        from.is_none_or(|from| base >= *from)
    }
}

fn decode_with(
    segments: &[Segment<'_>],
    groups: GroupId,
    trust: ChecksumMode,
) -> Result<DecodedLog, WalError> {
    let mut recovered = DecodedLog::with_groups(groups);
    if let Some(foreign) = segments.iter().find(|segment| segment.has_other_version()) {
        return Err(WalError { segment: foreign.base, offset: 0, kind: WalErrorKind::Version });
    }
    for segment in segments {
        if let Some(group) =
            first_checkpoint_group(segment).and_then(|group| usize::try_from(group).ok())
            && let Some(needed) = recovered.needed.get_mut(group)
        {
            *needed = segment.base;
        }
    }
    recovered.end = recovered.needed.iter().copied().min().unwrap_or(0);
    let first = segments.partition_point(|segment| segment.base < recovered.end);
    for segment in &segments[first..] {
        if segment.base < recovered.end {
            return Err(WalError { segment: segment.base, offset: 0, kind: WalErrorKind::Overlap });
        }
        if segment.base > recovered.end || !read_segment(segment, trust, &mut recovered)? {
            break;
        }
    }
    let total = segments.last().map_or(0, Segment::end);
    if recovered.end < total && trust == ChecksumMode::Verify {
        reject_durable_damage(segments, recovered.end)?;
    }
    recovered.torn_bytes = total - recovered.end;
    Ok(recovered)
}

/// The group whose log a segment begins with, if its first record needs none before it.
fn first_checkpoint_group(segment: &Segment<'_>) -> Option<GroupId> {
    let first = segment.has_header().then(|| read_batch(segment, SEGMENT_HEADER)).flatten();
    let records =
        first.and_then(|batch| postcard::from_bytes::<Vec<Record>>(batch.payload).ok())?;
    records.first().filter(|record| record.start.is_some()).map(|record| record.group)
}

/// Reads batches until the segment ends (true) or something in it cannot be read (false).
fn read_segment(
    segment: &Segment<'_>,
    trust: ChecksumMode,
    recovered: &mut DecodedLog,
) -> Result<bool, WalError> {
    if !segment.has_header() {
        return Ok(false);
    }
    let mut at = SEGMENT_HEADER;
    while let Some(batch) = read_batch_with(segment, at, trust) {
        match replay_batch(batch.payload, segment.base, recovered) {
            Ok(()) => {}
            Err(_) if trust == ChecksumMode::Ignore => break,
            Err(flaw) => {
                return Err(WalError { segment: segment.base, offset: at as u64, kind: flaw });
            }
        }
        at += BATCH_HEADER + batch.payload.len();
        recovered.batches += 1;
    }
    recovered.end = segment.base + at as u64;
    Ok(at == segment.bytes.len())
}

/// Rejects an unreadable record at this offset if a mark proves that it was durable.
fn reject_durable_damage(segments: &[Segment<'_>], damage: u64) -> Result<(), WalError> {
    let marks = segments.iter().filter(|segment| segment.end() > damage);
    match marks.filter_map(|segment| last_mark(segment, damage)).max() {
        Some(mark) if mark > damage => {
            let home = segments.iter().rev().find(|segment| segment.base <= damage);
            let segment = home.map_or(0, |segment| segment.base);
            Err(WalError {
                segment,
                offset: damage - segment,
                kind: WalErrorKind::Damaged { mark },
            })
        }
        _ => Ok(()),
    }
}

/// The greatest mark in a segment, at or after an offset of the log.
fn last_mark(segment: &Segment<'_>, from: u64) -> Option<u64> {
    let header = (segment.base >= from && segment.has_header()).then_some(segment.base);
    let start = usize::try_from(from.saturating_sub(segment.base)).ok()?;
    let candidates = start..segment.bytes.len();
    let marks = candidates.filter_map(|at| read_batch(segment, at)).map(|batch| batch.mark);
    header.into_iter().chain(marks).max()
}

struct Batch<'a> {
    mark: u64,
    payload: &'a [u8],
}

/// The whole and undamaged batch at this place, if there is one.
fn read_batch<'a>(segment: &Segment<'a>, at: usize) -> Option<Batch<'a>> {
    read_batch_with(segment, at, ChecksumMode::Verify)
}

fn read_batch_with<'a>(segment: &Segment<'a>, at: usize, trust: ChecksumMode) -> Option<Batch<'a>> {
    let rest = segment.bytes.get(at..)?.strip_prefix(BATCH_MAGIC)?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let (_, after_length) = rest.split_at(length.len());
    let (mark, after_mark) = after_length.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = after_mark.get(..length)?;
    let mark = u64::from_le_bytes(*mark);
    let whole = crc32fast::hash(&rest[..12 + length]) == u32::from_le_bytes(*checksum);
    let believed = trust == ChecksumMode::Ignore || (whole && mark <= segment.base + at as u64);
    believed.then_some(Batch { mark, payload })
}

/// Does to what is stored what the records of a batch say, in the segment of this base.
fn replay_batch(payload: &[u8], base: u64, recovered: &mut DecodedLog) -> Result<(), WalErrorKind> {
    let (records, rest): (Vec<Record>, _) =
        postcard::take_from_bytes(payload).map_err(|_| WalErrorKind::Undecodable)?;
    if !rest.is_empty() {
        return Err(WalErrorKind::Undecodable);
    }
    for record in records {
        if !recovered.needs_record(&record, base) {
            continue;
        }
        let stored = recovered.stored_mut(record.group).ok_or(WalErrorKind::Undecodable)?;
        stored.hard_state = record.hard_state.unwrap_or(stored.hard_state);
        if let Some(start) = record.start {
            (stored.start, stored.entries) = (start, Vec::new());
        }
        replace_tail(stored, record.entries)?;
    }
    Ok(())
}

/// Cuts a log back to before the first of the new entries and appends them.
fn replace_tail(stored: &mut Stored, entries: Vec<Entry>) -> Result<(), WalErrorKind> {
    let Some(first) = entries.first().map(|entry| entry.index) else { return Ok(()) };
    let start = stored.start.index;
    let last = start + stored.entries.len() as Index;
    if first <= start || first > last + 1 {
        return Err(WalErrorKind::Gap { expected: last + 1, found: first });
    }
    if let Some((entry, due)) = entries.iter().zip(first..).find(|(entry, due)| entry.index != *due)
    {
        return Err(WalErrorKind::Gap { expected: due, found: entry.index });
    }
    stored.entries.truncate(usize::try_from(first - 1 - start).unwrap_or(usize::MAX));
    stored.entries.extend(entries);
    Ok(())
}
