//! `harness list`: lists the systems, workloads, nemeses, models and seeded bugs of the registries.

use super::output::{Format, print};
use anyhow::Result;
use engine::nemesis::NEMESES;
use engine::system::SYSTEMS;
use serde::Serialize;
use std::process::ExitCode;

/// One name of the command line and its description.
#[derive(Serialize)]
struct ListRow {
    name: String,
    doc: String,
}

/// Rows under a heading.
#[derive(Serialize)]
struct Section {
    what: String,
    rows: Vec<ListRow>,
}

/// Runs `harness list`.
pub(crate) fn main(format: Format) -> Result<ExitCode> {
    let sections = list_sections()?;
    match format {
        Format::Human => {
            print(&sections.iter().map(format_section).collect::<Vec<_>>().join("\n"))?
        }
        Format::Json => print(&serde_json::to_string_pretty(&sections)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list_sections() -> Result<Vec<Section>> {
    let row = |name: &str, doc: &str| ListRow { name: name.to_owned(), doc: doc.to_owned() };
    let section = |what: &str, rows| Section { what: what.to_owned(), rows };
    let mut nemeses = Vec::new();
    for nemesis in NEMESES {
        nemeses.push(row(nemesis.name(), nemesis.doc()));
        let variants = nemesis.variants().iter();
        nemeses.extend(variants.map(|(name, doc)| row(&format!("{}:{name}", nemesis.name()), doc)));
    }
    let mut sections = vec![
        section("systems (--system)", SYSTEMS.iter().map(|it| row(it.name(), it.doc())).collect()),
        section(
            "workloads (--workload)",
            workloads::WORKLOADS.iter().map(|it| row(it.name(), it.doc())).collect(),
        ),
        section("nemeses (--nemesis)", nemeses),
        section(
            "models (--model)",
            checker::model::MODELS.iter().map(|it| row(it.name(), it.doc())).collect(),
        ),
    ];
    let checks = checker::registry::CHECKS.iter().map(|it| row(it.name(), it.doc())).collect();
    sections.push(section("checks (--model)", checks));
    sections.retain(|section| !section.rows.is_empty());
    for system in SYSTEMS {
        let bugs: Vec<ListRow> =
            system.list_bugs(None)?.iter().map(|(name, doc)| row(name, doc)).collect();
        if bugs.is_empty() {
            continue;
        }
        sections.push(section(&format!("seeded bugs of {} (--unsafe)", system.name()), bugs));
    }
    Ok(sections)
}

fn format_section(section: &Section) -> String {
    let width = section.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let row = |row: &ListRow| format!("  {:width$}  {}\n", row.name, row.doc);
    format!("{}:\n{}", section.what, section.rows.iter().map(row).collect::<String>())
}
