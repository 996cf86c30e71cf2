//! Corrupts logs in every way that a file allows, and checks what decoding returns: everything
//! before the last mark is recovered or the log is rejected, everything after it is recovered or
//! truncated, and nothing panics.

use node::raft::{Entry, HardState, Payload, Position, Stored};
use node::wal::{
    Record, SEGMENT_HEADER, Segment, WalErrorKind, decode_segments, encode_batch, segment_header,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// A log in segments, with the offset and the mark of each piece (a header or a batch).
#[derive(Clone, Debug, Default)]
struct TestLog {
    segments: Vec<(u64, Vec<u8>)>,
    pieces: Vec<(u64, u64)>,
    states: Vec<Stored>,
}

impl TestLog {
    /// Writes batches `(payload, roll, lag)`: `roll` begins a segment, and the mark lags `lag`
    /// batches.
    fn from_batches(batches: &[(Vec<u8>, bool, usize)]) -> Self {
        let mut log = Self::default();
        for (number, (payload, roll, lag)) in batches.iter().enumerate() {
            if number == 0 || *roll {
                log.begin_segment();
            }
            let begins: Vec<u64> = log.pieces.iter().map(|piece| piece.0).collect();
            let floor = log.segments.last().expect("rolled").0 + SEGMENT_HEADER as u64;
            let lagging = begins.len().checked_sub(*lag).and_then(|at| begins.get(at).copied());
            let mark = lagging.map_or(log.end(), |begin| begin.max(floor));
            log.append_batch(number as u64 + 1, payload.clone(), mark);
        }
        log
    }

    fn begin_segment(&mut self) {
        let base = self.end();
        self.pieces.push((base, base));
        self.states.push(self.states.last().cloned().unwrap_or_default());
        self.segments.push((base, segment_header(base).to_vec()));
    }

    fn append_batch(&mut self, index: u64, payload: Vec<u8>, mark: u64) {
        let entry = Entry { term: 1, index, payload: Payload::Command(payload) };
        let hard_state = HardState { term: index, voted_for: Some(1) };
        let record = Record {
            hard_state: Some(hard_state),
            entries: vec![entry.clone()],
            ..Record::default()
        };
        let mut state = self.states.last().cloned().expect("rolled");
        state.hard_state = hard_state;
        state.entries.push(entry);
        self.pieces.push((self.end(), mark));
        self.states.push(state);
        let batch = encode_batch(&[record], mark).expect("it is small");
        self.segments.last_mut().expect("rolled").1.extend(batch);
    }

    fn end(&self) -> u64 {
        self.segments.last().map_or(0, |(base, bytes)| base + bytes.len() as u64)
    }

    /// Returns the greatest mark of all pieces except the one that contains this offset.
    fn mark_beside(&self, offset: u64) -> u64 {
        let hit = self.piece_at(offset);
        let others = self.pieces.iter().enumerate().filter(|(number, _)| *number != hit);
        others.map(|(_, piece)| piece.1).max().unwrap_or(0)
    }

    fn piece_at(&self, offset: u64) -> usize {
        self.pieces.partition_point(|piece| piece.0 <= offset) - 1
    }

    /// Returns the state before the piece that contains this offset.
    fn state_before(&self, offset: u64) -> Stored {
        self.piece_at(offset)
            .checked_sub(1)
            .map_or_else(Stored::default, |at| self.states[at].clone())
    }

    fn flip_bit(&mut self, offset: u64, bit: u8) {
        let home = self.segments.iter_mut().rev().find(|(base, _)| *base <= offset);
        let (base, bytes) = home.expect("the first begins at 0");
        bytes[usize::try_from(offset - *base).expect("small")] ^= 1 << bit;
    }

    fn decode_all(&self) -> Result<node::wal::DecodedLog, node::wal::WalError> {
        let segments = self.segments.iter().map(|(base, bytes)| Segment { base: *base, bytes });
        decode_segments(&segments.collect::<Vec<_>>(), 1)
    }
}

fn is_same_state(left: &Stored, right: &Stored) -> bool {
    left.hard_state == right.hard_state && left.entries == right.entries
}

fn any_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

fn any_log() -> impl Strategy<Value = TestLog> {
    let batch = (any_bytes(40), prop::bool::weighted(0.2), 0usize..3);
    prop::collection::vec(batch, 1..12).prop_map(|batches| TestLog::from_batches(&batches))
}

proptest! {
    #[test]
    fn a_whole_log_comes_back(log in any_log()) {
        let recovered = log.decode_all().expect("nothing is wrong with it");
        prop_assert!(is_same_state(&recovered.stored[0], log.states.last().expect("one")));
        prop_assert_eq!((recovered.end, recovered.torn_bytes), (log.end(), 0));
    }

    #[test]
    fn a_flipped_bit_is_cut_off_or_refused(log in any_log(), at in any::<Index>(), bit in 0u8..8) {
        let offset = at.index(usize::try_from(log.end()).expect("small")) as u64;
        let begin = log.pieces[log.piece_at(offset)].0;
        let mut broken = log.clone();
        broken.flip_bit(offset, bit);
        match broken.decode_all() {
            Ok(recovered) => {
                prop_assert!(log.mark_beside(offset) <= begin, "piece at {begin} was durable");
                prop_assert_eq!(recovered.end, begin);
                prop_assert!(is_same_state(&recovered.stored[0], &log.state_before(offset)));
            }
            Err(refusal) => {
                prop_assert!(log.mark_beside(offset) > begin, "piece at {begin} was torn");
                prop_assert_eq!(refusal.segment + refusal.offset, begin);
                let mark = log.mark_beside(offset);
                prop_assert_eq!(refusal.kind, WalErrorKind::Damaged { mark });
            }
        }
    }

    #[test]
    fn a_log_that_stops_early_keeps_every_whole_batch(log in any_log(), at in any::<Index>()) {
        let stop = at.index(usize::try_from(log.end()).expect("small")) as u64;
        let mut short = log.clone();
        short.segments.retain(|(base, _)| *base <= stop);
        let (base, bytes) = short.segments.last_mut().expect("the first begins at 0");
        bytes.truncate(usize::try_from(stop - *base).expect("small"));
        let recovered = short.decode_all().expect("no mark is left beyond its end");
        prop_assert!(is_same_state(&recovered.stored[0], &log.state_before(stop)));
        prop_assert_eq!(recovered.end, log.pieces[log.piece_at(stop)].0);
        prop_assert_eq!(recovered.end + recovered.torn_bytes, stop.max(base_of_last(&short)));
    }

    #[test]
    fn a_missing_or_shortened_segment_is_refused(
        log in any_log(), at in any::<Index>(), keep in any::<bool>()
    ) {
        prop_assume!(log.segments.len() > 1);
        let mut holed = log.clone();
        let victim = at.index(log.segments.len() - 1);
        if keep {
            holed.segments[victim].1.pop();
        } else {
            holed.segments.remove(victim);
        }
        let refusal = holed.decode_all().expect_err("the next segment marks it");
        prop_assert!(matches!(refusal.kind, WalErrorKind::Damaged { .. }), "{refusal}");
    }

    #[test]
    fn zeros_behind_the_end_are_torn(log in any_log(), zeros in 1usize..100) {
        let mut padded = log.clone();
        let bytes = &mut padded.segments.last_mut().expect("one").1;
        bytes.resize(bytes.len() + zeros, 0);
        let recovered = padded.decode_all().expect("no mark covers the zeros");
        prop_assert_eq!((recovered.end, recovered.torn_bytes), (log.end(), zeros as u64));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        first in any_bytes(200), second in any_bytes(200), base in any::<u32>()
    ) {
        let second = Segment { base: u64::from(base), bytes: &second };
        let segments = [Segment { base: 0, bytes: &first }, second];
        let _ = decode_segments(&segments, 1);
    }
}

fn base_of_last(log: &TestLog) -> u64 {
    log.segments.last().map_or(0, |segment| segment.0)
}

#[test]
fn later_entries_replace_the_tail_and_gaps_are_rejected() {
    let entry = |term, index| Entry { term, index, payload: Payload::Noop };
    let record = |entries| Record { entries, ..Record::default() };
    let mut bytes = segment_header(0).to_vec();
    let records = [record(vec![entry(1, 1), entry(1, 2), entry(1, 3)]), record(vec![entry(2, 2)])];
    bytes.extend(encode_batch(&records, 20).expect("small"));
    let whole = decode_segments(&[Segment { base: 0, bytes: &bytes }], 1).expect("whole");
    assert_eq!(whole.stored[0].entries, [entry(1, 1), entry(2, 2)]);

    let damage = bytes.len() as u64;
    bytes.extend(encode_batch(&[record(vec![entry(2, 4)])], damage).expect("small"));
    let refusal =
        decode_segments(&[Segment { base: 0, bytes: &bytes }], 1).expect_err("entry 3 is missing");
    assert_eq!(refusal.kind, WalErrorKind::Gap { expected: 3, found: 4 });
    assert_eq!(refusal.offset, damage);
}

/// A log of two groups: `(group, index, starts)`, with a new segment where `starts` is set.
fn of_two(records: &[(u32, u64, bool)]) -> TestLog {
    let mut log = TestLog::default();
    log.begin_segment();
    for (group, index, starts) in records {
        let start = starts.then_some(Position { term: 1, index: index - 1 });
        if *starts {
            log.begin_segment();
        }
        let entries = vec![Entry { term: 1, index: *index, payload: Payload::Noop }];
        let record = Record { group: *group, entries, start, ..Record::default() };
        let batch = encode_batch(&[record], log.end()).expect("it is small");
        log.segments.last_mut().expect("rolled").1.extend(batch);
    }
    log
}

fn recovered_indices(log: &TestLog, segments: std::ops::RangeFrom<usize>) -> Vec<Vec<u64>> {
    let kept = log.segments[segments].iter().map(|(base, bytes)| Segment { base: *base, bytes });
    let recovered = decode_segments(&kept.collect::<Vec<_>>(), 2).expect("nothing is missing");
    let of = |stored: &Stored| stored.entries.iter().map(|entry| entry.index).collect();
    recovered.stored.iter().map(of).collect()
}

#[test]
fn each_group_needs_only_the_log_after_its_own_start() {
    let log = of_two(&[
        (0, 1, false),
        (1, 1, false),
        (0, 2, true),
        (1, 2, false),
        (0, 3, false),
        (1, 3, true),
        (0, 4, false),
        (1, 4, false),
    ]);
    let whole = vec![vec![2, 3, 4], vec![3, 4]];
    assert_eq!(recovered_indices(&log, 0..), whole);
    // The first segment is missing, and the second has an entry of group 1 without its predecessor.
    assert_eq!(recovered_indices(&log, 1..), whole);
    let last = &log.segments[2];
    let needed = decode_segments(&[Segment { base: last.0, bytes: &last.1 }], 2);
    assert!(matches!(needed, Err(refusal) if matches!(refusal.kind, WalErrorKind::Damaged { .. })));
}

#[test]
fn a_log_of_more_groups_or_another_version_is_rejected() {
    let log = of_two(&[(0, 1, false), (1, 1, false)]);
    fn single_segment(bytes: &[u8]) -> [Segment<'_>; 1] {
        [Segment { base: 0, bytes }]
    }
    let refusal =
        decode_segments(&single_segment(&log.segments[0].1), 1).expect_err("there is no group 1");
    assert_eq!(refusal.kind, WalErrorKind::Undecodable);
    let mut old = log.segments[0].1.clone();
    old[7] = b'1';
    let refusal =
        decode_segments(&single_segment(&old), 2).expect_err("a bit of its header has flipped");
    assert!(matches!(refusal.kind, WalErrorKind::Damaged { .. }), "{refusal}");
    let checksum = crc32fast::hash(&old[..16]).to_le_bytes();
    old[16..20].copy_from_slice(&checksum);
    let refusal =
        decode_segments(&single_segment(&old), 2).expect_err("it is no torn one of this version");
    assert_eq!(refusal.kind, WalErrorKind::Version);
}

#[test]
fn a_rejection_names_the_place_and_the_reason() {
    let log = TestLog::from_batches(&[(vec![1], false, 0), (vec![2], false, 0)]);
    let mut broken = log.clone();
    broken.flip_bit(50, 0);
    let text = broken.decode_all().expect_err("the second batch marks the first").to_string();
    assert!(text.starts_with("damaged at byte 20: this part was durable"), "{text}");
}
