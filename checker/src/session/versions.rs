//! Reads a history of registers: which write made each value, when it certainly was and was not there yet.

use rustc_hash::FxHashMap;

use crate::history::{History, Value};
use crate::property::objects::{Op, brief};
use crate::property::tally::{Case, Tally};
use crate::verdict::Keyed;

/// Place of a version in [`Record::versions`].
pub(super) type VersionId = usize;

/// What every key holds at first.
pub(super) const INITIAL: VersionId = 0;

/// After every index.
pub(super) const NEVER: Option<u64> = Some(u64::MAX);

/// A value of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    /// Its write among [`Record::ops`]; none, of what was there at first.
    pub(super) write: Option<usize>,
    /// Before this index it was not there; none, of what always was.
    pub(super) lo: Option<u64>,
    /// By this index it had been there: [`NEVER`], if nobody knows; none, of what always was.
    pub(super) hi: Option<u64>,
    /// The time of `hi`.
    pub(super) hi_time: u64,
}

/// A key's value as somebody read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// The operation among [`Record::ops`].
    pub(super) op: usize,
    pub(super) key: usize,
    pub(super) version: VersionId,
}

/// What a client did to a key, in the order in which it did.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// It was told a version.
    Read(Read),
    /// Its write of a version; acknowledged, if so said.
    Write { key: usize, version: VersionId, acknowledged: bool },
}

/// A read of a value that nobody may have written.
struct Unwritten<'h> {
    op: usize,
    key: usize,
    value: &'h Value,
    /// A write of it that failed.
    refused: Option<usize>,
}

/// A history of registers.
pub(super) struct Record<'h> {
    pub(super) ops: Vec<Op<'h>>,
    /// By name, where the history has keys.
    pub(super) keys: Vec<Option<Value>>,
    pub(super) versions: Vec<Version>,
    pub(super) reads: Vec<Read>,
    /// What each operation did, in order of invocation: (operation, deed).
    pub(super) deeds: Vec<(usize, Deed)>,
    /// Writes of each key.
    pub(super) written: Vec<Vec<VersionId>>,
    unwritten: Vec<Unwritten<'h>>,
}

impl<'h> Record<'h> {
    pub(super) fn of(history: &'h History, keyed: Keyed) -> Result<Self, String> {
        let ops: Vec<Op<'_>> = history.operations().iter().map(Op::whole).collect();
        let keyed = match keyed {
            Keyed::Yes => true,
            Keyed::No => false,
            Keyed::Auto => looks_keyed(&ops),
        };
        let mut reader = Reader::new(history, ops, keyed);
        for op in 0..reader.record.ops.len() {
            reader.write(op)?;
        }
        for op in 0..reader.record.ops.len() {
            reader.read(op)?;
        }
        let Reader { mut record, chains, .. } = reader;
        record.deeds.sort_by_key(|(op, _)| *op);
        record.settle(&chains);
        Ok(record)
    }

    /// Whether one version was surely replaced when the other came to be.
    pub(super) fn certainly_older(&self, one: VersionId, other: VersionId) -> bool {
        self.versions[one].hi < self.versions[other].lo
    }

    /// ` of key "x"`
    pub(super) fn of_key(&self, key: usize) -> String {
        crate::property::objects::of_key(self.keys[key].as_ref())
    }

    /// What a version is in a sentence.
    pub(super) fn told(&self, version: VersionId) -> String {
        match self.versions[version].write {
            Some(write) => brief(self.value(write)),
            None => "what was there at first".to_owned(),
        }
    }

