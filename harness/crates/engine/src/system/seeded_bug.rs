//! Describes a bug that can be switched on in a system: what it breaks and what it takes to see it.

use serde::Serialize;

/// A seeded bug, as the program of the system lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeededBug {
    /// Its name.
    pub name: String,
    /// What it breaks, in a sentence.
    pub doc: String,
    /// What it belongs to, such as `elections`.
    pub area: String,
    /// Where it is: `core`, `runtime` or `server`.
    pub place: String,
    /// By what it can be seen: `client`, `invariant`, `liveness` or `performance`.
    pub seen_by: String,
    /// The nemeses of which one is needed; none: it shows without faults.
    pub faults: Vec<String>,
    /// The workloads of which one is needed; none: any shows it.
    pub workloads: Vec<String>,
    /// The settings that are all needed.
    pub settings: Vec<String>,
    /// What the simulator lacks to show it; none: it can.
    pub simulator_lacks: Vec<String>,
}

impl SeededBug {
    /// Parses a line of `--list-unsafe`: columns between tabs, words of one column between commas.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, doc, area, place, seen_by, faults, workloads, settings, lacks] = columns[..]
        else {
            return None;
        };
        let words = |column: &str| {
            column.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        Some(Self {
            name: name.to_owned(),
            doc: doc.to_owned(),
            area: area.to_owned(),
            place: place.to_owned(),
            seen_by: seen_by.to_owned(),
            faults: words(faults),
            workloads: words(workloads),
            settings: words(settings),
            simulator_lacks: words(lacks),
        })
    }

    /// What it takes to see it, in one line.
    pub fn describe_needs(&self) -> String {
        let list = |what: &str, words: &[String]| match words {
            [] => String::new(),
            words => format!("; {what} {}", words.join(", ")),
        };
        format!(
            "{}, {}; seen by {}{}{}{}{}",
            self.area,
            self.place,
            self.seen_by,
            list("faults", &self.faults),
            list("workloads", &self.workloads),
            list("settings", &self.settings),
            list("simulator lacks", &self.simulator_lacks),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_nine_columns() {
        let line = "no-sync\tit is lost\tpersistence\tcore\tclient\tkill,pause\t\tsnapshots\t";
        let bug = SeededBug::parse(line).expect("nine columns");
        assert_eq!((bug.faults.len(), bug.workloads.len(), bug.settings.len()), (2, 0, 1));
        let needs = "persistence, core; seen by client; faults kill, pause; settings snapshots";
        assert_eq!(bug.describe_needs(), needs);
        assert_eq!(SeededBug::parse("no-sync\tit is lost"), None);
    }
}
