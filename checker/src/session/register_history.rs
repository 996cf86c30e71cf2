//! Parses a history of registers: which write created each version, and when it took effect at the
//! earliest and at the latest.

use rustc_hash::FxHashMap;

use crate::history::{History, Value};
use crate::property::op::{Op, abbreviate};
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};
use crate::verdict::Keyed;

/// The index of a version in [`RegisterHistory::versions`].
pub(super) type VersionId = usize;

/// The initial version of every key.
pub(super) const INITIAL: VersionId = 0;

/// After every index.
pub(super) const NEVER: Option<u64> = Some(u64::MAX);

/// A version of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    /// Its write among [`RegisterHistory::ops`]; `None` for the initial version.
    pub(super) write: Option<usize>,
    /// It did not exist before this index; `None` for the initial version.
    pub(super) not_before: Option<u64>,
    /// It had taken effect by this index: [`NEVER`] if unknown, `None` for the initial version.
    pub(super) effective_by: Option<u64>,
    /// The time of the event with the index `effective_by`.
    pub(super) effective_time: u64,
}

/// A read of one version.
#[derive(Clone, Copy, Debug)]
pub(super) struct VersionRead {
    /// The operation among [`RegisterHistory::ops`].
    pub(super) op: usize,
    pub(super) key: usize,
    pub(super) version: VersionId,
}

/// A client's access to a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum SessionOp {
    /// It read a version.
    Read(VersionRead),
    /// It wrote a version, with or without an acknowledgement.
    Write { key: usize, version: VersionId, acknowledged: bool },
}

/// A read of a value that no write can have created.
struct UnwrittenRead<'h> {
    op: usize,
    key: usize,
    value: &'h Value,
    /// A failed write of the value.
    refused: Option<usize>,
}

/// A history of registers.
pub(super) struct RegisterHistory<'h> {
    pub(super) ops: Vec<Op<'h>>,
    /// The names of the keys; `None` if the history is one object.
    pub(super) keys: Vec<Option<Value>>,
    pub(super) versions: Vec<Version>,
    pub(super) reads: Vec<VersionRead>,
    /// The accesses of each operation, in order of invocation.
    pub(super) session_ops: Vec<(usize, SessionOp)>,
    /// The written versions of each key.
    pub(super) written: Vec<Vec<VersionId>>,
    unwritten: Vec<UnwrittenRead<'h>>,
}

impl<'h> RegisterHistory<'h> {
    pub(super) fn new(history: &'h History, keyed: Keyed) -> Result<Self, String> {
        let ops: Vec<Op<'_>> = history.operations().iter().map(Op::new).collect();
        let keyed = match keyed {
            Keyed::Yes => true,
            Keyed::No => false,
            Keyed::Auto => looks_keyed(&ops),
        };
        let mut reader = RegisterHistoryBuilder::new(history, ops, keyed);
        for op in 0..reader.history.ops.len() {
            reader.add_write(op)?;
        }
        for op in 0..reader.history.ops.len() {
            reader.parse_read(op)?;
        }
        let RegisterHistoryBuilder { mut history, chains, .. } = reader;
        history.session_ops.sort_by_key(|(op, _)| *op);
        history.tighten_bounds(&chains);
        Ok(history)
    }

    /// Whether one version had certainly taken effect before the other was written.
    pub(super) fn certainly_older(&self, one: VersionId, other: VersionId) -> bool {
        self.versions[one].effective_by < self.versions[other].not_before
    }

    /// ` of key "x"`
    pub(super) fn of_key(&self, key: usize) -> String {
        crate::property::op::key_suffix(self.keys[key].as_ref())
    }

    /// A version as text.
    pub(super) fn describe_version(&self, version: VersionId) -> String {
        match self.versions[version].write {
            Some(write) => abbreviate(self.value(write)),
            None => "the initial value".to_owned(),
        }
    }

    /// The write of a version as text.
    pub(super) fn describe_write(&self, version: VersionId) -> String {
        match self.versions[version].write {
            Some(write) => self.ops[write].describe(),
            None => "the initial value".to_owned(),
        }
    }

