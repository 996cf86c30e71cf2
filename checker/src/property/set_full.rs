//! Checks every read of a set: whether elements stay present, and how long they take to appear.
//!
//! An element is *known* once its add was acknowledged or a read that returned it completed. It is
//! *lost* if it is missing from a read that began after it was known and after every read that
//! returned it completed. It is *stale* if it is missing from a read that began after it was known,
//! but a later read returns it; that is an anomaly only of a linearizable set. An element is *never
//! read* if no read after it was known returns or misses it.
//!
//! Reads are sorted once by invocation. For each element, the last read that misses it is found by
//! walking back along the reads that return it, so the check takes O(n log n) in the number of
//! returned elements.

use rustc_hash::{FxHashMap, FxHashSet};

use super::distribution::summarize_ms;
use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::set_final::{returned_elements, unexpected_element, validate_functions};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

/// The guarantee of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadGuarantee {
    /// Elements stay present, but a read may be stale.
    Eventual,
    /// A read returns every element that was known when it began.
    Linearizable,
}

/// Jepsen's set-full.
pub(crate) struct SetFull(pub(crate) ReadGuarantee);

impl Check for SetFull {
    fn name(&self) -> &'static str {
        match self.0 {
            ReadGuarantee::Eventual => "set-full",
            ReadGuarantee::Linearizable => "set-full-linearizable",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            ReadGuarantee::Eventual => {
                "no element of a set that was acknowledged or read is lost, no `read` returns an \
                 element twice or one that was never added; measures how long elements take to \
                 appear"
            }
            ReadGuarantee::Linearizable => {
                "the same as set-full, and no `read` misses an element that was acknowledged or \
                 read before it began"
            }
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(self, history, limits)
            .unwrap_or_else(|why| unsupported_history(self.name(), why))
    }
}

const KINDS: &[&str] = &["lost", "unexpected", "duplicated", "stale"];

fn check_history(
    check: &SetFull,
    history: &History,
    limits: &Limits<'_>,
) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(check.name(), KINDS);
    let mut delays = Delays::default();
    for object in split_by_key(history, limits.keyed)? {
        object.ops.iter().try_for_each(validate_functions)?;
        let before = builder.case_count();
        SetReads::new(&object).check(check.0, &mut builder, &mut delays);
        builder.finish_object(object.ops.len(), before);
    }
    let stable = delays.stable.len();
    for (name, number) in [("never_read", delays.never_read), ("stale", delays.stale)] {
        builder.add_to_measure(name, number);
    }
    builder.add_to_measure("stable", stable);
    builder.set_measure("stable_latency_ms", summarize_ms(delays.stable));
    builder.set_measure("lost_latency_ms", summarize_ms(delays.lost));
    if stable == 0 {
        builder.add_unknown(|| "no read returned an element, so nothing is proved".to_owned());
    }
    Ok(builder.build(&format!("all {stable} elements that were read stayed present")))
}

/// How long elements took to become stable or lost, in nanoseconds after they were known.
#[derive(Default)]
struct Delays {
    stable: Vec<i64>,
    lost: Vec<i64>,
    stale: usize,
    never_read: usize,
}

/// The reads of one set in order of invocation, and the elements they return.
struct SetReads<'o, 'h> {
    key: Option<&'h Value>,
    adds: Vec<&'o Op<'h>>,
    reads: Vec<&'o Op<'h>>,
    /// The positions of the reads that return each element, ascending.
    showing: FxHashMap<&'h Value, Vec<usize>>,
    /// The elements in order of first mention.
    elements: Vec<&'h Value>,
}

