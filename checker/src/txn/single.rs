//! Finds what needs no cycle: reads of what was aborted, overwritten or never written, versions that contradict
//! each other, transactions that contradict themselves, and updates that were lost.

use rustc_hash::FxHashMap;

use super::arrows::reads;
use super::explain::{Scene, shortened};
use super::log::{Micro, NONE, Odd};
use super::{Objects, World};
use crate::finding::{Finding, Step};
use crate::history::Kind;

/// Everything of that sort.
pub(super) fn findings(scene: &Scene<'_, '_>, world: World) -> Vec<Finding> {
    let mut tally = Tally { scene, places: places(scene), findings: Vec::new() };
    tally.internal();
    match scene.objects {
        Objects::Lists => {
            tally.lists();
            tally.odd();
            tally.own_orders();
            tally.dirty_updates();
        }
        Objects::Registers => {
            tally.registers();
            if world == World::Closed {
                tally.written_by_nobody();
            }
        }
    }
    tally.intermediate();
    tally.future_reads();
    tally.lost_updates();
    tally.findings
}

/// How many reads nobody can explain, as no transaction wrote what they saw.
pub(super) fn unwritten(scene: &Scene<'_, '_>) -> usize {
    nowhere(scene).count()
}

/// Reads of what no transaction wrote.
fn nowhere<'s>(scene: &'s Scene<'_, '_>) -> impl Iterator<Item = (u32, u32)> + 's {
    let written =
        |version: u32| scene.log.element(version).is_none_or(|element| element.writer != NONE);
    reads(scene.log).filter(move |(_, version)| !written(*version))
}

struct Tally<'s, 'l, 'h> {
    scene: &'s Scene<'l, 'h>,
    /// Where each element of a list stands in the longest read of its key, or [`NONE`].
    places: Vec<u32>,
    findings: Vec<Finding>,
}

/// Of an element that is there twice the last place counts: a read of it went that far.
fn places(scene: &Scene<'_, '_>) -> Vec<u32> {
    let mut places = vec![NONE; scene.log.elements.len()];
    for key in &scene.log.keys {
        for (place, element) in key.order.iter().enumerate() {
            places[*element as usize] = place as u32;
        }
    }
    places
}

