//! Judges transactions over many keys: which consistency models their answers rule out, and by which cycle.
//!
//! Every transaction reads and writes, and the history shows which version each read saw. Where it also shows in
//! which order versions followed each other, transactions come before each other: ww if the second overwrote what
//! the first wrote, wr if it read that, rw if it overwrote what the first read. Each process's order and real time
//! come on top. A cycle of these is an anomaly with a name, by what it consists of, and breaks every model that
//! forbids it ([`level`]).
//!
//! Lists show their own order: a list that was read is the order in which it was appended to. Registers do not,
//! and [`Inference`] says what may be taken for granted about theirs. A verdict of *valid* means that no anomaly
//! is in what is known. Of lists that proves serializability, strict and of sessions, too: any order that the arrows
//! allow gives every answer. Weaker models it proves if of each key at most one transaction's appends were never
//! read.
//!
//! Everything takes time and memory linear in the history until an anomaly is found.

mod arrows;
pub mod bench;
mod component;
mod explain;
mod graph;
mod isolation;
pub mod level;
mod log;
mod register;
mod single;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use self::component::{Cycle, Found};
use self::explain::Scene;
use self::log::NONE;
use crate::finding::Finding;
use crate::history::{History, Kind, Value};
use crate::verdict::{Algorithm, Check, Limits, Stats, Validity, Verdict};

pub use self::explain::dot;
pub use self::isolation::Isolation;
pub use self::log::Bad;
pub use self::register::Inference;

/// What transactions read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// Lists that are appended to and read whole.
    Lists,
    /// Registers; no two writes to one put in the same value.
    Registers,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The consistency model that must hold.
    pub level: &'a str,
    /// What may be taken for granted of registers.
    pub inference: Inference,
    /// Who may have written to registers.
    pub world: World,
}

/// Whether the history holds everybody who wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum World {
    /// Others may have written: a value from nowhere says nothing (as in Elle).
    #[default]
    Open,
    /// It does: a value from nowhere is wrong.
    Closed,
}

/// Strict serializability, of registers that begin with nil.
impl Default for Options<'_> {
    fn default() -> Self {
        Self { level: STRONGEST, inference: Inference::default(), world: World::Open }
    }
}

/// The model above all others.
const STRONGEST: &str = "strict-serializable";
const LISTS: &str = "list-append";
const REGISTERS: &str = "rw-register";

/// Lists that transactions append to.
pub struct ListAppend;

impl Check for ListAppend {
    fn name(&self) -> &'static str {
        LISTS
    }

    fn doc(&self) -> &'static str {
        "transactions that append to lists and read them are strictly serializable, or as `--consistency` says"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, Objects::Lists, &options(limits), limits)
    }

    fn levels(&self) -> Vec<&'static str> {
        level::names()
    }
}

/// Registers that transactions read and write.
pub struct RwRegister(pub World);

impl Check for RwRegister {
    fn name(&self) -> &'static str {
        match self.0 {
            World::Open => REGISTERS,
            World::Closed => "rw-register-closed",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            World::Open => {
                "nothing that transactions read from registers rules out that they are strictly serializable, or as \
                 `--consistency` says"
            }
            World::Closed => "the same, and nobody reads what nobody wrote",
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let verdict = match self.0 {
            World::Open => judge(history, Objects::Registers, &options(limits), limits),
            World::Closed => closed(history, limits),
        };
        Verdict { check: self.name().to_owned(), ..verdict }
    }

    fn levels(&self) -> Vec<&'static str> {
        level::names()
    }
}

fn options<'a>(limits: &Limits<'a>) -> Options<'a> {
    Options { level: limits.consistency.unwrap_or(STRONGEST), ..Options::default() }
}

