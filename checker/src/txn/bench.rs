//! Generates the histories that benchmark the transaction checks: a simulated in-memory database
//! whose clients run the transactions of Elle's generator, from a seed.
//!
//! A transaction has one to [`TxnRecipe::longest`] micro-operations, half of them reads, on one of
//! [`TxnRecipe::keys`] keys, each twice as likely as the one before it. A key that was written
//! [`TxnRecipe::writes_per_key`] times is replaced by a new one. Each client invokes, commits and
//! completes in separate steps; each step is of a randomly drawn client.

use rustc_hash::FxHashMap;

use super::options::DataType;
use crate::bench::Draw;
use crate::history::{Event, History, Kind, Process, Value};

/// The isolation of the simulated database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Strict serializability: each transaction takes effect at one point between invocation and
    /// completion.
    Perfect,
    /// Snapshot isolation: reads from a snapshot taken at the beginning; first committer wins.
    Snapshot,
    /// The same, and a transaction aborts if a key it read was written since its snapshot.
    Serializable,
}

/// The parameters of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnRecipe {
    /// The seed.
    pub seed: u64,
    /// The number of transactions.
    pub transactions: usize,
    /// The number of concurrent clients.
    pub clients: usize,
    /// The isolation of the database.
    pub database: Database,
    /// The data type.
    pub data_type: DataType,
    /// The number of active keys.
    pub keys: usize,
    /// The maximum number of micro-operations of a transaction.
    pub longest: u64,
    /// The number of writes to a key before it is replaced.
    pub writes_per_key: u64,
}

/// The parameters of Elle's benchmark histories.
impl Default for TxnRecipe {
    fn default() -> Self {
        Self {
            seed: 7,
            transactions: 100_000,
            clients: 10,
            database: Database::Perfect,
            data_type: DataType::Lists,
            keys: 10,
            longest: 4,
            writes_per_key: 32,
        }
    }
}

/// A row of the benchmark table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRow {
    /// Its name.
    pub name: &'static str,
    /// The benchmarked check.
    pub check: &'static str,
    /// The required level, unless it is the check's default.
    pub consistency: Option<&'static str>,
    /// The parameters of its history.
    pub recipe: TxnRecipe,
}

/// Every row of the table.
pub fn rows() -> Vec<TxnRow> {
    let row = |name, data_type, database, transactions| {
        let check = match data_type {
            DataType::Lists => "list-append",
            DataType::Registers => "rw-register",
        };
        let recipe = TxnRecipe { transactions, database, data_type, ..TxnRecipe::default() };
        TxnRow { name, check, consistency: None, recipe }
    };
    use DataType::{Lists, Registers};
    use Database::{Perfect, Serializable, Snapshot};
    let mut rows = vec![
        row("list-append 100k perfect", Lists, Perfect, 100_000),
        row("list-append 100k SI", Lists, Snapshot, 100_000),
        row("list-append 100k SSI", Lists, Serializable, 100_000),
        row("list-append 1M perfect", Lists, Perfect, 1_000_000),
        row("list-append 1M SI", Lists, Snapshot, 1_000_000),
        row("list-append 1M SSI", Lists, Serializable, 1_000_000),
        row("rw-register 100k perfect", Registers, Perfect, 100_000),
        row("rw-register 100k SI", Registers, Snapshot, 100_000),
        row("rw-register 1M perfect", Registers, Perfect, 1_000_000),
        row("rw-register 1M SI", Registers, Snapshot, 1_000_000),
        row("rw-register 4M perfect (10M steps)", Registers, Perfect, 4_000_000),
    ];
    rows.extend(isolation_rows());
    rows
}

