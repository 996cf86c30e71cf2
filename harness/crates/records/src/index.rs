//! Reads the index of all runs, and filters and sorts its lines.
//!
//! Listing runs opens one file and no directory. Damaged lines are skipped and counted.

use super::record::{IndexLine, Validity};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// All finished runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// In the order they ended.
    pub runs: Vec<IndexLine>,
    /// The number of damaged lines.
    pub damaged: usize,
}

impl Index {
    /// Reads the index of a results directory; a missing index is empty.
    pub fn read(results: &Path) -> Result<Self> {
        let path = results.join(super::INDEX_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn parse(text: &str) -> Self {
        let mut index = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(run) => index.runs.push(run),
                Err(_) => index.damaged += 1,
            }
        }
        index
    }
}

/// A filter and an order of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    terms: Vec<SearchTerm>,
    sort: Sort,
    ascending: bool,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SearchTerm {
    /// The field; `None` is any.
    field: Option<Field>,
    /// The text it contains, in lower case.
    part: String,
    /// Whether the term is negated.
    not: bool,
}

/// A field of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Bugs,
    Nemesis,
    Run,
    Seed,
    Since,
    System,
    Until,
    Validity,
    Workload,
}

const FIELDS: [(&str, Field); 9] = [
    ("nemesis", Field::Nemesis),
    ("run", Field::Run),
    ("seed", Field::Seed),
    ("since", Field::Since),
    ("system", Field::System),
    ("unsafe", Field::Bugs),
    ("until", Field::Until),
    ("validity", Field::Validity),
    ("workload", Field::Workload),
];

const VALIDITIES: [Validity; 3] = [Validity::Valid, Validity::Unknown, Validity::Invalid];

/// The order of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Start time, the newest first.
    #[default]
    Started,
    /// Validity, the worst first.
    Validity,
    /// Name of the workload.
    Workload,
    /// Name of the nemesis.
    Nemesis,
    /// Number of successful operations, the most first.
    Operations,
    /// Duration, the longest first.
    Took,
}

/// Every order, its name and its description.
pub const SORTS: [(Sort, &str, &str); 6] = [
    (Sort::Started, "started", "Start time, the newest first"),
    (Sort::Validity, "validity", "Validity, the worst first"),
    (Sort::Workload, "workload", "Name of the workload"),
    (Sort::Nemesis, "nemesis", "Name of the nemesis"),
    (Sort::Operations, "operations", "Number of successful operations, the most first"),
    (Sort::Took, "took", "Duration, the longest first"),
];

impl Sort {
    /// The order of that name, in any case.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = SORTS.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(sort, ..)| *sort).ok_or_else(|| {
            let names = SORTS.map(|(_, known, _)| known).join(", ");
            format!("there is no order {name:?}; there are: {names}")
        })
    }
}

impl Query {
    /// Parses words: `append` is in any field, `workload:append` in one, `-validity:valid` is
    /// negated. `faults` are names of nemeses, which may precede a colon without being a field.
    pub fn parse(
        words: &str,
        sort: Sort,
        ascending: bool,
        faults: &[&str],
    ) -> Result<Self, String> {
        let terms = words
            .split_whitespace()
            .map(|word| parse_search_term(word, faults))
            .collect::<Result<_, _>>()?;
        Ok(Self { terms, sort, ascending })
    }

    /// The matching runs, in order.
    pub fn select_runs<'a>(&self, runs: &'a [IndexLine]) -> Vec<&'a IndexLine> {
        let mut picked: Vec<&IndexLine> = runs.iter().filter(|run| self.matches_run(run)).collect();
        picked.sort_by(|a, b| self.compare_runs(a, b));
        if self.ascending {
            picked.reverse();
        }
        picked
    }

    fn matches_run(&self, run: &IndexLine) -> bool {
        self.terms.iter().all(|term| term.matches_run(run) != term.not)
    }

    /// Runs that compare equal are ordered newest first.
    fn compare_runs(&self, a: &IndexLine, b: &IndexLine) -> std::cmp::Ordering {
        let newest = || b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run));
        match self.sort {
            Sort::Started => newest(),
            Sort::Validity => b.validity.cmp(&a.validity).then_with(newest),
            Sort::Workload => a.workload.cmp(&b.workload).then_with(newest),
            Sort::Nemesis => a.nemesis.cmp(&b.nemesis).then_with(newest),
            Sort::Operations => b.ok.cmp(&a.ok).then_with(newest),
            Sort::Took => b.took_ms.cmp(&a.took_ms).then_with(newest),
        }
    }
}

fn parse_search_term(word: &str, faults: &[&str]) -> Result<SearchTerm, String> {
    let (not, word) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let word = word.to_lowercase();
    // Variants of a nemesis contain a colon, too: `partition:leader`.
    let Some((name, part)) = word.split_once(':') else {
        return Ok(SearchTerm { field: None, part: word, not });
    };
    match FIELDS.iter().find(|(known, _)| *known == name) {
        Some((_, field)) => {
            check_field_value(*field, part)?;
            Ok(SearchTerm { field: Some(*field), part: part.to_owned(), not })
        }
        None if faults.contains(&name) => Ok(SearchTerm { field: None, part: word, not }),
        None => {
            let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            Err(format!("runs have no {name:?}; they have: {}", names.join(", ")))
        }
    }
}

