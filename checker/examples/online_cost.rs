//! Measures what an online check costs per transaction, beside the check of the whole history.
//!
//! `cargo run --release --example online_cost -- 100000`

use checker::registry::start_online_check;
use checker::txn::DataType;
use checker::txn::bench::{Database, TxnRecipe};
use checker::{Limits, Validity, check_by_name};
use std::time::Instant;

/// Feeds a history of a correct database to an online check; returns a line of the table.
fn measure_cost(check: &str, data_type: DataType, transactions: usize) -> String {
    let database = Database::Perfect;
    let history = TxnRecipe { transactions, data_type, database, ..TxnRecipe::default() }.history();
    let mut online = start_online_check(check, Limits::default()).expect("it has an online form");
    #[expect(clippy::disallowed_methods, reason = "an example may measure time")]
    let now = Instant::now;
    let began = now();
    let found = history.events().iter().find_map(|event| online.add_event(event));
    let online_time = began.elapsed();
    assert_eq!(found, None, "a correct database violates nothing");
    let began = now();
    let verdict = check_by_name(&history, check, &Limits::default());
    let whole_time = began.elapsed();
    assert_eq!(verdict.validity, Validity::Valid);
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / transactions as f64;
    format!(
        "{check}: {:.2} µs online and {:.2} µs at the end per transaction, {} bytes held\n",
        each(online_time),
        each(whole_time),
        online.held_bytes() / transactions
    )
}

/// The table for this many transactions.
pub(crate) fn measure_all(transactions: usize) -> String {
    let rows = [("list-append", DataType::Lists), ("rw-register-closed", DataType::Registers)];
    rows.map(|(check, data_type)| measure_cost(check, data_type, transactions)).concat()
}

fn main() {
    let transactions = std::env::args().nth(1).and_then(|count| count.parse().ok());
    print!("{}", measure_all(transactions.unwrap_or(100_000)));
}