    fn value(&self, write: usize) -> &'h Value {
        let op = &self.ops[write];
        let value = match (op.input.as_pair(), self.keys[0].is_some()) {
            (Some((_, value)), true) => value,
            _ => op.input,
        };
        match (op.f, value.as_pair()) {
            ("cas", Some((_, new))) => new,
            _ => value,
        }
    }

    /// The replica that served an operation, or `unknown`.
    pub(super) fn replica(&self, op: usize) -> &'h str {
        self.ops[op].operation.node.as_deref().unwrap_or("unknown")
    }

    /// ` on n2`, or nothing if the replica is unknown.
    pub(super) fn node_suffix(&self, op: usize) -> String {
        self.ops[op].operation.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"))
    }

    /// Tightens the bounds of each version: a read that returned it and the successful
    /// compare-and-set that replaced it bound its effect from above; the version that its own
    /// compare-and-set replaced bounds it from below.
    fn tighten_bounds(&mut self, chains: &[(VersionId, VersionId)]) {
        for read in &self.reads {
            let (version, op) = (&mut self.versions[read.version], &self.ops[read.op]);
            if Some(op.end) < version.effective_by {
                (version.effective_by, version.effective_time) = (Some(op.end), op.completed_at());
            }
        }
        for (old, new) in chains {
            self.versions[*new].not_before =
                self.versions[*new].not_before.max(self.versions[*old].not_before);
        }
        for (old, new) in chains.iter().rev() {
            let (effective_by, time) =
                (self.versions[*new].effective_by, self.versions[*new].effective_time);
            if effective_by < self.versions[*old].effective_by {
                (self.versions[*old].effective_by, self.versions[*old].effective_time) =
                    (effective_by, time);
            }
        }
    }

    /// Reports reads of unwritten values and reads from the future.
    pub(super) fn report_impossible_reads(&self, builder: &mut VerdictBuilder) {
        for UnwrittenRead { op, key, value, refused } in &self.unwritten {
            let read = &self.ops[*op];
            let refused = refused.map(|write| &self.ops[write]);
            let why = refused.map_or_else(
                || "which no client wrote".to_owned(),
                |write| format!("but {} failed", write.describe()),
            );
            builder.add_case("unwritten-value", || AnomalyCase {
                message: format!(
                    "{} returned {}{}, {why}",
                    read.describe(),
                    abbreviate(value),
                    self.of_key(*key)
                ),
                operations: refused.into_iter().chain([read]).map(|op| op.begin).collect(),
                ..AnomalyCase::default()
            });
        }
        for VersionRead { op, key, version } in &self.reads {
            let (read, Some(write)) = (&self.ops[*op], self.versions[*version].write) else {
                continue;
            };
            let write = &self.ops[write];
            if read.end < write.begin {
                builder.add_case("future-read", || AnomalyCase {
                    message: format!(
                        "{} returned {}{} before {} began",
                        read.describe(),
                        self.describe_version(*version),
                        self.of_key(*key),
                        write.describe()
                    ),
                    steps: vec![read.step(
                        write,
                        "realtime",
                        "the read completed first".to_owned(),
                    )],
                    operations: vec![read.begin, write.begin],
                });
            }
        }
    }
}

fn is_write(op: &Op<'_>) -> bool {
    matches!(op.f, "write" | "cas")
}

