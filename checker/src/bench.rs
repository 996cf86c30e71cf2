//! Generates the histories that checkers are benchmarked with, from a seed and a correct object.
//!
//! [`rows`] lists every history of the table; a caller with a clock times
//! [`crate::check_linearizable`] on each. Histories are as concurrent as the clients allow: each
//! call is invoked, takes effect and returns in three turns of its client, and the next client is
//! drawn at random.

use std::collections::VecDeque;

use crate::history::{Event, History, Kind, Process, Value};

/// The object that the clients share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchObject {
    /// A register.
    Register,
    /// A queue, first in, first out.
    Queue,
    /// A stack.
    Stack,
    /// Ten keys whose texts are appended to and sometimes replaced.
    Texts,
}

/// Keys of [`BenchObject::Texts`].
const KEYS: u64 = 10;

impl BenchObject {
    /// The name of its model.
    pub const fn model_name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Queue => "fifo-queue",
            Self::Stack => "stack",
            Self::Texts => "kv",
        }
    }

    /// The functions that put a value in and get one out.
    const fn function_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Register => ("write", "read"),
            Self::Queue => ("enqueue", "dequeue"),
            Self::Stack => ("push", "pop"),
            Self::Texts => ("append", "get"),
        }
    }
}

/// What history to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRecipe {
    /// The object.
    pub object: BenchObject,
    /// The seed.
    pub seed: u64,
    /// The number of operations.
    pub operations: usize,
    /// The number of concurrent clients.
    pub clients: usize,
    /// The number of distinct written values; `None` if every write has its own.
    pub values: Option<i64>,
    /// Unknown outcomes per thousand operations.
    pub lost: u64,
    /// Whether the last read returns a value that was never written.
    pub lies: bool,
}

/// A row of the benchmark table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchRow {
    /// Its name in the table.
    pub name: &'static str,
    /// How its history is generated.
    pub recipe: HistoryRecipe,
}

/// Every history of the table.
pub fn rows() -> Vec<BenchRow> {
    let row = |name, operations, clients, values, lost| {
        let object = BenchObject::Register;
        let recipe =
            HistoryRecipe { object, seed: 7, operations, clients, values, lost, lies: false };
        BenchRow { name, recipe }
    };
    let of = |object, mut row: BenchRow| {
        row.recipe.object = object;
        row
    };
    let wrong = |mut row: BenchRow| {
        row.recipe.lies = true;
        row
    };
    vec![
        of(BenchObject::Texts, row("A4 texts that grow", 2024, 50, None, 0)),
        wrong(of(BenchObject::Texts, row("A4 texts that grow, wrong", 2024, 50, None, 0))),
        row("A6 unique values", 100_000, 5, None, 0),
        row("A6 values 0-4", 100_000, 5, Some(5), 0),
        row("A7 unique values", 10_000, 20, None, 0),
        row("A7 values 0-4", 10_000, 20, Some(5), 0),
        row("A8 unique values", 1_000, 40, None, 0),
        row("A8 values 0-4", 1_000, 40, Some(5), 0),
        of(BenchObject::Stack, row("A9 stack, unique values", 510, 10, None, 0)),
        of(BenchObject::Queue, row("A10 queue, unique values", 10_000, 10, None, 0)),
        row("10 % lost, values 0-4", 3_000, 10, Some(5), 100),
        wrong(row("1 % lost, values 0-4, wrong", 10_000, 10, Some(5), 10)),
        wrong(row("A8 values 0-4, wrong", 1_000, 40, Some(5), 0)),
        row("1 M, unique values, 1 % lost", 1_000_000, 20, None, 10),
        row("10 M, unique values, 1 % lost", 10_000_000, 20, None, 10),
    ]
}

/// Many keys, each a register with a thousand operations that need a search.
pub fn keyed_history(count: u64) -> History {
    let mut events = Vec::new();
    for key in 0..count {
        let recipe = HistoryRecipe {
            object: BenchObject::Register,
            seed: key,
            operations: 1000,
            clients: 16,
            values: Some(5),
            lost: 0,
            lies: false,
        };
        for event in recipe.make_history().events() {
            let index = events.len() as u64;
            let Process::Client(process) = event.process else { continue };
            let process = Process::Client(process + key * 16);
            let value = Value::pair(Value::Int(key as i64), event.value.clone());
            events.push(Event { index, time: index * 1_000, process, value, ..event.clone() });
        }
    }
    History::new(events).expect("each client does one thing at a time")
}

impl HistoryRecipe {
    /// Generates the history, the same every time.
    pub fn make_history(self) -> History {
        let mut shared = SharedObject {
            recipe: self,
            draw: Draw(self.seed),
            events: Vec::with_capacity(2 * self.operations),
            held: VecDeque::new(),
            clients: (0..self.clients as u64).map(BenchClient::new).collect(),
            begun: 0,
        };
        while shared.begun < self.operations {
            let client = shared.draw.below(self.clients as u64) as usize;
            shared.run_client(client);
        }
        for client in (0..self.clients).flat_map(|client| [client; 2]) {
            shared.finish_call(client);
        }
        if self.lies {
            shared.falsify_reads();
        }
        History::new(shared.events).expect("each client does one thing at a time")
    }
}

