//! Checks transactions over many keys, as Elle does: which consistency models they violate, and by
//! which anomaly.
//!
//! The history shows which version each read observed. If it also shows the order of versions,
//! transactions depend on each other (Adya): ww if the second overwrote a version of the first, wr
//! if it read one, rw if it overwrote a version that the first read. Process order and real-time
//! order add edges. A cycle in this graph is an anomaly, named by its edges, and violates every
//! model that forbids it ([`level`]).
//!
//! A list shows its version order: a read returns the elements in the order of their appends. A
//! register does not, so [`Inference`] rules derive it. *Valid* means that the known dependencies
//! contain no anomaly. For lists this proves (strict, strong-session) serializability: every
//! topological order of the graph explains all reads. It proves the weaker models if, for each key,
//! the unread appends are of at most one transaction.
//!
//! Until an anomaly is found, time and memory are linear in the size of the history.

pub mod bench;
mod component;
mod dependencies;
mod example;
mod explain;
mod graph;
mod isolation;
mod item_anomalies;
pub mod level;
pub(crate) mod online;
mod options;
mod register_order;
mod table;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use self::component::{ComponentCycles, Cycle};
use self::explain::TxnExplainer;
use self::options::STRONGEST;
use self::table::NONE;
use crate::finding::Finding;
use crate::history::{History, Kind, Value};
use crate::verdict::{Algorithm, Check, Limits, Stats, Validity, Verdict};

pub use self::explain::dot;
pub use self::isolation::Isolation;
pub use self::options::{DataType, Inference, Options, UnknownWriters};
pub use self::table::InvalidTxn;

const LIST_APPEND: &str = "list-append";
const RW_REGISTER: &str = "rw-register";

/// Introduces the weakest violated models in a message.
const WEAKEST_MODELS: &str = "; weakest violated models: ";

/// Elle's list-append.
pub struct ListAppend;

impl Check for ListAppend {
    fn name(&self) -> &'static str {
        LIST_APPEND
    }

    fn doc(&self) -> &'static str {
        "transactions that append to lists and read them are strictly serializable, or satisfy the \
         model in `--consistency`"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_transactions(history, DataType::Lists, &options_from(limits), limits)
    }

    fn levels(&self) -> Vec<&'static str> {
        level::model_names()
    }
}

/// Elle's rw-register.
pub struct RwRegister(pub UnknownWriters);

impl Check for RwRegister {
    fn name(&self) -> &'static str {
        match self.0 {
            UnknownWriters::Allowed => RW_REGISTER,
            UnknownWriters::Forbidden => "rw-register-closed",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            UnknownWriters::Allowed => {
                "the reads of transactions over registers reveal no violation of strict \
                 serializability, or of the model in `--consistency`"
            }
            UnknownWriters::Forbidden => {
                "the same as rw-register, and no transaction reads a value that none wrote"
            }
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let verdict = match self.0 {
            UnknownWriters::Allowed => {
                check_transactions(history, DataType::Registers, &options_from(limits), limits)
            }
            UnknownWriters::Forbidden => check_closed_registers(history, limits),
        };
        Verdict { check: self.name().to_owned(), ..verdict }
    }

    fn levels(&self) -> Vec<&'static str> {
        level::model_names()
    }
}

fn options_from<'a>(limits: &Limits<'a>) -> Options<'a> {
    Options { level: limits.consistency.unwrap_or(STRONGEST), ..Options::default() }
}

/// Checks registers without unknown writers. The first pass uses only certain version orders. If it
/// finds nothing and strict serializability is required, the second pass also uses the orders that
/// strict serializability implies. An anomaly of the second pass violates only that model, not the
/// weaker ones.
fn check_closed_registers(history: &History, limits: &Limits<'_>) -> Verdict {
    let certain = Options { unknown_writers: UnknownWriters::Forbidden, ..options_from(limits) };
    let verdict = check_transactions(history, DataType::Registers, &certain, limits);
    if verdict.validity != Validity::Valid || certain.level != STRONGEST {
        return verdict;
    }
    let implied = Options { inference: Inference::STRICT_SERIALIZABLE, ..certain };
    let mut verdict = check_transactions(history, DataType::Registers, &implied, limits);
    if verdict.validity == Validity::Invalid {
        // The weaker models are not violated.
        let example = verdict.message.split(WEAKEST_MODELS).next().unwrap_or_default();
        verdict.message = format!("{example}), given the version order that it implies");
        verdict.measured.remove("also-not");
        verdict.measured.insert("not".to_owned(), Value::from(vec![Value::from(STRONGEST)]));
    }
    verdict
}