/// Judges registers that nobody else writes: first by what is certain; then, if nothing is wrong with that and
/// strict serializability is asked for, by what follows from it. What is wrong only then is wrong only there, and
/// says nothing of weaker models.
fn closed(history: &History, limits: &Limits<'_>) -> Verdict {
    let certain = Options { world: World::Closed, ..options(limits) };
    let verdict = judge(history, Objects::Registers, &certain, limits);
    if verdict.validity != Validity::Valid || certain.level != STRONGEST {
        return verdict;
    }
    let following = Options { inference: Inference::OF_STRICT, ..certain };
    let mut verdict = judge(history, Objects::Registers, &following, limits);
    if verdict.validity == Validity::Invalid {
        let names: Vec<_> = verdict.findings.iter().map(|found| found.name.as_str()).collect();
        verdict.message = format!(
            "not {STRONGEST}, by what that says of the order of writes: {}",
            names.join(", ")
        );
        verdict.measured.remove("also-not");
        verdict.measured.insert("not".to_owned(), Value::from(vec![Value::from(STRONGEST)]));
    }
    verdict
}

/// Judges a history of transactions.
pub fn judge(
    history: &History,
    objects: Objects,
    options: &Options<'_>,
    limits: &Limits<'_>,
) -> Verdict {
    let check = match objects {
        Objects::Lists => LISTS,
        Objects::Registers => REGISTERS,
    };
    let outcome = attempt(history, objects, options, limits);
    let verdict = outcome.unwrap_or_else(Verdict::unknown);
    Verdict { check: check.to_owned(), ..verdict }
}

/// A verdict, or why there is none.
fn attempt(
    history: &History,
    objects: Objects,
    options: &Options<'_>,
    limits: &Limits<'_>,
) -> Result<Verdict, String> {
    let Some(level) = level::named(options.level) else {
        return Err(format!(
            "there is no consistency model {:?}; there are: {}",
            options.level,
            level::names().join(", ")
        ));
    };
    if history.initial().is_some() {
        return Err(
            "the history says in which state it began, and transactions begin with nothing"
                .to_owned(),
        );
    }
    let spent = || "there was no time to look at every transaction".to_owned();
    let log =
        log::read(history.operations(), objects, limits.expired).map_err(|bad| bad.to_string())?;
    let log = log.ok_or_else(spent)?;
    if log.txns.iter().all(|txn| txn.kind != Kind::Ok) {
        return Err(
            "no transaction is known to have taken place: there is nothing to judge".to_owned()
        );
    }
    let (versions, circles) = match objects {
        Objects::Lists => (versions::of_lists(&log), Vec::new()),
        Objects::Registers => register::of_registers(&log, options.inference),
    };
    let scene = Scene { operations: history.operations(), objects, log: &log, versions: &versions };
    let mut judgement = Judgement {
        scene,
        level: level.name,
        findings: Vec::new(),
        doubt: BTreeSet::new(),
        cut: false,
    };
    judgement.findings = single::findings(&judgement.scene, options.world);
    judgement.circles(&circles);
    judgement.cycles(limits);
    Ok(judgement.verdict())
}

struct Judgement<'l, 'h> {
    scene: Scene<'l, 'h>,
    level: &'static str,
    findings: Vec<Finding>,
    /// Anomalies that could not be ruled out.
    doubt: BTreeSet<&'static str>,
    /// Whether time was up before every component was looked at.
    cut: bool,
}

impl Judgement<'_, '_> {
    /// Keys whose versions come before themselves.
    fn circles(&mut self, circles: &[Vec<u32>]) {
        let Some(circle) = circles.first() else { return };
        let values: Vec<_> = circle
            .iter()
            .chain(circle.first())
            .map(|version| self.scene.value(*version).to_string())
            .collect();
        let key = circle
            .iter()
            .find_map(|version| self.scene.log.element(*version))
            .map(|element| element.key);
        let key = key.map_or(&Value::Nil, |key| self.scene.log.keys[key as usize].value);
        let message = format!(
            "what may be taken for granted makes versions of key {key} come before themselves: {}",
            values.join(" < ")
        );
        let writers = circle
            .iter()
            .map(|version| self.scene.log.writer(*version))
            .filter(|writer| *writer != NONE);
        let operations = writers.map(|writer| self.scene.txn(writer).invoked).collect();
        let (name, count, steps) = ("cyclic-versions".to_owned(), circles.len(), Vec::new());
        self.findings.push(Finding { name, count, message, steps, operations });
    }

