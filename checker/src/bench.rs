//! Makes the histories that checkers are timed with: what the clients of one correct object were
//! told, drawn from a seed.
//!
//! [`rows`] names every history of the table, and whoever holds a clock times
//! [`crate::check_linearizable`] on each. A history is drawn with as much concurrency as its
//! clients allow: each call begins, takes effect and returns in three turns of its client, and whose
//! turn it is is drawn anew each time.

use std::collections::VecDeque;

use crate::history::{Event, History, Kind, Process, Value};

/// What the clients share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A cell that is written and read.
    Register,
    /// A queue, first in, first out.
    Queue,
    /// A stack.
    Stack,
    /// Ten keys whose texts grow by appends, and now and then are put anew.
    Texts,
}

/// Keys of [`Object::Texts`].
const KEYS: u64 = 10;

impl Object {
    /// The model that specifies it.
    pub const fn model(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Queue => "fifo-queue",
            Self::Stack => "stack",
            Self::Texts => "kv",
        }
    }

    /// What puts a value there, and what looks for one.
    const fn functions(self) -> (&'static str, &'static str) {
        match self {
            Self::Register => ("write", "read"),
            Self::Queue => ("enqueue", "dequeue"),
            Self::Stack => ("push", "pop"),
            Self::Texts => ("append", "get"),
        }
    }
}

/// A history to make: how much of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What the object is.
    pub object: Object,
    /// Where the draws start.
    pub seed: u64,
    /// How many operations.
    pub operations: usize,
    /// How many clients at a time.
    pub clients: usize,
    /// How many values are written, or `None` if every write has its own.
    pub values: Option<i64>,
    /// How many of a thousand answers are lost.
    pub lost: u64,
    /// Whether the last read returns what nobody wrote.
    pub lies: bool,
}

/// A line of the table: what is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in the table.
    pub name: &'static str,
    /// How its history is made.
    pub recipe: Recipe,
}

/// Every history of the table.
pub fn rows() -> Vec<Row> {
    let row = |name, operations, clients, values, lost| {
        let object = Object::Register;
        let recipe = Recipe { object, seed: 7, operations, clients, values, lost, lies: false };
        Row { name, recipe }
    };
    let of = |object, mut row: Row| {
        row.recipe.object = object;
        row
    };
    let wrong = |mut row: Row| {
        row.recipe.lies = true;
        row
    };
    vec![
        of(Object::Texts, row("A4 texts that grow", 2024, 50, None, 0)),
        wrong(of(Object::Texts, row("A4 texts that grow, wrong", 2024, 50, None, 0))),
        row("A6 unique values", 100_000, 5, None, 0),
        row("A6 values 0-4", 100_000, 5, Some(5), 0),
        row("A7 unique values", 10_000, 20, None, 0),
        row("A7 values 0-4", 10_000, 20, Some(5), 0),
        row("A8 unique values", 1_000, 40, None, 0),
        row("A8 values 0-4", 1_000, 40, Some(5), 0),
        of(Object::Stack, row("A9 stack, unique values", 510, 10, None, 0)),
        of(Object::Queue, row("A10 queue, unique values", 10_000, 10, None, 0)),
        row("10 % lost, values 0-4", 3_000, 10, Some(5), 100),
        wrong(row("1 % lost, values 0-4, wrong", 10_000, 10, Some(5), 10)),
        wrong(row("A8 values 0-4, wrong", 1_000, 40, Some(5), 0)),
        row("1 M, unique values, 1 % lost", 1_000_000, 20, None, 10),
        row("10 M, unique values, 1 % lost", 10_000_000, 20, None, 10),
    ]
}

/// Many keys, each a register of a thousand operations that a search has to look at.
pub fn keys(count: u64) -> History {
    let mut events = Vec::new();
    for key in 0..count {
        let recipe = Recipe {
            object: Object::Register,
            seed: key,
            operations: 1000,
            clients: 16,
            values: Some(5),
            lost: 0,
            lies: false,
        };
        for event in recipe.history().events() {
            let index = events.len() as u64;
            let Process::Client(process) = event.process else { continue };
            let process = Process::Client(process + key * 16);
            let value = Value::pair(Value::Int(key as i64), event.value.clone());
            events.push(Event { index, time: index * 1_000, process, value, ..event.clone() });
        }
    }
    History::new(events).expect("each client does one thing at a time")
}

