//! Renders a suite as JUnit XML: a test suite per family, a test case per seed.
//!
//! A finding is a failure; unknown, crashed and interrupted are errors; what this machine could not do or had no time
//! for is skipped, with the reason, because it says nothing about the system.

use super::super::visible;
use super::cells::families;
use records::suite::{CellRecord, Outcome, SuiteRecord};

/// The suite as JUnit XML.
pub fn junit(suite: &SuiteRecord) -> String {
    let all: Vec<&CellRecord> = suite.cells.iter().collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out += &format!("<testsuites name=\"{}\" {}>\n", text(&suite.suite), counts(&all));
    for (family, cells) in families(suite) {
        out += &format!(
            "  <testsuite name=\"{}\" timestamp=\"{}\" {}>\n",
            text(family),
            text(suite.started.trim_end_matches('Z')),
            counts(&cells)
        );
        cells.iter().for_each(|cell| out += &case(&suite.suite, cell));
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// The element that says how a case ended, if it did not pass.
fn element(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Finding => Some("failure"),
        Outcome::Unknown | Outcome::Crashed | Outcome::Interrupted => Some("error"),
        Outcome::Infra | Outcome::NotRun => Some("skipped"),
    }
}

fn counts(cells: &[&CellRecord]) -> String {
    let count =
        |name: &str| cells.iter().filter(|cell| element(cell.outcome) == Some(name)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
        cells.len(),
        count("failure"),
        count("error"),
        count("skipped"),
        seconds(cells.iter().map(|cell| cell.took_ms).sum())
    )
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn case(suite: &str, cell: &CellRecord) -> String {
    let mut out = format!(
        "    <testcase classname=\"{}\" name=\"{}, seed {}\" time=\"{}\">\n",
        text(&format!("{suite}.{}", cell.cell.family)),
        text(&cell.cell.family),
        cell.cell.seed,
        seconds(cell.took_ms)
    );
    let seed = cell.cell.seed.to_string();
    let mut properties = vec![("seed", seed.as_str()), ("repro", &cell.repro)];
    let report = cell.report();
    properties.extend(cell.run.as_deref().map(|run| ("run", run)));
    properties.extend(report.as_deref().map(|report| ("report", report)));
    out += "      <properties>\n";
    for (name, value) in properties {
        out += &format!("        <property name=\"{name}\" value=\"{}\"/>\n", text(value));
    }
    out += "      </properties>\n";
    if let Some(element) = element(cell.outcome) {
        out += &ending(element, cell);
    }
    out + "    </testcase>\n"
}

fn ending(element: &str, cell: &CellRecord) -> String {
    let (name, sentence) = (cell.outcome.name(), text(&cell.sentence));
    if element == "skipped" {
        return format!("      <skipped message=\"{name}: {sentence}\"/>\n");
    }
    let mut body = format!("{}\nrepro: {}", cell.sentence, cell.repro);
    if let Some(report) = cell.report() {
        body += &format!("\nreport: {report}");
    }
    let lines: Vec<String> = body.lines().map(text).collect();
    format!(
        "      <{element} message=\"{sentence}\" type=\"{name}\">{}</{element}>\n",
        lines.join("\n")
    )
}

/// Text as XML 1.0 can carry it, in an element or between the quotes of an attribute.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in visible(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // No spelling of these is XML.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;
    use roxmltree::{Document, Node};

    /// What `element` may have as attributes and as children in the shape that CI systems read.
    const SHAPE: [(&str, &[&str], &[&str]); 9] = [
        ("testsuites", &["name", "tests", "failures", "errors", "skipped", "time"], &["testsuite"]),
        (
            "testsuite",
            &["name", "timestamp", "tests", "failures", "errors", "skipped", "time"],
            &["testcase"],
        ),
        (
            "testcase",
            &["classname", "name", "time"],
            &["properties", "failure", "error", "skipped"],
        ),
        ("properties", &[], &["property"]),
        ("property", &["name", "value"], &[]),
        ("failure", &["message", "type"], &[]),
        ("error", &["message", "type"], &[]),
        ("skipped", &["message"], &[]),
        ("", &[], &["testsuites"]),
    ];

    fn validate(node: Node<'_, '_>) {
        let name = node.tag_name().name();
        let (_, attributes, children) =
            SHAPE.iter().find(|(known, ..)| *known == name).expect("a known element");
        assert_eq!(
            node.attributes().map(|it| it.name()).collect::<Vec<_>>(),
            *attributes,
            "{name}"
        );
        for child in node.children().filter(Node::is_element) {
            assert!(children.contains(&child.tag_name().name()), "{child:?} in {name}");
            validate(child);
        }
        if name == "testsuite" {
            let cases = node.children().filter(|child| child.has_tag_name("testcase")).count();
            assert_eq!(node.attribute("tests"), Some(cases.to_string().as_str()));
        }
    }

    fn cases<'a>(document: &'a Document<'_>) -> Vec<Node<'a, 'a>> {
        document.descendants().filter(|node| node.has_tag_name("testcase")).collect()
    }

    #[test]
    fn it_has_the_usual_shape() {
        let xml = junit(&sample::suite());
        let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
        validate(document.root());
        let count = |name| document.descendants().filter(|node| node.has_tag_name(name)).count();
        assert_eq!(
            ["testcase", "failure", "error", "skipped"].map(count),
            [8, 2, 3, 2],
            "infra and not run are no failures"
        );
        let root = document.root_element();
        let said = ["tests", "failures", "errors", "skipped"].map(|name| root.attribute(name));
        assert_eq!(said, [Some("8"), Some("2"), Some("3"), Some("2")]);
    }

    #[test]
    fn each_case_says_how_to_have_it_again_and_where_to_read_on() {
        let xml = junit(&sample::suite());
        let document = Document::parse(&xml).expect("it is XML");
        for case in cases(&document) {
            let names: Vec<_> = case
                .descendants()
                .filter(|node| node.has_tag_name("property"))
                .filter_map(|node| node.attribute("name"))
                .collect();
            assert_eq!(names, ["seed", "repro", "run", "report"]);
        }
    }

    #[test]
    fn hostile_words_stay_words() {
        let xml = junit(&sample::suite());
        let document = Document::parse(&xml).expect("it is XML");
        let last = *cases(&document).last().expect("there are cases");
        let failure = last.children().find(|node| node.has_tag_name("failure")).expect("a failure");
        assert!(failure.attribute("message").is_some_and(|it| it.starts_with("</failure>]]> <b>")));
    }
}
