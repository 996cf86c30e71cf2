//! Finds the anomalies that need no cycle: aborted (G1a), intermediate (G1b) and unwritten reads,
//! incompatible orders, internal inconsistencies and lost updates.

use rustc_hash::FxHashMap;

use super::dependencies::read_versions;
use super::explain::{TxnExplainer, shorten_list};
use super::options::{DataType, UnknownWriters};
use super::table::{Access, IncompatibleRead, NONE};
use crate::finding::{Finding, Step};
use crate::history::Kind;

/// The name and the label of orders that contradict each other.
const INCOMPATIBLE_ORDER: (&str, &str) = ("incompatible-order", "incompatible order");

/// Finds all anomalies of this kind, each with an example in one sentence about clients.
pub(super) fn find_item_anomalies(
    explainer: &TxnExplainer<'_, '_>,
    unknown_writers: UnknownWriters,
) -> Vec<(Finding, String)> {
    let places = list_places(explainer);
    let mut collector = AnomalyCollector { explainer, places, findings: Vec::new() };
    collector.find_internal_anomalies();
    match explainer.data_type {
        DataType::Lists => {
            collector.find_list_defects();
            collector.find_incompatible_orders();
            collector.find_reordered_appends();
            collector.find_dirty_updates();
        }
        DataType::Registers => {
            collector.find_aborted_register_reads();
            if unknown_writers == UnknownWriters::Forbidden {
                collector.find_unwritten_reads();
            }
        }
    }
    collector.find_intermediate_reads();
    collector.find_future_reads();
    collector.find_lost_updates();
    collector.findings
}

/// The number of reads of elements that no transaction wrote.
pub(super) fn count_unwritten_reads(explainer: &TxnExplainer<'_, '_>) -> usize {
    unwritten_reads(explainer).count()
}

/// The reads of elements that no transaction wrote.
fn unwritten_reads<'s>(
    explainer: &'s TxnExplainer<'_, '_>,
) -> impl Iterator<Item = (u32, u32)> + 's {
    let written = |version: u32| {
        explainer.table.element(version).is_none_or(|element| element.writer != NONE)
    };
    read_versions(explainer.table).filter(move |(_, version)| !written(*version))
}

struct AnomalyCollector<'s, 'l, 'h> {
    explainer: &'s TxnExplainer<'l, 'h>,
    /// The position of each element in the longest read of its key, or [`NONE`].
    places: Vec<u32>,
    /// The first case of each anomaly, and the same as an example.
    findings: Vec<(Finding, String)>,
}

/// The position of each element. For a duplicate element it is the last one, because a read of the
/// element includes it.
fn list_places(explainer: &TxnExplainer<'_, '_>) -> Vec<u32> {
    let mut places = vec![NONE; explainer.table.elements.len()];
    for key in &explainer.table.keys {
        for (place, element) in key.order.iter().enumerate() {
            places[*element as usize] = place as u32;
        }
    }
    places
}