struct BenchClient {
    process: u64,
    call: Option<(&'static str, Value)>,
    answer: Option<Value>,
}

impl BenchClient {
    const fn new(process: u64) -> Self {
        Self { process, call: None, answer: None }
    }
}

struct SharedObject {
    recipe: HistoryRecipe,
    draw: Draw,
    events: Vec<Event>,
    held: VecDeque<Value>,
    clients: Vec<BenchClient>,
    begun: usize,
}

impl SharedObject {
    fn run_client(&mut self, client: usize) {
        if self.clients[client].call.is_some() {
            return self.finish_call(client);
        }
        let (put, look) = self.recipe.object.function_names();
        let call = if self.recipe.object == BenchObject::Texts {
            self.begin_text_call()
        } else if self.draw.below(2) == 0 {
            (look, Value::Nil)
        } else {
            let number = self.begun as i64;
            let most = self.recipe.values.unwrap_or(i64::MAX);
            let number =
                if most == i64::MAX { number } else { self.draw.below(most as u64) as i64 };
            (put, Value::Int(number))
        };
        self.begun += 1;
        self.push_event(self.clients[client].process, Kind::Invoke, call.0, call.1.clone());
        self.clients[client].call = Some(call);
    }

    fn begin_text_call(&mut self) -> (&'static str, Value) {
        let key = Value::Int(self.draw.below(KEYS) as i64);
        match self.draw.below(20) {
            0..10 => ("get", Value::pair(key, Value::Nil)),
            10..19 => ("append", Value::pair(key, format!("x {} y", self.begun))),
            _ => ("put", Value::pair(key, format!("x {} y", self.begun))),
        }
    }

    /// Lets an open call take effect, or one that has taken effect return.
    fn finish_call(&mut self, client: usize) {
        let Some((f, input)) = self.clients[client].call.clone() else { return };
        let process = self.clients[client].process;
        match self.clients[client].answer.take() {
            None => {
                let answer = self.apply_call(f, input);
                self.clients[client].answer = Some(answer);
            }
            Some(_) if self.draw.below(1000) < self.recipe.lost => {
                self.push_event(process, Kind::Info, f, input);
                self.clients[client] = BenchClient::new(process + self.recipe.clients as u64);
            }
            Some(answer) => {
                self.push_event(process, Kind::Ok, f, answer);
                self.clients[client].call = None;
            }
        }
    }

    fn apply_call(&mut self, f: &str, input: Value) -> Value {
        if self.recipe.object == BenchObject::Texts {
            return self.text_of(f, input);
        }
        let object = self.recipe.object;
        let puts = f == object.function_names().0;
        if puts {
            if object == BenchObject::Register {
                self.held.clear();
            }
            self.held.push_back(input.clone());
        }
        let found = match object {
            _ if puts => Some(input),
            BenchObject::Register => self.held.front().cloned(),
            BenchObject::Queue => self.held.pop_front(),
            BenchObject::Stack => self.held.pop_back(),
            BenchObject::Texts => None,
        };
        found.unwrap_or_default()
    }

    /// The text of a key after the call.
    fn text_of(&mut self, f: &str, input: Value) -> Value {
        let Some((Value::Int(key), part)) = input.as_pair() else { return Value::Nil };
        self.held.resize(KEYS as usize, Value::from(""));
        let held = &mut self.held[*key as usize];
        *held = match (f, part, &*held) {
            ("append", Value::Str(part), Value::Str(text)) => Value::from(format!("{text}{part}")),
            ("put", part, _) => part.clone(),
            (_, _, held) => return Value::pair(*key, held.clone()),
        };
        input
    }

    fn falsify_reads(&mut self) {
        let process = self.clients.iter().map(|client| client.process).max().unwrap_or(0) + 1;
        let (_, look) = self.recipe.object.function_names();
        let (asked, told) = match self.recipe.object {
            BenchObject::Texts => (Value::pair(0, Value::Nil), Value::pair(0, self.swap_values())),
            _ => (Value::Nil, Value::Int(-1)),
        };
        self.push_event(process, Kind::Invoke, look, asked);
        self.push_event(process, Kind::Ok, look, told);
    }

    /// The first key's text with its last two parts swapped.
    fn swap_values(&self) -> String {
        let Some(Value::Str(text)) = self.held.front() else { return String::new() };
        let mut parts: Vec<&str> = text.split_inclusive('y').collect();
        if let [.., one, other] = &mut parts[..] {
            std::mem::swap(one, other);
        }
        parts.concat()
    }

    fn push_event(&mut self, process: u64, kind: Kind, f: &str, value: Value) {
        let index = self.events.len() as u64;
        let process = Process::Client(process);
        let f = f.into();
        let time = index * 1_000;
        self.events.push(Event { index, time, kind, process, f, value, node: None, error: None });
    }
}

/// A portable stream of pseudo-random numbers (splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn recipes_are_deterministic_and_row_names_unique() {
        let rows = rows();
        for (place, row) in rows.iter().enumerate() {
            assert!(rows[..place].iter().all(|other| other.name != row.name));
        }
        let recipe = rows[4].recipe;
        assert_eq!(recipe.make_history(), recipe.make_history());
        assert_eq!(recipe.make_history().operations().len(), recipe.operations);
    }
}