    fn cycles(&mut self, limits: &Limits<'_>) {
        let graph = arrows::graph(self.scene.log, self.scene.versions);
        let components = graph.components();
        if components.is_empty() {
            return;
        }
        let mut local = vec![NONE; graph.len()];
        let mut best: BTreeMap<&'static str, (usize, Cycle)> = BTreeMap::new();
        for component in &components {
            if (limits.expired)() {
                self.cut = true;
                break;
            }
            let Found { cycles, doubt } =
                component::search(&graph, component, self.scene.log, &mut local);
            self.doubt.extend(doubt);
            for (name, cycle) in cycles {
                let (count, smallest) = best.entry(name).or_insert_with(|| (0, cycle.clone()));
                *count += 1;
                if cycle < *smallest {
                    *smallest = cycle;
                }
            }
        }
        let cycles =
            best.into_iter().map(|(name, (count, cycle))| self.scene.cycle(name, count, &cycle));
        self.findings.extend(cycles);
    }

    fn verdict(mut self) -> Verdict {
        let names: BTreeSet<_> = self.findings.iter().map(|finding| finding.name.clone()).collect();
        let broken = level::broken(names.iter().map(String::as_str));
        let not = level::weakest(&broken);
        let doubted = level::broken(self.doubt.iter().copied());
        let validity = if broken.contains(self.level) {
            Validity::Invalid
        } else if self.cut || doubted.contains(self.level) {
            Validity::Unknown
        } else {
            Validity::Valid
        };
        self.findings.sort_by_key(|finding| severity(&finding.name));
        let message = self.message(validity, &not);
        let measured = self.measured(&not, &broken);
        let Scene { log, .. } = self.scene;
        let stats = Stats {
            operations: log.txns.iter().filter(|txn| txn.kind != Kind::Fail).count(),
            keys: log.keys.len(),
            algorithm: Algorithm::Graph,
            ..Stats::default()
        };
        Verdict { validity, findings: self.findings, measured, stats, ..Verdict::unknown(message) }
    }

    fn message(&self, validity: Validity, not: &BTreeSet<&str>) -> String {
        let counts: Vec<_> = self
            .findings
            .iter()
            .map(|finding| format!("{} × {}", finding.count, finding.name))
            .collect();
        let (counts, not) = (counts.join(", "), Vec::from_iter(not.iter().copied()).join(", "));
        let level = self.level;
        match validity {
            Validity::Invalid => {
                format!("not {level}: {counts}. The weakest models that do not hold: {not}")
            }
            Validity::Unknown if counts.is_empty() => {
                format!("time was up before {level} could be decided")
            }
            Validity::Unknown => {
                format!("nobody knows whether it is {level}: time was up. Found: {counts}")
            }
            Validity::Valid if counts.is_empty() => match self.scene.objects {
                Objects::Lists => format!("no anomaly: {level}"),
                Objects::Registers => format!(
                    "no anomaly that the values which were read can show: nothing speaks against {level}"
                ),
            },
            Validity::Valid => format!(
                "{level}, as far as is known, but not more. Found: {counts}. Models that do not hold: {not}"
            ),
        }
    }

    fn measured(&self, not: &BTreeSet<&str>, broken: &BTreeSet<&str>) -> BTreeMap<String, Value> {
        let list = |names: Vec<&str>| Value::List(names.into_iter().map(Value::from).collect());
        let also = broken.difference(not).copied().collect();
        let mut measured = BTreeMap::from([("consistency".to_owned(), Value::from(self.level))]);
        if !broken.is_empty() {
            measured.insert("not".to_owned(), list(not.iter().copied().collect()));
            measured.insert("also-not".to_owned(), list(also));
        }
        let unwritten = single::unwritten(&self.scene);
        if unwritten > 0 {
            measured.insert("unwritten-reads".to_owned(), Value::Int(unwritten as i64));
        }
        measured
    }
}

/// The worst first: what breaks the most models; then by name.
fn severity(name: &str) -> (usize, String) {
    (usize::MAX - level::broken([name]).len(), name.to_owned())
}