    /// The write of a version in a sentence.
    pub(super) fn origin(&self, version: VersionId) -> String {
        match self.versions[version].write {
            Some(write) => self.ops[write].named(),
            None => "the beginning".to_owned(),
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

    /// The replica that served an operation, as far as is known.
    pub(super) fn replica(&self, op: usize) -> &'h str {
        self.ops[op].operation.node.as_deref().unwrap_or("unknown")
    }

    /// ` on n2`, if that is known.
    pub(super) fn on(&self, op: usize) -> String {
        self.ops[op].operation.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"))
    }

    /// Narrows down when versions came to be: not after a read returned them, nor after the successful
    /// compare-and-set that replaced them; not before what a compare-and-set replaced.
    fn settle(&mut self, chains: &[(VersionId, VersionId)]) {
        for read in &self.reads {
            let (version, op) = (&mut self.versions[read.version], &self.ops[read.op]);
            if Some(op.end) < version.hi {
                (version.hi, version.hi_time) = (Some(op.end), op.told_at());
            }
        }
        for (old, new) in chains {
            self.versions[*new].lo = self.versions[*new].lo.max(self.versions[*old].lo);
        }
        for (old, new) in chains.iter().rev() {
            let (hi, time) = (self.versions[*new].hi, self.versions[*new].hi_time);
            if hi < self.versions[*old].hi {
                (self.versions[*old].hi, self.versions[*old].hi_time) = (hi, time);
            }
        }
    }

    /// Convicts reads of values that were not there.
    pub(super) fn impossible(&self, tally: &mut Tally) {
        for Unwritten { op, key, value, refused } in &self.unwritten {
            let read = &self.ops[*op];
            let refused = refused.map(|write| &self.ops[write]);
            let why = refused.map_or_else(
                || "which nobody wrote".to_owned(),
                |write| format!("but {} had failed", write.named()),
            );
            tally.found("unwritten-value", || Case {
                message: format!(
                    "{} returned {}{}, {why}",
                    read.named(),
                    brief(value),
                    self.of_key(*key)
                ),
                operations: refused.into_iter().chain([read]).map(|op| op.begin).collect(),
                ..Case::default()
            });
        }
        for Read { op, key, version } in &self.reads {
            let (read, Some(write)) = (&self.ops[*op], self.versions[*version].write) else {
                continue;
            };
            let write = &self.ops[write];
            if read.end < write.begin {
                tally.found("future-read", || Case {
                    message: format!(
                        "{} returned {}{} before {} began",
                        read.named(),
                        self.told(*version),
                        self.of_key(*key),
                        write.named()
                    ),
                    steps: vec![read.step(write, "realtime", "the read was over first".to_owned())],
                    operations: vec![read.begin, write.begin],
                });
            }
        }
    }
}

fn is_write(op: &Op<'_>) -> bool {
    matches!(op.f, "write" | "cas")
}

/// Whether writes are `[key value]` and reads ask for a key, or for several at once. Where nobody names a key, reads of
/// several say so.
fn looks_keyed(ops: &[Op<'_>]) -> bool {
    let pair =
        |value: &Value| value.as_pair().is_some_and(|(key, _)| !matches!(key, Value::List(_)));
    let cas = |op: &Op<'_>| op.input.as_pair().is_some_and(|(_, cas)| cas.as_pair().is_some());
    let several = |op: &Op<'_>| matches!(op.output, Some(Value::Map(_)));
    let mut asked = ops.iter().filter(|op| is_write(op) || op.input.as_pair().is_some()).peekable();
    (asked.peek().is_some() || ops.iter().any(several))
        && asked.all(|op| pair(op.input) && (op.f != "cas" || cas(op)))
        && ops
            .iter()
            .filter(|op| !is_write(op))
            .all(|op| pair(op.input) || matches!(op.output, None | Some(Value::Map(_))))
}

/// Makes a record, writes first.
struct Reader<'h> {
    record: Record<'h>,
    keyed: bool,
    /// What stands for nothing written yet, beside nil.
    initial: Option<&'h [Value]>,
    ids: FxHashMap<Value, usize>,
    values: FxHashMap<(usize, &'h Value), VersionId>,
    /// Values of writes that failed.
    refused: FxHashMap<(usize, &'h Value), usize>,
    /// Successful compare-and-sets: from which version to which.
    chains: Vec<(VersionId, VersionId)>,
}

impl<'h> Reader<'h> {
    fn new(history: &'h History, ops: Vec<Op<'h>>, keyed: bool) -> Self {
        let initial = Version { write: None, lo: None, hi: None, hi_time: 0 };
        let record = Record {
            ops,
            keys: Vec::new(),
            versions: vec![initial],
            reads: Vec::new(),
            deeds: Vec::new(),
            written: Vec::new(),
            unwritten: Vec::new(),
        };
        Self {
            record,
            keyed,
            initial: history.initial(),
            ids: FxHashMap::default(),
            values: FxHashMap::default(),
            refused: FxHashMap::default(),
            chains: Vec::new(),
        }
    }

    fn key(&mut self, name: Value) -> usize {
        let record = &mut self.record;
        let keyed = self.keyed;
        *self.ids.entry(name).or_insert_with_key(|name| {
            record.keys.push(keyed.then(|| name.clone()));
            record.written.push(Vec::new());
            record.keys.len() - 1
        })
    }

    fn split(&mut self, op: usize) -> Result<(usize, &'h Value), String> {
        let op = self.record.ops[op];
        if !self.keyed {
            return Ok((self.key(Value::Nil), op.input));
        }
        let (key, value) =
            op.input.as_pair().ok_or_else(|| op.bad_input("it is not about [key value]"))?;
        Ok((self.key(name(key)), value))
    }

    fn write(&mut self, place: usize) -> Result<(), String> {
        let op = self.record.ops[place];
        if !is_write(&op) {
            return Ok(());
        }
        let (key, input) = self.split(place)?;
        let (old, value) = match (op.f, input.as_pair()) {
            ("cas", Some((old, new))) => (Some(old), new),
            ("cas", None) => return Err(op.bad_input("it is not [old new]")),
            _ => (None, input),
        };
        if !op.possible() {
            self.refused.insert((key, value), place);
            return Ok(());
        }
        if self.is_initial(value) {
            return Err(op.bad_input(&format!(
                "{} was there at first, so nobody could say which of the two was read",
                brief(value)
            )));
        }
        let version = self.record.versions.len();
        if let Some(first) = self.values.insert((key, value), version) {
            let first = self.record.origin(first);
            return Err(
                op.bad_input(&format!("values must differ, and {first} wrote this one too"))
            );
        }
        let (lo, hi, hi_time) = (Some(op.begin), Some(op.end), op.told_at());
        self.record.versions.push(Version { write: Some(place), lo, hi, hi_time });
        self.record.written[key].push(version);
        let acknowledged = op.output.is_some();
        self.record.deeds.push((place, Deed::Write { key, version, acknowledged }));
        if let Some(old) = old.filter(|_| acknowledged).and_then(|old| self.values.get(&(key, old)))
        {
            self.chains.push((*old, version));
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> Result<(), String> {
        let op = self.record.ops[place];
        let output = match (op.f, op.output) {
            ("write" | "cas", _) | ("read", None) => return Ok(()),
            ("read", Some(output)) => output,
            _ => return Err(op.unknown_function("cas, read, write")),
        };
        match output {
            Value::Map(entries) if self.keyed => {
                for (key, value) in entries {
                    let key = self.key(Value::from(key.as_str()));
                    self.told(place, key, value);
                }
            }
            Value::Nil if op.input.as_pair().is_some() || !self.keyed => {
                let (key, _) = self.split(place)?;
                self.told(place, key, output);
            }
            _ if !self.keyed => {
                let (key, _) = self.split(place)?;
                self.told(place, key, output);
            }
            _ => {
                let (asked, (key, value)) = (op.input.as_pair(), pair(&op, output)?);
                if asked.is_some_and(|(asked, _)| asked != key) {
                    return Err(op.bad_output(&format!("it was answered about key {key}")));
                }
                let key = self.key(name(key));
                self.told(place, key, value);
            }
        }
        Ok(())
    }

    /// Whether a value stands for nothing written yet.
    fn is_initial(&self, value: &Value) -> bool {
        *value == Value::Nil || self.initial.is_some_and(|all| all.contains(value))
    }

    fn told(&mut self, op: usize, key: usize, value: &'h Value) {
        let version = match self.values.get(&(key, value)) {
            Some(version) => *version,
            None if self.is_initial(value) => INITIAL,
            None => {
                let refused = self.refused.get(&(key, value)).copied();
                return self.record.unwritten.push(Unwritten { op, key, value, refused });
            }
        };
        let read = Read { op, key, version };
        self.record.reads.push(read);
        self.record.deeds.push((op, Deed::Read(read)));
    }
}

fn pair<'h>(op: &Op<'h>, output: &'h Value) -> Result<(&'h Value, &'h Value), String> {
    output.as_pair().ok_or_else(|| op.bad_output(&format!("{} is not [key value]", brief(output))))
}

/// A key as maps spell it, so that both ways to name it meet.
fn name(key: &Value) -> Value {
    match key {
        Value::Str(_) => key.clone(),
        other => Value::from(other.to_string()),
    }
}