impl Tally<'_, '_, '_> {
    /// Counts a case, and shows it if it is the first of its kind.
    fn add(&mut self, name: &str, txns: &[u32], message: impl FnOnce(&Scene<'_, '_>) -> String) {
        if let Some(finding) = self.findings.iter_mut().find(|finding| finding.name == name) {
            finding.count += 1;
            return;
        }
        let operations = txns.iter().map(|txn| self.scene.txn(*txn).invoked).collect();
        let message = message(self.scene);
        let steps = Vec::new();
        self.findings.push(Finding { name: name.to_owned(), count: 1, message, steps, operations });
    }

    fn internal(&mut self) {
        for internal in &self.scene.log.internal {
            self.add("internal", &[internal.txn], |scene| {
                let (key, read) = (scene.log.keys[internal.key as usize].value, shortened(internal.read));
                let (told, expected) = (scene.told(internal.txn), &internal.expected);
                format!("T1 read {read} from key {key}, where it must have seen {expected} after what it did itself: T1 = {told}")
            });
        }
    }

    /// Reads of lists that hold what was aborted, what nobody appended, or something twice.
    fn lists(&mut self) {
        let log = self.scene.log;
        let marks: Vec<_> = log.keys.iter().map(|key| Marks::of(self.scene, &key.order)).collect();
        let odd: rustc_hash::FxHashSet<_> = log.odd.iter().map(|odd| (odd.txn, odd.key)).collect();
        if marks.iter().all(Marks::is_empty) {
            return;
        }
        for txn in 0..log.txns.len() as u32 {
            let known = log.txns[txn as usize].kind == Kind::Ok;
            for read in log
                .micros(txn)
                .iter()
                .filter(|micro| known && !micro.write && micro.element != NONE)
            {
                if !odd.contains(&(txn, read.key)) {
                    self.marked(txn, *read, &marks[read.key as usize]);
                }
            }
        }
    }

    fn marked(&mut self, txn: u32, read: Micro, marks: &Marks) {
        let last = self.places[read.element as usize] as usize;
        let order = &self.scene.log.keys[read.key as usize].order;
        let seen = |mark: Option<usize>| mark.filter(|at| *at <= last).map(|at| order[at]);
        if let Some(element) = seen(marks.aborted) {
            self.aborted(txn, element);
        }
        if let Some(element) = seen(marks.unwritten) {
            self.unwritten(txn, element);
        }
        if let Some(element) = seen(marks.twice) {
            self.twice(txn, element);
        }
    }

    fn written_by_nobody(&mut self) {
        for (txn, version) in nowhere(self.scene) {
            self.unwritten(txn, version);
        }
    }

    fn aborted(&mut self, txn: u32, element: u32) {
        let writer = self.scene.log.writer(element);
        self.add("G1a", &[writer, txn], |scene| {
            let (what, one, other) = (scene.named(element), scene.told(writer), scene.told(txn));
            format!("T2 observed {what}, which T1 wrote, and T1 failed: T1 = {one}; T2 = {other}")
        });
    }

    fn unwritten(&mut self, txn: u32, element: u32) {
        self.add("unwritten-read", &[txn], |scene| {
            format!(
                "T1 observed {}, which no transaction wrote: T1 = {}",
                scene.named(element),
                scene.told(txn)
            )
        });
    }

    fn twice(&mut self, txn: u32, element: u32) {
        self.add("duplicate-elements", &[txn], |scene| {
            format!(
                "T1 observed {} more than once, which was appended once: T1 = {}",
                scene.named(element),
                scene.told(txn)
            )
        });
    }

    /// Lists that cannot have been one list: one case for each key.
    fn odd(&mut self) {
        let mut keys = rustc_hash::FxHashSet::default();
        for odd in &self.scene.log.odd {
            if keys.insert(odd.key) {
                self.incompatible(odd);
            }
            let marks = Marks::of(self.scene, &odd.elements);
            let seen = |mark: Option<usize>| mark.map(|at| odd.elements[at]);
            if let Some(element) = seen(marks.aborted) {
                self.aborted(odd.txn, element);
            }
            if let Some(element) = seen(marks.unwritten) {
                self.unwritten(odd.txn, element);
            }
            if let Some(element) = seen(marks.twice) {
                self.twice(odd.txn, element);
            }
        }
    }

    fn incompatible(&mut self, odd: &Odd<'_>) {
        let log = self.scene.log;
        let key = &log.keys[odd.key as usize];
        let common = odd.list.iter().zip(key.spine).take_while(|(one, other)| one == other).count();
        // Whoever read so much of the spine that the two part.
        let parted = |version: u32| key.order[common..].contains(&version);
        let other =
            reads(log).find(|(_, version)| parted(*version)).map_or(odd.txn, |(txn, _)| txn);
        self.add("incompatible-order", &[other, odd.txn], |scene| {
            let (one, two) = (scene.told(other), scene.told(odd.txn));
            format!("T1 and T2 observed orders of key {} neither of which is the beginning of the other: T1 = {one}; T2 = {two}", key.value)
        });
    }

    /// Transactions whose appends to a key were observed in another order than they were made, or the later
    /// without the earlier.
    fn own_orders(&mut self) {
        let log = self.scene.log;
        for txn in 0..log.txns.len() as u32 {
            let micros = log.micros(txn);
            let repeated = |micro: &&Micro| micro.write && micro.earlier != NONE;
            for later in micros.iter().filter(repeated) {
                let place = |micro: &Micro| self.places[micro.element as usize];
                let Some(sooner) = written_before(micros, *later) else { continue };
                if place(later) != NONE && place(&sooner) >= place(later) {
                    self.own_order(txn, sooner.element, later.element);
                }
            }
        }
    }

    fn own_order(&mut self, txn: u32, sooner: u32, later: u32) {
        let seen = |(_, version): &(u32, u32)| {
            *version == later
                || self.places.get(*version as usize) > self.places.get(later as usize)
        };
        let key = self.scene.log.elements[later as usize].key;
        let of_key = |(_, version): &(u32, u32)| {
            self.scene.log.element(*version).is_some_and(|element| element.key == key)
        };
        let reader = reads(self.scene.log).find(|read| of_key(read) && seen(read));
        let reader = reader.map_or(txn, |(reader, _)| reader);
        self.add("incompatible-order", &[txn, reader], |scene| {
            let (sooner, later) = (scene.value(sooner), scene.named(later));
            let (one, two) = (scene.told(txn), scene.told(reader));
            format!("T1 appended {sooner} before {later}, which T2 observed otherwise: T1 = {one}; T2 = {two}")
        });
    }

    /// Aborted writes that a committed one was put upon.
    fn dirty_updates(&mut self) {
        let log = self.scene.log;
        for key in &log.keys {
            let mut aborted = None;
            for element in &key.order {
                let writer = log.writer(*element);
                let kind = if writer == NONE { Kind::Info } else { log.txns[writer as usize].kind };
                match (kind, aborted) {
                    (Kind::Fail, _) => aborted = Some(*element),
                    (Kind::Ok, Some(dirty)) => {
                        self.dirty_update(dirty, *element);
                        aborted = None;
                    }
                    _ => {}
                }
            }
        }
    }

    fn dirty_update(&mut self, dirty: u32, element: u32) {
        let (one, two) = (self.scene.log.writer(dirty), self.scene.log.writer(element));
        self.add("dirty-update", &[one, two], |scene| {
            let (dirty, value) = (scene.named(dirty), scene.value(element));
            let (one, two) = (scene.told(one), scene.told(two));
            format!("T2 appended {value} after {dirty}, which T1 appended, and T1 failed: T1 = {one}; T2 = {two}")
        });
    }

    fn registers(&mut self) {
        for (txn, version) in reads(self.scene.log) {
            let writer = self.scene.log.writer(version);
            if writer != NONE && self.scene.txn(writer).kind == Kind::Fail {
                self.aborted(txn, version);
            }
        }
    }

    /// G1b: reads of what their writer overwrote itself.
    fn intermediate(&mut self) {
        for (txn, version) in reads(self.scene.log) {
            let Some(element) = self.scene.log.element(version) else { continue };
            let writer = element.writer;
            if element.intermediate && writer != txn {
                self.add("G1b", &[writer, txn], |scene| {
                    let (what, one, two) = (scene.named(version), scene.told(writer), scene.told(txn));
                    format!("T2 observed {what}, which was not T1's last word on that key: T1 = {one}; T2 = {two}")
                });
            }
        }
    }

    /// Transactions that observed what they did only afterwards.
    fn future_reads(&mut self) {
        let log = self.scene.log;
        for txn in 0..log.txns.len() as u32 {
            let micros = log.micros(txn);
            let known = log.txns[txn as usize].kind == Kind::Ok;
            let repeated = |micro: &&Micro| micro.write && micro.earlier != NONE;
            for write in micros.iter().filter(|micro| known && repeated(micro)) {
                if self.foresaw(txn, micros, *write) {
                    self.add("future-read", &[txn], |scene| {
                        let (what, told) = (scene.named(write.element), scene.told(txn));
                        format!("T1 observed {what} before it wrote that itself: T1 = {told}")
                    });
                    break;
                }
            }
        }
    }

    /// Whether a read before a write of the same transaction shows what was written.
    fn foresaw(&self, txn: u32, micros: &[Micro], write: Micro) -> bool {
        let log = self.scene.log;
        let mut earlier = write.earlier;
        while earlier != NONE {
            let read = micros[earlier as usize];
            let odd = || {
                log.odd.iter().any(|odd| odd.txn == txn && odd.elements.contains(&write.element))
            };
            if !read.write
                && (read.element == write.element || self.beneath(read, write.element) || odd())
            {
                return true;
            }
            earlier = read.earlier;
        }
        false
    }

    /// Whether a list that was read holds an element before its last one.
    fn beneath(&self, read: Micro, element: u32) -> bool {
        let place = |element: u32| self.places[element as usize];
        read.element != NONE && place(element) != NONE && place(element) < place(read.element)
    }

    /// Transactions that read the same version and then wrote the key, all of which took place.
    fn lost_updates(&mut self) {
        let log = self.scene.log;
        let mut updaters: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        let mut first = vec![NONE; log.versions()];
        for txn in (0..log.txns.len() as u32).filter(|txn| log.txns[*txn as usize].kind == Kind::Ok)
        {
            for version in updated(log.micros(txn)).map(|read| log.version(read)) {
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
            self.lost_update(version, &txns);
        }
    }

    fn lost_update(&mut self, version: u32, txns: &[u32]) {
        let (one, two) = (txns[0], txns[1]);
        let known = self.findings.iter().any(|finding| finding.name == "lost-update");
        self.add("lost-update", &[one, two], |scene| {
            let what = scene.named(version);
            let (one, two) = (scene.told(one), scene.told(two));
            format!("T1 and T2 both observed {what} and then wrote that key: one did not see the other. T1 = {one}; T2 = {two}")
        });
        if let Some(finding) = self.findings.last_mut().filter(|_| !known) {
            let (from, to) = (self.scene.txn(one).invoked, self.scene.txn(two).invoked);
            let link = |from, to, one: &str, other: &str, end: &str| Step {
                from,
                to,
                relation: "rw".to_owned(),
                message: format!(
                    "{one} < {other}, because {one} did not observe what {other} wrote{end}"
                ),
            };
            finding.steps = vec![
                link(from, to, "T1", "T2", ""),
                link(to, from, "T2", "T1", ": a contradiction!"),
            ];
        }
    }
}