/// Rows for the exact decision of isolation levels: 25 clients with 10 k transactions of about 8
/// steps, 1001 clients with 201 k of about 5, and 5 clients with 500 of about 15.
fn isolation_rows() -> Vec<TxnRow> {
    let row = |name, level, clients, transactions, longest, database| TxnRow {
        name,
        check: "isolation",
        consistency: Some(level),
        recipe: TxnRecipe {
            transactions,
            clients,
            longest,
            database,
            data_type: DataType::Registers,
            keys: 20,
            ..TxnRecipe::default()
        },
    };
    use Database::{Perfect, Snapshot};
    vec![
        row("read-committed 10k", "read-committed", 25, 10_000, 15, Perfect),
        row("read-atomic 10k", "read-atomic", 25, 10_000, 15, Perfect),
        row("causal 10k", "causal", 25, 10_000, 15, Perfect),
        row("causal 201k, 1001 sessions", "causal", 1001, 201_000, 9, Perfect),
        row("serializable 500", "serializable", 5, 500, 29, Perfect),
        row("serializable 500, only SI", "serializable", 5, 500, 29, Snapshot),
        row("snapshot-isolation 500", "snapshot-isolation", 5, 500, 29, Snapshot),
        row("serializable 5k", "serializable", 10, 5_000, 9, Perfect),
    ]
}

impl TxnRecipe {
    /// Generates the history; the same parameters yield the same history.
    pub fn history(self) -> History {
        let mut simulation = DatabaseSimulation::new(self);
        while simulation.begun < self.transactions {
            let client = simulation.draw.below(self.clients as u64) as usize;
            simulation.step_client(client);
        }
        for client in (0..self.clients).flat_map(|client| [client; 2]) {
            if simulation.clients[client].is_some() {
                simulation.step_client(client);
            }
        }
        History::new(simulation.events).expect("each client does one thing at a time")
    }
}

/// A requested micro-operation: a read, or the write of a number.
type Ask = (u64, Option<i64>);

/// An open transaction.
struct OpenTxn {
    asked: Vec<Ask>,
    /// The time of its snapshot, counted in commits.
    snapshot: u64,
    /// Its outcome, once it has committed or aborted.
    answer: Option<(Kind, Value)>,
}

/// A key of the database: its writes, each with the commit that made it.
#[derive(Default)]
struct DatabaseKey {
    versions: Vec<(u64, i64)>,
}

impl DatabaseKey {
    fn last_write(&self) -> u64 {
        self.versions.last().map_or(0, |(commit, _)| *commit)
    }

    /// The versions in a snapshot.
    fn versions_at(&self, snapshot: u64) -> &[(u64, i64)] {
        &self.versions[..self.versions.partition_point(|(commit, _)| *commit <= snapshot)]
    }
}

struct DatabaseSimulation {
    recipe: TxnRecipe,
    draw: Draw,
    events: Vec<Event>,
    clients: Vec<Option<OpenTxn>>,
    begun: usize,
    commits: u64,
    cells: FxHashMap<u64, DatabaseKey>,
    active: Vec<u64>,
    /// The number of requested writes to each active key.
    asked: Vec<u64>,
}

impl DatabaseSimulation {
    fn new(recipe: TxnRecipe) -> Self {
        Self {
            recipe,
            draw: Draw(recipe.seed),
            events: Vec::with_capacity(2 * recipe.transactions),
            clients: (0..recipe.clients).map(|_| None).collect(),
            begun: 0,
            commits: 0,
            cells: FxHashMap::default(),
            active: (0..recipe.keys as u64).collect(),
            asked: vec![0; recipe.keys],
        }
    }

    /// Invokes a transaction, commits an open one, or completes it.
    fn step_client(&mut self, client: usize) {
        let Some(mut open) = self.clients[client].take() else { return self.invoke(client) };
        match open.answer.take() {
            Some((kind, value)) => self.push(client, kind, value),
            None => {
                let done = self.commit(&open);
                let kind = if done.is_some() { Kind::Ok } else { Kind::Fail };
                open.answer = Some((kind, done.unwrap_or_else(|| self.value(&open.asked))));
                self.clients[client] = Some(open);
            }
        }
    }