impl AnomalyCollector<'_, '_, '_> {
    /// Counts a case, and shows it if it is the first of its anomaly. `tell` gets the names of the
    /// transactions.
    fn add_case(
        &mut self,
        (name, label): (&str, &str),
        txns: &[u32],
        tell: impl Fn(&TxnExplainer<'_, '_>, &[String]) -> String,
    ) {
        if let Some((finding, _)) = self.findings.iter_mut().find(|(it, _)| it.name == name) {
            finding.count += 1;
            return;
        }
        let explainer = self.explainer;
        let names: Vec<_> = (1..=txns.len()).map(|number| format!("T{number}")).collect();
        let texts: Vec<_> = names
            .iter()
            .zip(txns)
            .map(|(name, txn)| format!("{name} = {}", explainer.describe(*txn)))
            .collect();
        let message = format!("{label}: {}: {}", tell(explainer, &names), texts.join("; "));
        let clients: Vec<_> = txns.iter().map(|txn| explainer.client(*txn)).collect();
        let example = format!("{}: {label}", tell(explainer, &clients));
        let operations = txns.iter().map(|txn| explainer.txn(*txn).invoked).collect();
        let (name, steps) = (name.to_owned(), Vec::new());
        self.findings.push((Finding { name, count: 1, message, steps, operations }, example));
    }

    fn find_internal_anomalies(&mut self) {
        for internal in &self.explainer.table.internal_reads {
            self.add_case(("internal", "internal"), &[internal.txn], |explainer, names| {
                let key = explainer.table.keys[internal.key as usize].value;
                let (read, expected) = (shorten_list(internal.read), &internal.expected);
                format!(
                    "{} read {read} from key {key}, but its own earlier operations imply \
                     {expected}",
                    names[0]
                )
            });
        }
    }

    /// Finds reads of lists with aborted, unwritten or duplicate elements.
    fn find_list_defects(&mut self) {
        let table = self.explainer.table;
        let marks: Vec<_> =
            table.keys.iter().map(|key| ListDefects::of(self.explainer, &key.order)).collect();
        let incompatible: rustc_hash::FxHashSet<_> = table
            .incompatible_reads
            .iter()
            .map(|incompatible| (incompatible.txn, incompatible.key))
            .collect();
        if marks.iter().all(ListDefects::is_empty) {
            return;
        }
        for txn in 0..table.txns.len() as u32 {
            let known = table.txns[txn as usize].kind == Kind::Ok;
            for read in table
                .accesses(txn)
                .iter()
                .filter(|access| known && !access.write && access.element != NONE)
            {
                if !incompatible.contains(&(txn, read.key)) {
                    self.check_list_read(txn, *read, &marks[read.key as usize]);
                }
            }
        }
    }

    fn check_list_read(&mut self, txn: u32, read: Access, marks: &ListDefects) {
        let last = self.places[read.element as usize] as usize;
        let order = &self.explainer.table.keys[read.key as usize].order;
        let seen = |mark: Option<usize>| mark.filter(|at| *at <= last).map(|at| order[at]);
        if let Some(element) = seen(marks.aborted) {
            self.add_aborted_read(txn, element);
        }
        if let Some(element) = seen(marks.unwritten) {
            self.add_unwritten_read(txn, element);
        }
        if let Some(element) = seen(marks.twice) {
            self.add_duplicate_elements(txn, element);
        }
    }

    fn find_unwritten_reads(&mut self) {
        for (txn, version) in unwritten_reads(self.explainer) {
            self.add_unwritten_read(txn, version);
        }
    }

    fn add_aborted_read(&mut self, txn: u32, element: u32) {
        let writer = self.explainer.table.writer(element);
        self.add_case(("G1a", "aborted read (G1a)"), &[writer, txn], |explainer, names| {
            let (what, one, two) = (explainer.describe_version(element), &names[0], &names[1]);
            format!("{two} observed {what}, which {one} wrote, but {one} failed")
        });
    }

    fn add_unwritten_read(&mut self, txn: u32, element: u32) {
        self.add_case(("unwritten-read", "unwritten read"), &[txn], |explainer, names| {
            let what = explainer.describe_version(element);
            format!("{} observed {what}, which no transaction wrote", names[0])
        });
    }

    fn add_duplicate_elements(&mut self, txn: u32, element: u32) {
        self.add_case(("duplicate-elements", "duplicate elements"), &[txn], |explainer, names| {
            let what = explainer.describe_version(element);
            format!("{} observed {what} more than once, but it was appended once", names[0])
        });
    }

    /// Finds lists that are not prefixes of one list: one case for each key.
    fn find_incompatible_orders(&mut self) {
        let mut keys = rustc_hash::FxHashSet::default();
        for incompatible in &self.explainer.table.incompatible_reads {
            if keys.insert(incompatible.key) {
                self.add_incompatible_order(incompatible);
            }
            let marks = ListDefects::of(self.explainer, &incompatible.elements);
            let seen = |mark: Option<usize>| mark.map(|at| incompatible.elements[at]);
            if let Some(element) = seen(marks.aborted) {
                self.add_aborted_read(incompatible.txn, element);
            }
            if let Some(element) = seen(marks.unwritten) {
                self.add_unwritten_read(incompatible.txn, element);
            }
            if let Some(element) = seen(marks.twice) {
                self.add_duplicate_elements(incompatible.txn, element);
            }
        }
    }

    fn add_incompatible_order(&mut self, incompatible: &IncompatibleRead<'_>) {
        let table = self.explainer.table;
        let key = &table.keys[incompatible.key as usize];
        let common = incompatible
            .list
            .iter()
            .zip(key.longest_read)
            .take_while(|(one, other)| one == other)
            .count();
        // A transaction that read the longest list beyond the common prefix.
        let parted = |version: u32| key.order[common..].contains(&version);
        let other = read_versions(table)
            .find(|(_, version)| parted(*version))
            .map_or(incompatible.txn, |(txn, _)| txn);
        self.add_case(INCOMPATIBLE_ORDER, &[other, incompatible.txn], |_, names| {
            format!(
                "{} and {} read lists of key {}, neither of which is a prefix of the other",
                names[0], names[1], key.value
            )
        });
    }

    /// Finds transactions whose appends to a key were observed in another order, or the later one
    /// without the earlier.
    fn find_reordered_appends(&mut self) {
        let table = self.explainer.table;
        for txn in 0..table.txns.len() as u32 {
            let accesses = table.accesses(txn);
            let repeated = |access: &&Access| access.write && access.earlier != NONE;
            for later in accesses.iter().filter(repeated) {
                let place = |access: &Access| self.places[access.element as usize];
                let Some(sooner) = written_before(accesses, *later) else { continue };
                if place(later) != NONE && place(&sooner) >= place(later) {
                    self.add_reordered_appends(txn, sooner.element, later.element);
                }
            }
        }
    }

    fn add_reordered_appends(&mut self, txn: u32, sooner: u32, later: u32) {
        let seen = |(_, version): &(u32, u32)| {
            *version == later
                || self.places.get(*version as usize) > self.places.get(later as usize)
        };
        let key = self.explainer.table.elements[later as usize].key;
        let of_key = |(_, version): &(u32, u32)| {
            self.explainer.table.element(*version).is_some_and(|element| element.key == key)
        };
        let reader = read_versions(self.explainer.table).find(|read| of_key(read) && seen(read));
        let reader = reader.map_or(txn, |(reader, _)| reader);
        self.add_case(INCOMPATIBLE_ORDER, &[txn, reader], |explainer, names| {
            let (sooner, later) = (explainer.value(sooner), explainer.describe_version(later));
            format!(
                "{} appended {sooner} before {later}, but {} observed another order",
                names[0], names[1]
            )
        });
    }

    /// Finds committed appends after aborted ones.
    fn find_dirty_updates(&mut self) {
        let table = self.explainer.table;
        for key in &table.keys {
            let mut aborted = None;
            for element in &key.order {
                let writer = table.writer(*element);
                let kind =
                    if writer == NONE { Kind::Info } else { table.txns[writer as usize].kind };
                match (kind, aborted) {
                    (Kind::Fail, _) => aborted = Some(*element),
                    (Kind::Ok, Some(dirty)) => {
                        self.add_dirty_update(dirty, *element);
                        aborted = None;
                    }
                    _ => {}
                }
            }
        }
    }

    fn add_dirty_update(&mut self, dirty: u32, element: u32) {
        let (one, two) = (self.explainer.table.writer(dirty), self.explainer.table.writer(element));
        self.add_case(("dirty-update", "dirty update"), &[one, two], |explainer, names| {
            let (dirty, value) = (explainer.describe_version(dirty), explainer.value(element));
            let (one, two) = (&names[0], &names[1]);
            format!("{two} appended {value} after {dirty}, which {one} appended, but {one} failed")
        });
    }

    fn find_aborted_register_reads(&mut self) {
        for (txn, version) in read_versions(self.explainer.table) {
            let writer = self.explainer.table.writer(version);
            if writer != NONE && self.explainer.txn(writer).kind == Kind::Fail {
                self.add_aborted_read(txn, version);
            }
        }
    }

    /// Finds G1b: reads of versions that their own writer overwrote.
    fn find_intermediate_reads(&mut self) {
        for (txn, version) in read_versions(self.explainer.table) {
            let Some(element) = self.explainer.table.element(version) else { continue };
            let writer = element.writer;
            if element.intermediate && writer != txn {
                let kind = ("G1b", "intermediate read (G1b)");
                self.add_case(kind, &[writer, txn], |explainer, names| {
                    let what = explainer.describe_version(version);
                    format!("{} observed {what}, which {} overwrote later", names[1], names[0])
                });
            }
        }
    }

    /// Finds transactions that observed their own later writes.
    fn find_future_reads(&mut self) {
        let table = self.explainer.table;
        for txn in 0..table.txns.len() as u32 {
            let accesses = table.accesses(txn);
            let known = table.txns[txn as usize].kind == Kind::Ok;
            let repeated = |access: &&Access| access.write && access.earlier != NONE;
            for write in accesses.iter().filter(|access| known && repeated(access)) {
                if self.observed_before_write(txn, accesses, *write) {
                    self.add_case(("future-read", "future read"), &[txn], |explainer, names| {
                        let what = explainer.describe_version(write.element);
                        format!("{} observed {what} before it wrote that itself", names[0])
                    });
                    break;
                }
            }
        }
    }

    /// Whether a read before a write of the same transaction observed the written element.
    fn observed_before_write(&self, txn: u32, accesses: &[Access], write: Access) -> bool {
        let table = self.explainer.table;
        let mut earlier = write.earlier;
        while earlier != NONE {
            let read = accesses[earlier as usize];
            let incompatible = || {
                table.incompatible_reads.iter().any(|incompatible| {
                    incompatible.txn == txn && incompatible.elements.contains(&write.element)
                })
            };
            if !read.write
                && (read.element == write.element
                    || self.contains_earlier(read, write.element)
                    || incompatible())
            {
                return true;
            }
            earlier = read.earlier;
        }
        false
    }

    /// Whether a list that was read contains the element before its last one.
    fn contains_earlier(&self, read: Access, element: u32) -> bool {
        let place = |element: u32| self.places[element as usize];
        read.element != NONE && place(element) != NONE && place(element) < place(read.element)
    }

    /// Finds committed transactions that read the same version and then wrote the key.
    fn find_lost_updates(&mut self) {
        let table = self.explainer.table;
        let mut updaters: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        let mut first = vec![NONE; table.versions()];
        for txn in
            (0..table.txns.len() as u32).filter(|txn| table.txns[*txn as usize].kind == Kind::Ok)
        {
            for version in read_then_written(table.accesses(txn)).map(|read| table.version(read)) {
                let before = &mut first[version as usize];
                if *before == NONE {
                    *before = txn;
                } else {
                    updaters.entry(version).or_insert_with(|| vec![*before]).push(txn);
                }
            }
        }
        let mut groups: Vec<_> = updaters.into_iter().collect();
        groups.sort_unstable_by_key(|(_, txns)| txns[0]);
        for (version, txns) in groups {
            self.add_lost_update(version, &txns);
        }
    }

    fn add_lost_update(&mut self, version: u32, txns: &[u32]) {
        let (one, two) = (txns[0], txns[1]);
        let known = self.findings.iter().any(|(finding, _)| finding.name == "lost-update");
        self.add_case(("lost-update", "lost update"), &[one, two], |explainer, names| {
            let what = explainer.describe_version(version);
            format!("{} and {} both read {what} and both wrote that key", names[0], names[1])
        });
        if let Some((finding, _)) = self.findings.last_mut().filter(|_| !known) {
            let (from, to) = (self.explainer.txn(one).invoked, self.explainer.txn(two).invoked);
            let link = |from, to, one: &str, other: &str, end: &str| Step {
                from,
                to,
                relation: "rw".to_owned(),
                message: format!(
                    "{one} < {other}, because {one} did not observe the write of {other}{end}"
                ),
            };
            finding.steps = vec![
                link(from, to, "T1", "T2", ""),
                link(to, from, "T2", "T1", ": a contradiction!"),
            ];
        }
    }
}