/// Checks a history of transactions.
pub fn check_transactions(
    history: &History,
    data_type: DataType,
    options: &Options<'_>,
    limits: &Limits<'_>,
) -> Verdict {
    let check = match data_type {
        DataType::Lists => LIST_APPEND,
        DataType::Registers => RW_REGISTER,
    };
    let outcome = try_check(history, data_type, options, limits);
    let verdict = outcome.unwrap_or_else(Verdict::unknown);
    Verdict { check: check.to_owned(), ..verdict }
}

/// The verdict, or why the history cannot be checked.
fn try_check(
    history: &History,
    data_type: DataType,
    options: &Options<'_>,
    limits: &Limits<'_>,
) -> Result<Verdict, String> {
    let Some(level) = level::find_model(options.level) else {
        return Err(format!(
            "unknown consistency model {:?}; expected one of {}",
            options.level,
            level::model_names().join(", ")
        ));
    };
    if history.initial().is_some() {
        return Err(
            "the history has an initial state, but transactions must start from an empty one"
                .to_owned(),
        );
    }
    let timed_out = || "time limit exceeded while parsing the transactions".to_owned();
    let table = table::read_transactions(history.operations(), data_type, limits.expired)
        .map_err(|bad| bad.to_string())?;
    let table = table.ok_or_else(timed_out)?;
    if table.txns.iter().all(|txn| txn.kind != Kind::Ok) {
        return Err("no transaction committed, so there is nothing to check".to_owned());
    }
    let (versions, cyclic) = match data_type {
        DataType::Lists => (versions::order_lists(&table), Vec::new()),
        DataType::Registers => register_order::infer_register_order(&table, options.inference),
    };
    let explainer = TxnExplainer {
        operations: history.operations(),
        data_type,
        table: &table,
        versions: &versions,
    };
    let mut check = TxnCheck {
        explainer,
        level: level.name,
        findings: Vec::new(),
        examples: BTreeMap::new(),
        undecided: BTreeSet::new(),
        timed_out: false,
    };
    for (finding, example) in
        item_anomalies::find_item_anomalies(&check.explainer, options.unknown_writers)
    {
        check.examples.insert(finding.name.clone(), example);
        check.findings.push(finding);
    }
    check.add_cyclic_versions(&cyclic);
    check.search_cycles(limits);
    Ok(check.build_verdict())
}

struct TxnCheck<'l, 'h> {
    explainer: TxnExplainer<'l, 'h>,
    level: &'static str,
    findings: Vec<Finding>,
    /// An example of each anomaly in one sentence about clients.
    examples: BTreeMap<String, String>,
    /// Anomalies that could not be ruled out.
    undecided: BTreeSet<&'static str>,
    /// Whether the time limit was exceeded before every component was searched.
    timed_out: bool,
}

impl TxnCheck<'_, '_> {
    /// Reports keys whose inferred version order is cyclic.
    fn add_cyclic_versions(&mut self, cycles: &[Vec<u32>]) {
        let Some(cycle) = cycles.first() else { return };
        let values: Vec<_> = cycle
            .iter()
            .chain(cycle.first())
            .map(|version| self.explainer.value(*version).to_string())
            .collect();
        let key = cycle
            .iter()
            .find_map(|version| self.explainer.table.element(*version))
            .map(|element| element.key);
        let key = key.map_or(&Value::Nil, |key| self.explainer.table.keys[key as usize].value);
        let message = format!(
            "cyclic versions: the inferred version order of key {key} is cyclic: {}",
            values.join(" < ")
        );
        let writers = cycle
            .iter()
            .map(|version| self.explainer.table.writer(*version))
            .filter(|writer| *writer != NONE);
        let operations = writers.map(|writer| self.explainer.txn(writer).invoked).collect();
        let authors: Vec<_> = cycle
            .iter()
            .map(|version| match self.explainer.table.writer(*version) {
                NONE => self.explainer.value(*version).to_string(),
                writer => {
                    let author = self.explainer.client(writer);
                    format!("{} of {author}", self.explainer.value(*version))
                }
            })
            .collect();
        let example = format!(
            "the order of transactions puts {} before {} again in key {key}: cyclic-versions",
            authors.join(" before "),
            self.explainer.value(cycle[0])
        );
        let (name, count, steps) = ("cyclic-versions".to_owned(), cycles.len(), Vec::new());
        self.examples.insert(name.clone(), example);
        self.findings.push(Finding { name, count, message, steps, operations });
    }

