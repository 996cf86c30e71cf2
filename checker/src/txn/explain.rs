//! Explains cycles in Elle's style: what each transaction observed or missed of the next.

use super::component::Cycle;
use super::graph::Relation;
use super::options::DataType;
use super::table::{NONE, Txn, TxnTable};
use super::versions::Versions;
use crate::finding::{Finding, Step};
use crate::history::{Operation, Value};

/// The number of items shown of a long list.
const SHOWN: usize = 8;

/// The data that explanations quote.
pub(super) struct TxnExplainer<'l, 'h> {
    pub(super) operations: &'h [Operation],
    pub(super) data_type: DataType,
    pub(super) table: &'l TxnTable<'h>,
    pub(super) versions: &'l Versions,
}

impl TxnExplainer<'_, '_> {
    /// The finding that a cycle proves.
    pub(super) fn build_finding(&self, name: &str, count: usize, cycle: &Cycle) -> Finding {
        let links = &cycle.links;
        let after = |place: usize| (place + 1) % links.len();
        let steps: Vec<_> =
            (0..links.len()).map(|place| self.build_step(links, place, after(place))).collect();
        let transactions: Vec<_> = links
            .iter()
            .enumerate()
            .map(|(place, (txn, _))| format!("T{} = {}", place + 1, self.describe(*txn)))
            .collect();
        let cycle_names: Vec<_> =
            (0..=links.len()).map(|place| format!("T{}", place % links.len() + 1)).collect();
        Finding {
            name: name.to_owned(),
            count,
            message: format!("{}, where {}", cycle_names.join(" < "), transactions.join("; ")),
            steps,
            operations: links.iter().map(|(txn, _)| self.txn(*txn).invoked).collect(),
        }
    }

    fn build_step(&self, links: &[(u32, Relation)], place: usize, after: usize) -> Step {
        let ((from, relation), (to, _)) = (links[place], links[after]);
        let (one, other) = (format!("T{}", place + 1), format!("T{}", after + 1));
        let why = self.explain_edge(from, to, relation, (&one, &other));
        let message = if after == 0 {
            format!("However, {one} < {other}, because {why}: a contradiction!")
        } else {
            format!("{one} < {other}, because {why}")
        };
        Step {
            from: self.txn(from).invoked,
            to: self.txn(to).invoked,
            relation: relation.name().to_owned(),
            message,
        }
    }

    fn explain_edge(&self, from: u32, to: u32, relation: Relation, names: (&str, &str)) -> String {
        let (one, other) = names;
        let data = match relation {
            Relation::Ww => self.explain_ww(from, to, names),
            Relation::Wr => self.explain_wr(from, to, names),
            Relation::Rw => self.explain_rw(from, to, names),
            Relation::Process => {
                let actor = self.operations[self.txn(from).operation as usize].actor();
                Some(format!("{actor} completed {one} before {other}"))
            }
            Relation::Realtime | Relation::Via => {
                let (ended, began) = (self.txn(from).completed, self.txn(to).invoked);
                Some(format!(
                    "{one} completed (index {ended}) before {other} began (index \
                    {began})"
                ))
            }
        };
        data.unwrap_or_else(|| format!("{one} precedes {other}"))
    }

    fn explain_ww(&self, from: u32, to: u32, (one, other): (&str, &str)) -> Option<String> {
        let written = self.table.accesses(from).iter().filter(|access| access.write);
        let (before, next) =
            written.flat_map(|access| self.successors_by(access.element, to)).next()?;
        let (key, before, next) = (self.key(next), self.value(before), self.value(next));
        Some(match self.data_type {
            DataType::Lists => {
                format!("{other} appended {next} to key {key} after {one} appended {before}")
            }
            DataType::Registers => {
                format!("{other} overwrote {one}'s {before} in key {key} with {next}")
            }
        })
    }

    fn explain_wr(&self, from: u32, to: u32, (one, other): (&str, &str)) -> Option<String> {
        let mut reads =
            self.table.accesses(to).iter().filter(|access| !access.write && access.element != NONE);
        let version = reads.find(|read| self.table.writer(read.element) == from)?.element;
        let (key, value) = (self.key(version), self.value(version));
        Some(match self.data_type {
            DataType::Lists => format!("{other} observed {one}'s append of {value} to key {key}"),
            DataType::Registers => {
                format!("{other} observed {one}'s write of {value} to key {key}")
            }
        })
    }