/// The previous write of the same transaction to the same key.
fn written_before(accesses: &[Access], write: Access) -> Option<Access> {
    let mut earlier = write.earlier;
    while earlier != NONE && !accesses[earlier as usize].write {
        earlier = accesses[earlier as usize].earlier;
    }
    accesses.get(earlier as usize).copied()
}

/// The reads that are a transaction's first access to a key which it also wrote.
fn read_then_written(accesses: &[Access]) -> impl Iterator<Item = Access> + '_ {
    let is_first = |access: &Access| !access.write && access.earlier == NONE;
    let firsts = accesses.iter().filter(move |access| is_first(access));
    firsts
        .copied()
        .filter(|read| accesses.iter().any(|access| access.write && access.key == read.key))
}

/// The first position of each kind of defect in a list.
struct ListDefects {
    aborted: Option<usize>,
    unwritten: Option<usize>,
    twice: Option<usize>,
}

impl ListDefects {
    fn of(explainer: &TxnExplainer<'_, '_>, elements: &[u32]) -> Self {
        let writer = |element: &u32| explainer.table.writer(*element);
        let failed = |element: &u32| {
            writer(element) != NONE && explainer.txn(writer(element)).kind == Kind::Fail
        };
        let mut seen = rustc_hash::FxHashSet::default();
        Self {
            aborted: elements.iter().position(failed),
            unwritten: elements.iter().position(|element| writer(element) == NONE),
            twice: elements.iter().position(|element| !seen.insert(*element)),
        }
    }

    fn is_empty(&self) -> bool {
        self.aborted.is_none() && self.unwritten.is_none() && self.twice.is_none()
    }
}

impl TxnExplainer<'_, '_> {
    /// A version as text.
    fn describe_version(&self, version: u32) -> String {
        match self.table.element(version) {
            Some(element) => {
                format!("{} in key {}", element.value, self.table.keys[element.key as usize].value)
            }
            None => {
                let key = version - self.table.elements.len() as u32;
                format!("the initial state of key {}", self.table.keys[key as usize].value)
            }
        }
    }
}