/// Rejects impossible values of a field, because an empty result would hide the mistake.
fn check_field_value(field: Field, part: &str) -> Result<(), String> {
    match field {
        Field::Since | Field::Until if !is_timestamp_prefix(part) => Err(format!(
            "{part:?} is not a date or time; write for example 2026-01-31 or 2026-01-31T12:30"
        )),
        Field::Validity if !VALIDITIES.iter().any(|known| known.name() == part) => {
            Err(format!("{part:?} is not a validity; there are: valid, unknown, invalid"))
        }
        Field::Seed if part.parse::<u64>().is_err() => {
            Err(format!("{part:?} is not a seed: write a number"))
        }
        _ => Ok(()),
    }
}

/// Whether this is a prefix of a time stamp of a run, in lower case.
fn is_timestamp_prefix(part: &str) -> bool {
    const SHAPE: &str = "0000-00-00t00:00:00z";
    let fits =
        |(shape, is): (char, char)| if shape == '0' { is.is_ascii_digit() } else { is == shape };
    part.len() >= 4 && part.len() <= SHAPE.len() && SHAPE.chars().zip(part.chars()).all(fits)
}

impl SearchTerm {
    fn matches_run(&self, run: &IndexLine) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.part);
        match self.field {
            Some(Field::Bugs) => run.bugs.iter().any(|bug| has(bug)),
            Some(Field::Nemesis) => has(&run.nemesis),
            Some(Field::Run) => has(&run.run),
            Some(Field::Seed) => run.seed.to_string() == self.part,
            Some(Field::Since) => run.started.to_lowercase() >= self.part,
            Some(Field::System) => has(&run.system),
            Some(Field::Until) => run.started.to_lowercase() < self.part,
            Some(Field::Validity) => run.validity.name() == self.part,
            Some(Field::Workload) => run.workload == self.part,
            None => {
                has(&run.run)
                    || has(&run.nemesis)
                    || has(&run.sentence)
                    || has(run.validity.name())
                    || run.bugs.iter().any(|bug| has(bug))
            }
        }
    }
}

/// Runs for tests.
#[cfg(any(test, feature = "sample"))]
pub mod sample {
    use super::*;

    /// A run with this validity.
    pub fn sample_line(seed: u64, validity: Validity) -> IndexLine {
        IndexLine {
            run: format!("raft-register-partition/20260101T00{:02}00Z-{seed}", seed % 60),
            started: format!("2026-01-01T00:{:02}:00Z", seed % 60),
            validity,
            exit: 0,
            seed,
            sentence: "5 replicas, 8 faults".into(),
            system: "raft".into(),
            workload: "register".into(),
            nemesis: "partition:leader".into(),
            nodes: 5,
            bugs: Vec::new(),
            ok: 4_000 + seed,
            took_ms: 33_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::sample_line;
    use super::*;

    const FAULTS: [&str; 1] = ["partition"];

    fn selected_seeds(words: &str, sort: Sort, ascending: bool) -> Vec<u64> {
        let mut runs = vec![
            sample_line(1, Validity::Valid),
            sample_line(2, Validity::Invalid),
            IndexLine { workload: "append".into(), ..sample_line(3, Validity::Unknown) },
        ];
        runs[1].bugs.push("stale-reads".into());
        let query = Query::parse(words, sort, ascending, &FAULTS).expect("a query");
        query.select_runs(&runs).iter().map(|run| run.seed).collect()
    }

    #[test]
    fn filters_and_sorts_runs() {
        let newest = |words| selected_seeds(words, Sort::Started, false);
        assert_eq!(newest(""), [3, 2, 1]);
        assert_eq!(newest("workload:register"), [2, 1]);
        assert_eq!(newest("-workload:register"), [3]);
        assert_eq!(newest("STALE"), [2]);
        assert_eq!(newest("unsafe:stale -validity:valid"), [2]);
        assert_eq!(newest("partition:leader seed:1"), [1]);
        assert_eq!(newest("since:2026-01-01t00:02 until:2026-01-01t00:03"), [2]);
        assert_eq!(selected_seeds("", Sort::Validity, false), [2, 3, 1]);
        assert_eq!(selected_seeds("", Sort::Operations, true), [1, 2, 3]);
        assert_eq!(selected_seeds("", Sort::Workload, false), [3, 2, 1]);
    }

    #[test]
    fn rejects_an_unknown_field() {
        let error =
            Query::parse("colour:red", Sort::Started, false, &FAULTS).expect_err("no such field");
        assert!(error.contains("workload"), "{error}");
    }

    #[test]
    fn rejects_impossible_values_of_a_field() {
        let parse = |words| Query::parse(words, Sort::Started, false, &FAULTS);
        for words in ["since:yesterday", "until:31.1.2026", "until:202", "validity:good", "seed:x"]
        {
            assert!(parse(words).is_err(), "{words}");
        }
        for words in
            ["since:2026", "until:2026-01", "since:2026-01-31T12:30:00Z", "-validity:VALID"]
        {
            assert!(parse(words).is_ok(), "{words}");
        }
    }

    #[test]
    fn an_order_is_found_by_its_name_in_any_case() {
        for (sort, name, _) in SORTS {
            assert_eq!(Sort::parse(&name.to_uppercase()), Ok(sort));
        }
        let error = Sort::parse("luck").expect_err("there is none");
        assert!(error.starts_with("there is no order \"luck\"; there are: started, "), "{error}");
    }

    #[test]
    fn reads_lines_of_older_runs_and_counts_damage() {
        let old =
            r#"{"run":"a/b","started":"2026","validity":"valid","exit":0,"seed":1,"sentence":"x"}"#;
        let index = Index::parse(&format!("{old}\n\n{{\"run\":\"torn"));
        assert_eq!((index.runs.len(), index.damaged), (1, 1));
    }
}
