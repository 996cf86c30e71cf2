//! Renders a suite as JUnit XML: a test suite per family, a test case per seed.
//!
//! A finding is a failure; unknown, crashed and interrupted are errors. A run that this machine
//! could not do, or had no time for, is skipped with the reason: it proves nothing.

use super::super::escape_controls;
use super::cells::families;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use records::suite::{CellRecord, Outcome, SuiteRecord};
use std::time::Duration;

/// The suite as JUnit XML.
pub fn junit(suite: &SuiteRecord) -> String {
    let mut report = Report::new(xml_text(&suite.suite));
    report.set_time(total_time(suite.cells.iter()));
    for (family, cells) in families(suite) {
        let mut group = TestSuite::new(xml_text(family));
        group.timestamp = suite.started.parse().ok();
        group.set_time(total_time(cells.iter().copied()));
        group.add_test_cases(cells.iter().map(|cell| test_case(&suite.suite, cell)));
        report.add_test_suite(group);
    }
    report.to_string().expect("XML is written to memory")
}

fn total_time<'a>(cells: impl Iterator<Item = &'a CellRecord>) -> Duration {
    Duration::from_millis(cells.map(|cell| cell.took_ms).sum())
}

fn test_case(suite: &str, cell: &CellRecord) -> TestCase {
    let name = format!("{}, seed {}", cell.cell.family, cell.cell.seed);
    let mut case = TestCase::new(xml_text(&name), status(cell));
    case.set_classname(xml_text(&format!("{suite}.{}", cell.cell.family)));
    case.set_time(Duration::from_millis(cell.took_ms));
    case.add_property(("seed", cell.cell.seed.to_string().as_str()));
    case.add_property(("repro", xml_text(&cell.repro).as_str()));
    for (name, value) in [("run", cell.run.clone()), ("report", cell.report_path())] {
        if let Some(value) = value {
            case.add_property((name, xml_text(&value).as_str()));
        }
    }
    case
}

fn status(cell: &CellRecord) -> TestCaseStatus {
    let (name, sentence) = (cell.outcome.name(), xml_text(&cell.sentence));
    let kind = match cell.outcome {
        Outcome::Passed => return TestCaseStatus::success(),
        Outcome::Infra | Outcome::NotRun => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{name}: {sentence}"));
            return status;
        }
        Outcome::Finding => NonSuccessKind::Failure,
        Outcome::Unknown | Outcome::Crashed | Outcome::Interrupted => NonSuccessKind::Error,
    };
    let mut body = format!("{sentence}\nrepro: {}", xml_text(&cell.repro));
    if let Some(report) = cell.report_path() {
        body += &format!("\nreport: {}", xml_text(&report));
    }
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(sentence).set_type(name).set_description(body);
    status
}

/// Text that a reader sees in full. XML has no spelling for two characters.
fn xml_text(raw: &str) -> String {
    escape_controls(raw).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::sample;
    use roxmltree::{Document, Node};

    /// What `element` may have as attributes and as children in the shape that CI systems read.
    const SHAPE: [(&str, &[&str], &[&str]); 9] = [
        ("testsuites", &["name", "tests", "skipped", "failures", "errors", "time"], &["testsuite"]),
        (
            "testsuite",
            &["name", "tests", "skipped", "errors", "failures", "timestamp", "time"],
            &["testcase"],
        ),
        (
            "testcase",
            &["name", "classname", "time"],
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
        let xml = junit(&sample::sample_suite());
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
        let xml = junit(&sample::sample_suite());
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
        let xml = junit(&sample::sample_suite());
        let document = Document::parse(&xml).expect("it is XML");
        let last = *cases(&document).last().expect("there are cases");
        let failure = last.children().find(|node| node.has_tag_name("failure")).expect("a failure");
        assert!(failure.attribute("message").is_some_and(|it| it.starts_with("</failure>]]> <b>")));
    }
}