/// The write before another one of the same transaction to the same key.
fn written_before(micros: &[Micro], write: Micro) -> Option<Micro> {
    let mut earlier = write.earlier;
    while earlier != NONE && !micros[earlier as usize].write {
        earlier = micros[earlier as usize].earlier;
    }
    micros.get(earlier as usize).copied()
}

/// The reads of a transaction that came before anything else it did to their keys, which it wrote afterwards.
fn updated(micros: &[Micro]) -> impl Iterator<Item = Micro> + '_ {
    let is_first = |micro: &Micro| !micro.write && micro.earlier == NONE;
    let firsts = micros.iter().filter(move |micro| is_first(micro));
    firsts.copied().filter(|read| micros.iter().any(|micro| micro.write && micro.key == read.key))
}

/// The first places in a list where something is wrong.
struct Marks {
    aborted: Option<usize>,
    unwritten: Option<usize>,
    twice: Option<usize>,
}

impl Marks {
    fn of(scene: &Scene<'_, '_>, elements: &[u32]) -> Self {
        let writer = |element: &u32| scene.log.writer(*element);
        let failed = |element: &u32| {
            writer(element) != NONE && scene.txn(writer(element)).kind == Kind::Fail
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

impl Scene<'_, '_> {
    /// A version in words.
    fn named(&self, version: u32) -> String {
        match self.log.element(version) {
            Some(element) => {
                format!("{} in key {}", element.value, self.log.keys[element.key as usize].value)
            }
            None => {
                let key = version - self.log.elements.len() as u32;
                format!("the initial state of key {}", self.log.keys[key as usize].value)
            }
        }
    }
}
