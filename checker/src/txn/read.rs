//! Reads transactions out of a history: what each read and wrote, and whether it happened.

use crate::history::{History, Kind, Operation, Process, Value};

/// One step of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Micro<'h> {
    /// What a key had; nil where that is not known or nothing was there.
    Read(&'h Value, &'h Value),
    /// What a key was given.
    Write(&'h Value, &'h Value),
}

/// One transaction.
#[derive(Debug)]
pub(super) struct Txn<'h> {
    /// The index of its invocation: its name, and where it began.
    pub(super) invoked: u64,
    /// Where it was known to be over.
    pub(super) completed: Option<u64>,
    /// `Ok`, `Fail` or `Info`.
    pub(super) kind: Kind,
    pub(super) process: Process,
    pub(super) micros: Vec<Micro<'h>>,
}

impl Txn<'_> {
    /// Whether it certainly happened.
    pub(super) fn is_committed(&self) -> bool {
        self.kind == Kind::Ok
    }

    /// How it is called in a sentence.
    pub(super) fn name(&self) -> String {
        format!("T{} ({})", self.invoked, self.process)
    }
}

/// Every transaction, in order of invocation.
pub(super) fn txns<'h>(history: &'h History, write: &str) -> Result<Vec<Txn<'h>>, String> {
    history.operations().iter().map(|operation| txn(operation, write)).collect()
}

fn txn<'h>(operation: &'h Operation, write: &str) -> Result<Txn<'h>, String> {
    let kind = operation.kind();
    let value = match &operation.completion {
        Some(completion) if kind == Kind::Ok => &completion.output,
        _ => &operation.input,
    };
    let at = |what: String| format!("operation {}: {what}", operation.invoked.index);
    let Value::List(steps) = value else {
        return Err(at(format!("{value} is not a list of micro-operations")));
    };
    let micros: Result<Vec<Micro<'h>>, String> =
        steps.iter().map(|step| micro(step, write)).collect();
    let micros = micros.map_err(&at)?;
    if let (Kind::Ok, Value::List(asked)) = (kind, &operation.input)
        && asked.len() != micros.len()
    {
        return Err(at(format!("it asked for {} steps and got {}", asked.len(), micros.len())));
    }
    Ok(Txn {
        invoked: operation.invoked.index,
        completed: operation.completion.as_ref().filter(|_| kind == Kind::Ok).map(|it| it.at.index),
        kind,
        process: operation.process,
        micros,
    })
}

fn micro<'h>(step: &'h Value, write: &str) -> Result<Micro<'h>, String> {
    let Value::List(parts) = step else {
        return Err(format!("{step} is not a micro-operation"));
    };
    match parts.as_slice() {
        [Value::Str(f), key, value] if f == "r" => Ok(Micro::Read(key, value)),
        [Value::Str(f), key, value] if f == write => Ok(Micro::Write(key, value)),
        _ => Err(format!("{step} is neither [\"r\" key value] nor [\"{write}\" key value]")),
    }
}
