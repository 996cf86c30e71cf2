//! `harness doctor`: tests each capability of this machine, and says how to enable missing ones.

use super::output::{Format, print};
use anyhow::Result;
use std::process::ExitCode;
use testbed::doctor::{CheckResult, run_checks};

/// Runs `harness doctor`: exit code 3 if not even the simplest run is possible.
pub(crate) fn main(format: Format) -> Result<ExitCode> {
    let rows = run_checks();
    match format {
        Format::Human => print(&rows.iter().map(format_row).collect::<String>())?,
        Format::Json => {
            let rows: Vec<_> = rows.iter().map(row_as_json).collect();
            print(&serde_json::to_string_pretty(&rows)?)?;
        }
    }
    let able = rows.iter().any(|row| row.ok && ["bridge", "proxies"].contains(&row.name));
    Ok(ExitCode::from(if able { 0 } else { 3 }))
}

fn row_as_json(row: &CheckResult) -> serde_json::Value {
    serde_json::json!({ "name": row.name, "ok": row.ok, "detail": row.detail, "fix": row.fix })
}

fn format_row(row: &CheckResult) -> String {
    let word = if row.ok { "ok" } else { "missing" };
    let fix = row.fix.as_ref().map_or_else(String::new, |fix| format!("{:22}fix: {fix}\n", ""));
    format!("{word:7}  {:12} {}\n{fix}", row.name, row.detail)
}