impl<'o, 'h> SetReads<'o, 'h> {
    fn new(object: &'o ObjectOps<'h>) -> Self {
        let adds: Vec<_> = object.ops.iter().filter(|op| op.f == "add").collect();
        let reads: Vec<_> =
            object.ops.iter().filter(|op| op.f == "read" && op.output.is_some()).collect();
        let mut set =
            Self { key: object.key, adds, reads, showing: FxHashMap::default(), elements: vec![] };
        for place in 0..set.adds.len() {
            set.positions_of(set.adds[place].input);
        }
        for place in 0..set.reads.len() {
            for element in returned_elements(set.reads[place]) {
                let places = set.positions_of(element);
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        set
    }

    fn positions_of(&mut self, element: &'h Value) -> &mut Vec<usize> {
        let elements = &mut self.elements;
        self.showing.entry(element).or_insert_with(|| {
            elements.push(element);
            Vec::new()
        })
    }

    fn check(&self, promise: ReadGuarantee, builder: &mut VerdictBuilder, delays: &mut Delays) {
        self.check_duplicates(builder);
        let known = self.known_elements();
        let asked = self.first_adds();
        for element in &self.elements {
            self.check_unexpected(element, &asked, builder);
            match known.get(element) {
                Some(known) => self.check_element(element, known, promise, (builder, delays)),
                None => delays.never_read += 1,
            }
        }
    }

    fn check_duplicates(&self, builder: &mut VerdictBuilder) {
        let mut seen = FxHashSet::default();
        for read in &self.reads {
            seen.clear();
            for element in returned_elements(read).iter().filter(|element| !seen.insert(*element)) {
                builder.add_case("duplicated", || AnomalyCase {
                    message: format!(
                        "{} returned element {}{} twice",
                        read.describe(),
                        abbreviate(element),
                        key_suffix(self.key)
                    ),
                    operations: vec![read.begin],
                    ..AnomalyCase::default()
                });
            }
        }
    }

    /// The first invocation that may have added each element.
    fn first_adds(&self) -> FxHashMap<&'h Value, u64> {
        let mut asked = FxHashMap::default();
        for add in self.adds.iter().filter(|add| add.may_have_happened()) {
            asked.entry(add.input).or_insert(add.begin);
        }
        asked
    }

    fn check_unexpected(
        &self,
        element: &Value,
        asked: &FxHashMap<&Value, u64>,
        builder: &mut VerdictBuilder,
    ) {
        let possible_from = asked.get(element).copied().unwrap_or(u64::MAX);
        let too_early = |place: &&usize| self.reads[**place].end < possible_from;
        if let Some(place) = self.showing[element].iter().find(too_early) {
            let read = self.reads[*place];
            builder
                .add_case("unexpected", || unexpected_element(self.key, element, read, &self.adds));
        }
    }

    /// The operation that first made each element known.
    fn known_elements(&self) -> FxHashMap<&'h Value, &'o Op<'h>> {
        let mut known: FxHashMap<&Value, &Op<'_>> = FxHashMap::default();
        let mut record = |element, op: &'o Op<'h>| {
            let first = known.entry(element).or_insert(op);
            if op.end < first.end {
                *first = op;
            }
        };
        self.adds.iter().filter(|add| add.output.is_some()).for_each(|add| record(add.input, add));
        for read in &self.reads {
            returned_elements(read).iter().for_each(|element| record(element, read));
        }
        known
    }

    fn check_element(
        &self,
        element: &Value,
        known: &Op<'h>,
        promise: ReadGuarantee,
        (builder, delays): (&mut VerdictBuilder, &mut Delays),
    ) {
        let showing = &self.showing[element];
        let missing = self.last_missing(showing).filter(|read| read.begin > known.end);
        let shown_by = showing.iter().map(|place| self.reads[*place]).max_by_key(|read| read.end);
        let lost_by =
            missing.filter(|read| shown_by.is_none_or(|shown_by| shown_by.end < read.begin));
        match (lost_by, shown_by, missing) {
            (Some(read), ..) => {
                let last = shown_by.unwrap_or(known);
                delays.lost.push(after_known(last.completed_at(), known));
                builder.add_case("lost", || self.lost_case(element, known, shown_by, read));
            }
            (None, Some(_), Some(read)) => {
                delays.stale += 1;
                delays.stable.push(after_known(read.invoked_at() + 1, known));
                if promise == ReadGuarantee::Linearizable {
                    builder.add_case("stale", || self.stale_case(element, known, read));
                }
            }
            (None, Some(_), None) => delays.stable.push(0),
            (None, None, _) => delays.never_read += 1,
        }
    }

    /// The last-invoked read that does not return the element.
    fn last_missing(&self, showing: &[usize]) -> Option<&'o Op<'h>> {
        let mut showing = showing.iter().rev().copied().peekable();
        let place = (0..self.reads.len()).rev().find(|place| showing.next_if_eq(place).is_none());
        place.map(|place| self.reads[place])
    }

    fn lost_case(
        &self,
        element: &Value,
        known: &Op<'_>,
        shown_by: Option<&Op<'_>>,
        read: &Op<'_>,
    ) -> AnomalyCase {
        let element = abbreviate(element);
        let also = shown_by.filter(|shown_by| shown_by.begin != known.begin);
        let seen = also.map_or_else(String::new, |shown_by| {
            format!(", {} still returned it", shown_by.describe())
        });
        AnomalyCase {
            message: format!(
                "element {element}{} is lost: it was known from {}{seen}, but neither {} nor any \
                 later read returns it",
                key_suffix(self.key),
                known.describe(),
                read.describe()
            ),
            steps: [Some(known), also]
                .into_iter()
                .flatten()
                .map(|op| op.step(read, "realtime", op.acknowledged_before(read)))
                .collect(),
            operations: [Some(known), also, Some(read)]
                .into_iter()
                .flatten()
                .map(|op| op.begin)
                .collect(),
        }
    }

    fn stale_case(&self, element: &Value, known: &Op<'_>, read: &Op<'_>) -> AnomalyCase {
        AnomalyCase {
            message: format!(
                "{} misses element {}{}, which was known from {} before the read began",
                read.describe(),
                abbreviate(element),
                key_suffix(self.key),
                known.describe()
            ),
            steps: vec![known.step(read, "realtime", known.acknowledged_before(read))],
            operations: vec![known.begin, read.begin],
        }
    }
}

fn after_known(time: u64, known: &Op<'_>) -> i64 {
    time.saturating_sub(known.completed_at()) as i64
}
