//! Counts what the design compares with model code bases. To print the table:
//!
//! ```console
//! $ cargo test -p harness --test tidy -- numbers --nocapture
//! $ TIDY_ROOT=../older-checkout cargo test -p harness --test tidy -- numbers --nocapture
//! ```

use crate::banned_words::banned_lines;
use crate::cycles::DependencyGraph;
use crate::functions::{Definitions, Function};
use crate::sources::{Crate, Module, read_crates};
use crate::words::{repeated_types, wide_lines};

/// What is counted of one crate.
struct CrateMetrics {
    folder: String,
    files: usize,
    lines: usize,
    test_lines: usize,
    functions: Vec<Function>,
    types: usize,
    repeated_types: usize,
    named_closures: usize,
    doc_lines: usize,
    inline_lines: usize,
    wide_lines: usize,
    banned_words: usize,
    cycles: Vec<usize>,
    ties: usize,
}

impl CrateMetrics {
    fn from_crate(package: &Crate) -> Self {
        let definitions = Definitions::from_crate(package);
        let repeated = repeated_types(package);
        let arrows = DependencyGraph::from_crate(package);
        let count = |is: fn(&str) -> bool| {
            let all = package.all_sources().flat_map(|source| source.text.lines());
            all.filter(|line| is(line.trim_start())).count()
        };
        let lines = |text: &str| text.lines().count();
        Self {
            folder: package.folder.clone(),
            files: package.all_sources().count(),
            lines: package.all_sources().map(|source| lines(&source.text)).sum(),
            test_lines: test_lines(package),
            types: definitions.types.len(),
            repeated_types: repeated.values().map(Vec::len).sum(),
            named_closures: definitions.named_closures,
            functions: definitions.functions,
            doc_lines: count(is_doc),
            inline_lines: count(is_inline),
            wide_lines: package.all_sources().map(|source| wide_lines(source).count()).sum(),
            banned_words: package.all_sources().map(|it| banned_lines(&it.text).count()).sum(),
            cycles: arrows.find_cycles().iter().map(Vec::len).collect(),
            ties: arrows.two_way_ties().len(),
        }
    }

    /// The row of the table, in the order of [`HEAD`].
    fn to_row(&self) -> [String; 14] {
        let mut lengths: Vec<usize> = self.functions.iter().map(|it| it.lines).collect();
        lengths.sort_unstable();
        let named: Vec<&Function> = self.functions.iter().filter(|it| !it.is_from_trait).collect();
        let one_word = named.iter().filter(|it| !it.name.contains('_')).count();
        let letters: usize = named.iter().map(|it| it.name.len()).sum();
        let at = |share: f64| lengths.get((lengths.len() as f64 * share) as usize);
        let at = |share| at(share).copied().unwrap_or_default();
        let most = lengths.last().copied().unwrap_or_default();
        [
            self.folder.clone(),
            self.files.to_string(),
            format!("{} ({} %)", self.lines, percent(self.test_lines, self.lines)),
            format!("{}/{}/{}/{most}", at(0.5), at(0.9), at(0.99)),
            format!("{} %", percent(one_word, named.len())),
            format!("{:.1}", letters as f64 / named.len().max(1) as f64),
            format!("{} of {}", self.repeated_types, self.types),
            format!("{:.1}", self.named_closures as f64 * 1e3 / self.lines as f64),
            format_percent(self.doc_lines, self.lines),
            format_percent(self.inline_lines, self.lines),
            self.wide_lines.to_string(),
            self.banned_words.to_string(),
            format!("{:?}", self.cycles),
            self.ties.to_string(),
        ]
    }
}

const HEAD: [&str; 14] = [
    "crate",
    "files",
    "lines (tests)",
    "function p50/p90/p99/most",
    "one-word names",
    "letters a name",
    "repeated types",
    "named closures/1000",
    "doc %",
    "inline %",
    "wide lines",
    "banned words",
    "cycles (files)",
    "two-way ties",
];

fn percent(part: usize, whole: usize) -> usize {
    (part * 100 + whole / 2) / whole.max(1)
}

fn format_percent(part: usize, whole: usize) -> String {
    format!("{:.2}", part as f64 * 100.0 / whole.max(1) as f64)
}

fn is_doc(line: &str) -> bool {
    line.starts_with("///") || line.starts_with("//!")
}

fn is_inline(line: &str) -> bool {
    line.starts_with("//") && !is_doc(line)
}

/// Lines of test files, and of the test modules that close a file.
fn test_lines(package: &Crate) -> usize {
    let inner = |module: &Module| {
        let lines = module.source.text.lines().count();
        let marked = module.source.text.lines().position(|line| line == "#[cfg(test)]");
        let closes = module.source.text.contains("\nmod tests {") || module.is_test;
        match (module.is_test, marked) {
            (true, _) => lines,
            (false, Some(first)) if closes => lines - first,
            _ => 0,
        }
    };
    let beside: usize = package.tests.iter().map(|source| source.text.lines().count()).sum();
    beside + package.modules.iter().map(inner).sum::<usize>()
}

/// How much of `node/src/raft` says why: its lines of comments, documentation apart.
fn raft_comments() -> String {
    let crates = read_crates();
    let raft = crates.iter().filter(|package| package.folder == "node");
    let lines: Vec<&str> = raft
        .flat_map(Crate::program_modules)
        .filter(|module| module.path.first().is_some_and(|first| first == "raft"))
        .flat_map(|module| module.source.text.lines())
        .map(str::trim_start)
        .collect();
    let (doc, inline) = (
        lines.iter().filter(|line| is_doc(line)).count(),
        lines.iter().filter(|line| is_inline(line)).count(),
    );
    format!(
        "node/src/raft: {} lines, doc {} %, inline {} %",
        lines.len(),
        format_percent(doc, lines.len()),
        format_percent(inline, lines.len())
    )
}

#[test]
fn numbers() {
    println!("| {} |", HEAD.join(" | "));
    println!("|{}", "---|".repeat(HEAD.len()));
    for package in read_crates() {
        println!("| {} |", CrateMetrics::from_crate(&package).to_row().join(" | "));
    }
    println!("{}", raft_comments());
}