    fn explain_rw(&self, from: u32, to: u32, (one, other): (&str, &str)) -> Option<String> {
        let reads = self.table.accesses(from).iter().filter(|access| !access.write);
        let mut pairs = reads.flat_map(|read| self.successors_by(self.table.version(*read), to));
        let (before, next) = pairs.next()?;
        let (key, value) = (self.key(next), self.value(next));
        Some(match (self.data_type, self.table.element(before)) {
            (_, None) => format!(
                "{one} observed the initial state of key {key}, which {other} changed to {value}"
            ),
            (DataType::Lists, _) => {
                format!("{one} did not observe {other}'s append of {value} to key {key}")
            }
            (DataType::Registers, Some(before)) => {
                format!(
                    "{one} observed {} in key {key}, which {other} overwrote with {value}",
                    before.value
                )
            }
        })
    }

    /// Pairs of the version and those of its successors that a transaction wrote.
    pub(super) fn successors_by(
        &self,
        version: u32,
        writer: u32,
    ) -> impl Iterator<Item = (u32, u32)> + '_ {
        let next = self.versions.next(version).iter();
        next.filter(move |next| self.table.writer(**next) == writer)
            .map(move |next| (version, *next))
    }

    pub(super) fn txn(&self, txn: u32) -> &Txn {
        &self.table.txns[txn as usize]
    }

    pub(super) fn key(&self, element: u32) -> &Value {
        let key = self.table.elements[element as usize].key;
        self.table.keys[key as usize].value
    }

    pub(super) fn value(&self, version: u32) -> &Value {
        self.table.element(version).map_or(&Value::Nil, |element| element.value)
    }

    /// The author of a transaction, as messages name it.
    pub(super) fn client(&self, txn: u32) -> String {
        self.operations[self.txn(txn).operation as usize].actor().to_string()
    }

    /// The micro-operations and the index of a transaction.
    pub(super) fn describe(&self, txn: u32) -> String {
        let operation = &self.operations[self.txn(txn).operation as usize];
        let completion = operation.completion.as_ref().filter(|_| operation.is_ok());
        let value = completion.map_or(&operation.input, |completion| &completion.output);
        let steps: Vec<_> = match value {
            Value::List(steps) => steps.iter().map(format_micro_op).collect(),
            other => vec![other.to_string()],
        };
        format!("[{}] (index {})", steps.join(", "), operation.invoked.index)
    }
}

/// A micro-operation as text, such as `append x 1`.
fn format_micro_op(step: &Value) -> String {
    match step {
        Value::List(parts) => match &**parts {
            [Value::Str(f), key, value] => format!("{f} {key} {}", shorten_list(value)),
            _ => step.to_string(),
        },
        _ => step.to_string(),
    }
}

/// A value as text; a long list is shortened to its last items.
pub(super) fn shorten_list(value: &Value) -> String {
    match value {
        Value::List(items) if items.len() > SHOWN => {
            let end: Vec<_> =
                items[items.len() - SHOWN..].iter().map(ToString::to_string).collect();
            format!("[… {}]", end.join(" "))
        }
        other => other.to_string(),
    }
}

/// The transactions and steps of a finding as a graph in DOT.
pub fn dot(finding: &Finding) -> String {
    let mut graph = petgraph::graph::DiGraph::<String, &str>::new();
    let mut nodes = std::collections::BTreeMap::new();
    for operation in &finding.operations {
        let name = format!("T{} (index {operation})", nodes.len() + 1);
        nodes.entry(*operation).or_insert_with(|| graph.add_node(name));
    }
    for step in &finding.steps {
        if let (Some(from), Some(to)) = (nodes.get(&step.from), nodes.get(&step.to)) {
            graph.add_edge(*from, *to, &step.relation);
        }
    }
    petgraph::dot::Dot::new(&graph).to_string()
}