/// Whether writes are `[key value]` and reads name a key or return a map of several. If no input
/// names a key, a read that returns a map decides.
fn looks_keyed(ops: &[Op<'_>]) -> bool {
    let is_keyed =
        |value: &Value| value.as_pair().is_some_and(|(key, _)| !matches!(key, Value::List(_)));
    let cas = |op: &Op<'_>| op.input.as_pair().is_some_and(|(_, cas)| cas.as_pair().is_some());
    let several = |op: &Op<'_>| matches!(op.output, Some(Value::Map(_)));
    let mut asked = ops.iter().filter(|op| is_write(op) || op.input.as_pair().is_some()).peekable();
    (asked.peek().is_some() || ops.iter().any(several))
        && asked.all(|op| is_keyed(op.input) && (op.f != "cas" || cas(op)))
        && ops
            .iter()
            .filter(|op| !is_write(op))
            .all(|op| is_keyed(op.input) || matches!(op.output, None | Some(Value::Map(_))))
}

/// Builds a [`RegisterHistory`]: first the writes, then the reads.
struct RegisterHistoryBuilder<'h> {
    history: RegisterHistory<'h>,
    keyed: bool,
    /// The values besides nil that stand for the initial version.
    initial: Option<&'h [Value]>,
    ids: FxHashMap<Value, usize>,
    values: FxHashMap<(usize, &'h Value), VersionId>,
    /// The values of failed writes.
    refused: FxHashMap<(usize, &'h Value), usize>,
    /// Successful compare-and-sets, as (old version, new version).
    chains: Vec<(VersionId, VersionId)>,
}

impl<'h> RegisterHistoryBuilder<'h> {
    fn new(history: &'h History, ops: Vec<Op<'h>>, keyed: bool) -> Self {
        let initial =
            Version { write: None, not_before: None, effective_by: None, effective_time: 0 };
        let register_history = RegisterHistory {
            ops,
            keys: Vec::new(),
            versions: vec![initial],
            reads: Vec::new(),
            session_ops: Vec::new(),
            written: Vec::new(),
            unwritten: Vec::new(),
        };
        Self {
            history: register_history,
            keyed,
            initial: history.initial(),
            ids: FxHashMap::default(),
            values: FxHashMap::default(),
            refused: FxHashMap::default(),
            chains: Vec::new(),
        }
    }

    fn intern_key(&mut self, name: Value) -> usize {
        let history = &mut self.history;
        let keyed = self.keyed;
        *self.ids.entry(name).or_insert_with_key(|name| {
            history.keys.push(keyed.then(|| name.clone()));
            history.written.push(Vec::new());
            history.keys.len() - 1
        })
    }

    fn split_key(&mut self, op: usize) -> Result<(usize, &'h Value), String> {
        let op = self.history.ops[op];
        if !self.keyed {
            return Ok((self.intern_key(Value::Nil), op.input));
        }
        let (key, value) =
            op.input.as_pair().ok_or_else(|| op.invalid_input("expected [key value]"))?;
        Ok((self.intern_key(key_name(key)), value))
    }

    fn add_write(&mut self, place: usize) -> Result<(), String> {
        let op = self.history.ops[place];
        if !is_write(&op) {
            return Ok(());
        }
        let (key, input) = self.split_key(place)?;
        let (old, value) = match (op.f, input.as_pair()) {
            ("cas", Some((old, new))) => (Some(old), new),
            ("cas", None) => return Err(op.invalid_input("expected [old new]")),
            _ => (None, input),
        };
        if !op.may_have_happened() {
            self.refused.insert((key, value), place);
            return Ok(());
        }
        if self.is_initial(value) {
            return Err(op.invalid_input(&format!(
                "{} is also the initial value, so reads of it are ambiguous",
                abbreviate(value)
            )));
        }
        let version = self.history.versions.len();
        if let Some(first) = self.values.insert((key, value), version) {
            let first = self.history.describe_write(first);
            return Err(
                op.invalid_input(&format!("values must be unique, but {first} wrote the same one"))
            );
        }
        let (not_before, effective_by, effective_time) =
            (Some(op.begin), Some(op.end), op.completed_at());
        self.history.versions.push(Version {
            write: Some(place),
            not_before,
            effective_by,
            effective_time,
        });
        self.history.written[key].push(version);
        let acknowledged = op.output.is_some();
        self.history.session_ops.push((place, SessionOp::Write { key, version, acknowledged }));
        if let Some(old) = old.filter(|_| acknowledged).and_then(|old| self.values.get(&(key, old)))
        {
            self.chains.push((*old, version));
        }
        Ok(())
    }

    fn parse_read(&mut self, place: usize) -> Result<(), String> {
        let op = self.history.ops[place];
        let output = match (op.f, op.output) {
            ("write" | "cas", _) | ("read", None) => return Ok(()),
            ("read", Some(output)) => output,
            _ => return Err(op.unknown_function("cas, read, write")),
        };
        match output {
            Value::Map(entries) if self.keyed => {
                for (key, value) in entries {
                    let key = self.intern_key(Value::from(key.as_str()));
                    self.add_read(place, key, value);
                }
            }
            Value::Nil if op.input.as_pair().is_some() || !self.keyed => {
                let (key, _) = self.split_key(place)?;
                self.add_read(place, key, output);
            }
            _ if !self.keyed => {
                let (key, _) = self.split_key(place)?;
                self.add_read(place, key, output);
            }
            _ => {
                let (asked, (key, value)) = (op.input.as_pair(), parse_pair(&op, output)?);
                if asked.is_some_and(|(asked, _)| asked != key) {
                    return Err(op.invalid_output(&format!("it is of another key, {key}")));
                }
                let key = self.intern_key(key_name(key));
                self.add_read(place, key, value);
            }
        }
        Ok(())
    }

    /// Whether a value stands for the initial version.
    fn is_initial(&self, value: &Value) -> bool {
        *value == Value::Nil || self.initial.is_some_and(|all| all.contains(value))
    }

    fn add_read(&mut self, op: usize, key: usize, value: &'h Value) {
        let version = match self.values.get(&(key, value)) {
            Some(version) => *version,
            None if self.is_initial(value) => INITIAL,
            None => {
                let refused = self.refused.get(&(key, value)).copied();
                return self.history.unwritten.push(UnwrittenRead { op, key, value, refused });
            }
        };
        let read = VersionRead { op, key, version };
        self.history.reads.push(read);
        self.history.session_ops.push((op, SessionOp::Read(read)));
    }
}

fn parse_pair<'h>(op: &Op<'h>, output: &'h Value) -> Result<(&'h Value, &'h Value), String> {
    output
        .as_pair()
        .ok_or_else(|| op.invalid_output(&format!("{} is not [key value]", abbreviate(output))))
}

/// The spelling of a key in maps, so that both spellings denote the same key.
fn key_name(key: &Value) -> Value {
    match key {
        Value::Str(_) => key.clone(),
        other => Value::from(other.to_string()),
    }
}