    fn invoke(&mut self, client: usize) {
        self.begun += 1;
        let length = 1 + self.draw.below(self.recipe.longest);
        let asked: Vec<_> = (0..length).map(|_| self.draw_access()).collect();
        self.push(client, Kind::Invoke, self.value(&asked));
        self.clients[client] = Some(OpenTxn { asked, snapshot: self.commits, answer: None });
    }

    fn draw_access(&mut self) -> Ask {
        let is_read = self.draw.below(2) == 0;
        // Key number i is drawn 2^i times as often as key 0.
        let drawn = self.draw.below((1 << self.recipe.keys) - 1) + 1;
        let place = drawn.ilog2() as usize;
        if is_read {
            return (self.active[place], None);
        }
        if self.asked[place] == self.recipe.writes_per_key {
            let newest = self.active.iter().max().copied().unwrap_or(0);
            self.active[place] = newest + 1;
            self.asked[place] = 0;
        }
        self.asked[place] += 1;
        (self.active[place], Some(self.asked[place] as i64))
    }

    /// Executes the transaction atomically, if it may commit.
    fn commit(&mut self, open: &OpenTxn) -> Option<Value> {
        let perfect = self.recipe.database == Database::Perfect;
        let snapshot = if perfect { self.commits } else { open.snapshot };
        if !perfect && !self.may_commit(open) {
            return None;
        }
        let steps = open.asked.iter().enumerate().map(|(place, (key, write))| {
            let seen = || self.read_value(*key, snapshot, &open.asked[..place]);
            self.step((*key, *write), seen)
        });
        let steps = Value::List(steps.collect());
        self.commits += 1;
        for (key, write) in &open.asked {
            if let Some(number) = write {
                self.cells.entry(*key).or_default().versions.push((self.commits, *number));
            }
        }
        Some(steps)
    }

    /// Whether a transaction with a snapshot may commit.
    fn may_commit(&self, open: &OpenTxn) -> bool {
        let cell = |key: &u64| self.cells.get(key);
        let fresh =
            |(key, _): &Ask| cell(key).is_none_or(|cell| cell.last_write() <= open.snapshot);
        let writes = || open.asked.iter().filter(|(_, write)| write.is_some());
        let reads = || open.asked.iter().filter(|(_, write)| write.is_none());
        let first = writes().all(fresh);
        match self.recipe.database {
            Database::Perfect => true,
            Database::Snapshot => first,
            // The values that it read are still current, so its snapshot is equivalent to one at
            // commit.
            Database::Serializable => first && reads().all(fresh),
        }
    }

    /// The value of a read, including the transaction's own earlier writes.
    fn read_value(&self, key: u64, snapshot: u64, before: &[Ask]) -> Value {
        let old = self.cells.get(&key).map_or(&[][..], |cell| cell.versions_at(snapshot));
        let own = before.iter().filter(|(other, _)| *other == key).filter_map(|(_, write)| *write);
        let mut all = old.iter().map(|(_, number)| *number).chain(own);
        match self.recipe.data_type {
            DataType::Lists => Value::List(all.map(Value::Int).collect()),
            DataType::Registers => all.next_back().map_or(Value::Nil, Value::Int),
        }
    }

    /// The value of the invocation.
    fn value(&self, asked: &[Ask]) -> Value {
        Value::List(asked.iter().map(|ask| self.step(*ask, Value::default)).collect())
    }

    fn step(&self, (key, write): Ask, read_value: impl FnOnce() -> Value) -> Value {
        let (f, value) = match (write, self.recipe.data_type) {
            (None, _) => ("r", read_value()),
            (Some(number), DataType::Lists) => ("append", Value::Int(number)),
            (Some(number), DataType::Registers) => ("w", Value::Int(number)),
        };
        Value::from(vec![Value::from(f), Value::Int(key as i64), value])
    }

    fn push(&mut self, client: usize, kind: Kind, value: Value) {
        let index = self.events.len() as u64;
        let (process, f) = (Process::Client(client as u64), "txn".into());
        self.events.push(Event {
            index,
            time: index,
            kind,
            process,
            f,
            value,
            node: None,
            error: None,
        });
    }
}