    fn search_cycles(&mut self, limits: &Limits<'_>) {
        let graph = dependencies::build_graph(self.explainer.table, self.explainer.versions);
        let components = graph.components();
        if components.is_empty() {
            return;
        }
        let mut local = vec![NONE; graph.len()];
        let mut best: BTreeMap<&'static str, (usize, Cycle)> = BTreeMap::new();
        for component in &components {
            if (limits.expired)() {
                self.timed_out = true;
                break;
            }
            let ComponentCycles { cycles, undecided } =
                component::search_component(&graph, component, self.explainer.table, &mut local);
            self.undecided.extend(undecided);
            for (name, cycle) in cycles {
                let (count, smallest) = best.entry(name).or_insert_with(|| (0, cycle.clone()));
                *count += 1;
                if cycle < *smallest {
                    *smallest = cycle;
                }
            }
        }
        for (name, (count, cycle)) in best {
            let example = format!("{}: {name}", self.explainer.tell_cycle(&cycle));
            self.examples.insert(name.to_owned(), example);
            self.findings.push(self.explainer.build_finding(name, count, &cycle));
        }
    }

    fn build_verdict(mut self) -> Verdict {
        let names: BTreeSet<_> = self.findings.iter().map(|finding| finding.name.clone()).collect();
        let broken = level::broken_models(names.iter().map(String::as_str));
        let not = level::weakest_models(&broken);
        let undecided_models = level::broken_models(self.undecided.iter().copied());
        let validity = if broken.contains(self.level) {
            Validity::Invalid
        } else if self.timed_out || undecided_models.contains(self.level) {
            Validity::Unknown
        } else {
            Validity::Valid
        };
        self.findings.sort_by_key(|finding| severity_rank(&finding.name));
        let message = self.build_message(validity, &not);
        let measured = self.build_measurements(&not, &broken);
        let TxnExplainer { table, .. } = self.explainer;
        let stats = Stats {
            operations: table.txns.iter().filter(|txn| txn.kind != Kind::Fail).count(),
            keys: table.keys.len(),
            algorithm: Algorithm::Graph,
            ..Stats::default()
        };
        Verdict { validity, findings: self.findings, measured, stats, ..Verdict::unknown(message) }
    }

    fn build_message(&self, validity: Validity, not: &BTreeSet<&str>) -> String {
        let counts: Vec<_> = self
            .findings
            .iter()
            .map(|finding| format!("{} × {}", finding.count, finding.name))
            .collect();
        let (counts, not) = (counts.join(", "), Vec::from_iter(not.iter().copied()).join(", "));
        let level = self.level;
        match validity {
            Validity::Invalid => {
                let worst = self.findings.first();
                let example = worst.map_or("", |worst| {
                    self.examples.get(&worst.name).map_or(worst.message.as_str(), String::as_str)
                });
                format!("{example}; not {level} ({counts}{WEAKEST_MODELS}{not})")
            }
            Validity::Unknown if counts.is_empty() => {
                format!("time limit exceeded before {level} was decided")
            }
            Validity::Unknown => {
                format!(
                    "time limit exceeded before {level} was decided; anomalies so far: {counts}"
                )
            }
            Validity::Valid if counts.is_empty() => match self.explainer.data_type {
                DataType::Lists => format!("no anomaly: {level}"),
                DataType::Registers => {
                    format!("no anomaly in the values that were read: consistent with {level}")
                }
            },
            Validity::Valid => format!(
                "no violation of {level}; other anomalies: {counts}; weakest violated models: {not}"
            ),
        }
    }

    fn build_measurements(
        &self,
        not: &BTreeSet<&str>,
        broken: &BTreeSet<&str>,
    ) -> BTreeMap<String, Value> {
        let list = |names: Vec<&str>| Value::List(names.into_iter().map(Value::from).collect());
        let also = broken.difference(not).copied().collect();
        let mut measured = BTreeMap::from([("consistency".to_owned(), Value::from(self.level))]);
        if !broken.is_empty() {
            measured.insert("not".to_owned(), list(not.iter().copied().collect()));
            measured.insert("also-not".to_owned(), list(also));
        }
        let unwritten = item_anomalies::count_unwritten_reads(&self.explainer);
        if unwritten > 0 {
            measured.insert("unwritten-reads".to_owned(), Value::Int(unwritten as i64));
        }
        measured
    }
}

/// Sorts anomalies that violate the most models first; then by name.
fn severity_rank(name: &str) -> (usize, String) {
    (usize::MAX - level::broken_models([name]).len(), name.to_owned())
}
