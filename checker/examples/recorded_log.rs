//! Checks a recorded history: `cargo run --example recorded_log -- HISTORY MODEL`.
//!
//! The history is JSON lines, Jepsen's EDN or one of Porcupine's logs. Without arguments a built-in
//! log is checked, in which a read returns a value that was overwritten before the read began.

use std::error::Error;

use checker::history::Format;
use checker::{Limits, check_by_name};

pub(crate) const STALE_READ: &str = r#"
{"type":"invoke","process":0,"f":"write","value":1}
{"type":"ok","process":0,"f":"write","value":1}
{"type":"invoke","process":1,"f":"write","value":2}
{"type":"ok","process":1,"f":"write","value":2}
{"type":"invoke","process":2,"f":"read","value":null}
{"type":"ok","process":2,"f":"read","value":1}
"#;

/// Checks a log of any known format against a model or check, and draws the reason for a No.
pub(crate) fn check_log(log: &[u8], model: &str) -> Result<String, Box<dyn Error>> {
    let format = Format::detect(log).ok_or("the log is in no known format")?;
    let history = format.parse(log)?.history;
    let verdict = check_by_name(&history, model, &Limits { jobs: 2, ..Limits::default() });
    let drawing = verdict.witness.map(|window| checker::linear::lanes::render(&window, 80));
    Ok(format!("{:?}: {}\n{}", verdict.validity, verdict.message, drawing.unwrap_or_default()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let report = match (args.next(), args.next()) {
        (Some(path), Some(model)) => check_log(&read_file(&path)?, &model)?,
        _ => check_log(STALE_READ.as_bytes(), "register")?,
    };
    print!("{report}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the library reads no files, its callers do")]
fn read_file(path: &str) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}
