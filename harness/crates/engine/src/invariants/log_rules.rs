//! The patterns of log lines that convict, and of those that are allowed.

use regex_lite::Regex;
use std::sync::LazyLock;

/// What is normal in no log, whatever the system: a panic, and the report of a sanitizer.
const NEVER_NORMAL: &[&str] = &[
    r"\bpanicked at ",
    r"^panic: ",
    r"^fatal error: ",
    r"\bERROR: \w+Sanitizer\b",
    r"\bSUMMARY: \w+Sanitizer\b",
    r"\bDATA RACE\b",
    r"^\S+:\d+:\d+: runtime error: ",
];

static DEFAULT_RULES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    NEVER_NORMAL.iter().map(|text| Regex::new(text).expect("the pattern is valid")).collect()
});

/// Words of a line that says why a process ended, where no pattern matches.
static EXIT_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(panic|fatal|error|abort|stops?|cannot|failed|exiting)")
        .expect("the pattern is valid")
});

/// Which lines of a system's logs convict it, besides those that are never normal.
#[derive(Clone, Debug, Default)]
pub struct LogRules {
    /// A line that matches one of these is a violation.
    pub convict: Vec<Regex>,
    /// A line that matches one of these is none, whatever else matches.
    pub allow: Vec<Regex>,
}

impl LogRules {
    /// The pattern by which a line convicts, if one does.
    pub(super) fn matching_pattern(&self, line: &str) -> Option<&str> {
        if self.allow.iter().any(|allowed| allowed.is_match(line)) {
            return None;
        }
        let patterns = DEFAULT_RULES.iter().chain(&self.convict);
        patterns.into_iter().find(|pattern| pattern.is_match(line)).map(Regex::as_str)
    }
}

/// The line of a log's end that explains why its process exited: the last that is never normal,
/// else the last with a word of failure, else the last.
pub(crate) fn find_exit_line(lines: &[String]) -> Option<&str> {
    let lines = || lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).rev();
    let never_normal = |line: &&str| DEFAULT_RULES.iter().any(|rule| rule.is_match(line));
    lines()
        .find(never_normal)
        .or_else(|| lines().find(|line| EXIT_WORDS.is_match(line)))
        .or_else(|| lines().next())
}