impl Recipe {
    /// The history of the object, made the same every time.
    pub fn history(self) -> History {
        let mut shared = Shared {
            recipe: self,
            draw: Draw(self.seed),
            events: Vec::with_capacity(2 * self.operations),
            held: VecDeque::new(),
            clients: (0..self.clients as u64).map(Client::new).collect(),
            begun: 0,
        };
        while shared.begun < self.operations {
            let client = shared.draw.below(self.clients as u64) as usize;
            shared.turn(client);
        }
        for client in (0..self.clients).flat_map(|client| [client; 2]) {
            shared.finish(client);
        }
        if self.lies {
            shared.lie();
        }
        History::new(shared.events).expect("each client does one thing at a time")
    }
}

struct Client {
    process: u64,
    call: Option<(&'static str, Value)>,
    answer: Option<Value>,
}

impl Client {
    const fn new(process: u64) -> Self {
        Self { process, call: None, answer: None }
    }
}

struct Shared {
    recipe: Recipe,
    draw: Draw,
    events: Vec<Event>,
    held: VecDeque<Value>,
    clients: Vec<Client>,
    begun: usize,
}

impl Shared {
    fn turn(&mut self, client: usize) {
        if self.clients[client].call.is_some() {
            return self.finish(client);
        }
        let (put, look) = self.recipe.object.functions();
        let call = if self.recipe.object == Object::Texts {
            self.text_call()
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
        self.push(self.clients[client].process, Kind::Invoke, call.0, call.1.clone());
        self.clients[client].call = Some(call);
    }

    fn text_call(&mut self) -> (&'static str, Value) {
        let key = Value::Int(self.draw.below(KEYS) as i64);
        match self.draw.below(20) {
            0..10 => ("get", Value::pair(key, Value::Nil)),
            10..19 => ("append", Value::pair(key, format!("x {} y", self.begun))),
            _ => ("put", Value::pair(key, format!("x {} y", self.begun))),
        }
    }

    /// Lets an open call take effect, or one that has taken effect return.
    fn finish(&mut self, client: usize) {
        let Some((f, input)) = self.clients[client].call.clone() else { return };
        let process = self.clients[client].process;
        match self.clients[client].answer.take() {
            None => {
                let answer = self.happen(f, input);
                self.clients[client].answer = Some(answer);
            }
            Some(_) if self.draw.below(1000) < self.recipe.lost => {
                self.push(process, Kind::Info, f, input);
                self.clients[client] = Client::new(process + self.recipe.clients as u64);
            }
            Some(answer) => {
                self.push(process, Kind::Ok, f, answer);
                self.clients[client].call = None;
            }
        }
    }

    fn happen(&mut self, f: &str, input: Value) -> Value {
        if self.recipe.object == Object::Texts {
            return self.text(f, input);
        }
        let object = self.recipe.object;
        let puts = f == object.functions().0;
        if puts {
            if object == Object::Register {
                self.held.clear();
            }
            self.held.push_back(input.clone());
        }
        let found = match object {
            _ if puts => Some(input),
            Object::Register => self.held.front().cloned(),
            Object::Queue => self.held.pop_front(),
            Object::Stack => self.held.pop_back(),
            Object::Texts => None,
        };
        found.unwrap_or_default()
    }

    /// What a key's text becomes, or is.
    fn text(&mut self, f: &str, input: Value) -> Value {
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

    fn lie(&mut self) {
        let process = self.clients.iter().map(|client| client.process).max().unwrap_or(0) + 1;
        let (_, look) = self.recipe.object.functions();
        let (asked, told) = match self.recipe.object {
            Object::Texts => (Value::pair(0, Value::Nil), Value::pair(0, self.swapped())),
            _ => (Value::Nil, Value::Int(-1)),
        };
        self.push(process, Kind::Invoke, look, asked);
        self.push(process, Kind::Ok, look, told);
    }

    /// The first key's text with its last two parts in the wrong order.
    fn swapped(&self) -> String {
        let Some(Value::Str(text)) = self.held.front() else { return String::new() };
        let mut parts: Vec<&str> = text.split_inclusive('y').collect();
        if let [.., one, other] = &mut parts[..] {
            std::mem::swap(one, other);
        }
        parts.concat()
    }

    fn push(&mut self, process: u64, kind: Kind, f: &str, value: Value) {
        let index = self.events.len() as u64;
        let process = Process::Client(process);
        let f = f.into();
        let time = index * 1_000;
        self.events.push(Event { index, time, kind, process, f, value, node: None, error: None });
    }
}

/// A stream of numbers that is the same everywhere (splitmix64).
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
    fn a_recipe_makes_the_same_history_again_and_no_two_rows_share_a_name() {
        let rows = rows();
        for (place, row) in rows.iter().enumerate() {
            assert!(rows[..place].iter().all(|other| other.name != row.name));
        }
        let recipe = rows[4].recipe;
        assert_eq!(recipe.history(), recipe.history());
        assert_eq!(recipe.history().operations().len(), recipe.operations);
    }
}
