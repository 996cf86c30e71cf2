//! `harness list`: lists the systems, workloads, nemeses, models and seeded bugs of the registries.

use super::output::{Format, print};
use anyhow::Result;
use engine::nemesis::NEMESES;
use engine::system::{SYSTEMS, SeededBug};
use serde::Serialize;
use std::process::ExitCode;

/// One name of the command line and its description.
#[derive(Serialize)]
#[serde(untagged)]
enum ListRow {
    Named { name: String, doc: String },
    Bug(Box<SeededBug>),
}

impl ListRow {
    fn name(&self) -> &str {
        match self {
            Self::Named { name, .. } => name,
            Self::Bug(bug) => &bug.name,
        }
    }

    /// The description, for people: of a bug also what it takes to see it, in a line of its own.
    fn format(&self, width: usize) -> String {
        match self {
            Self::Named { name, doc } => format!("  {name:width$}  {doc}\n"),
            Self::Bug(bug) => format!(
                "  {:width$}  {}\n  {:width$}    ({})\n",
                bug.name,
                bug.doc,
                "",
                bug.describe_needs()
            ),
        }
    }
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
    let row = |name: &str, doc: &str| ListRow::Named { name: name.to_owned(), doc: doc.to_owned() };
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
            system.list_bugs(None)?.into_iter().map(|bug| ListRow::Bug(Box::new(bug))).collect();
        if bugs.is_empty() {
            continue;
        }
        sections.push(section(&format!("seeded bugs of {} (--unsafe)", system.name()), bugs));
    }
    Ok(sections)
}

fn format_section(section: &Section) -> String {
    let width = section.rows.iter().map(|row| row.name().len()).max().unwrap_or(0);
    let rows = section.rows.iter().map(|row| row.format(width));
    format!("{}:\n{}", section.what, rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_listed_with_what_it_takes_to_see_it() {
        let bug = SeededBug {
            name: "late-vote".to_owned(),
            doc: "a vote comes late".to_owned(),
            area: "elections".to_owned(),
            place: "core".to_owned(),
            seen_by: "client".to_owned(),
            faults: vec!["kill".to_owned()],
            workloads: Vec::new(),
            settings: Vec::new(),
            simulator_lacks: Vec::new(),
        };
        let rows = vec![ListRow::Bug(Box::new(bug))];
        let text = format_section(&Section { what: "bugs".to_owned(), rows });
        let needs = "               (elections, core; seen by client; faults kill)";
        assert_eq!(text, format!("bugs:\n  late-vote  a vote comes late\n{needs}\n"));
    }
}
