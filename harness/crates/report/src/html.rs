//! Renders a run as one page that needs nothing but itself: no network, no other file.
//!
//! The page's shape is `assets/report.html`, its look `assets/report.css`; this file fills the
//! former in. Whatever comes from a record or a history goes through [`escape`], or is packed into
//! columns that the scripts in `assets/report` draw. The page's own policy forbids what it never needs: it names
//! its two scripts by their hashes, so that no other can run.

use super::markup::{escape, fill, table};
use super::run::{Run, further_reasons};
use super::style::Style;
use super::{phrase, series, timeline};
use base64::Engine as _;
use records::record::{CheckRecord, Death, FaultRecord, Outcomes, VerdictRecord};
use sha2::Digest as _;

const PAGE: &str = include_str!("assets/report.html");
const LOOK: &str = include_str!("assets/report.css");
/// What runs before the page is drawn.
const FIRST: &str = include_str!("assets/report/first.js");
const SCRIPT: &str = concat!(
    include_str!("assets/report/data.js"),
    include_str!("assets/report/sheet.js"),
    include_str!("assets/report/draw.js"),
    include_str!("assets/report/replicas.js"),
    include_str!("assets/report/counts.js"),
    include_str!("assets/report/plots.js"),
    include_str!("assets/report/latency.js"),
    include_str!("assets/report/tracks.js"),
    include_str!("assets/report/detail.js"),
    include_str!("assets/report/grid.js"),
    include_str!("assets/report/export.js"),
    include_str!("assets/report/picture.js"),
    include_str!("assets/report/view.js"),
    include_str!("assets/report/filters.js"),
    include_str!("assets/report/chosen.js"),
    include_str!("assets/report/links.js"),
    include_str!("assets/report/walk.js"),
    include_str!("assets/report/theme.js"),
    include_str!("assets/report/keys.js"),
    include_str!("assets/report/pointer.js"),
    include_str!("assets/report/saving.js"),
    include_str!("assets/report/explore.js"),
);

/// The marks of a page, which is always UTF-8.
const MARKS: Style = Style { unicode: true, ..Style::PLAIN };

/// What stands above the rest of a page about a run that was cut short.
const INTERRUPTED: &str = "<p class=\"interrupted\">Interrupted: \
                           this page is about the part that ran.</p>";

/// The page.
pub fn html(run: &Run<'_>) -> String {
    let verdict = run.verdict;
    let ops = series::operations(run.history);
    // Of a long run both take their time.
    let (packed, drawing) = std::thread::scope(|scope| {
        let packed = scope.spawn(|| super::columns::packed(run.history));
        let drawing = timeline::timeline(run, &ops);
        (packed.join().expect("packing does not fail"), drawing)
    });
    let drawing = drawing
        .unwrap_or_else(|| absent("Nothing happened in this run, so there is nothing to draw."));
    fill(
        PAGE,
        &[
            ("look", LOOK),
            ("first-hash", &hash(FIRST)),
            ("first", FIRST),
            ("hash", &hash(SCRIPT)),
            ("script", SCRIPT),
            ("columns", &packed.columns),
            ("words", &packed.words),
            ("observed", &super::observed::observed(run)),
            ("outline", &super::outline::outline(run)),
            ("title", &escape(&title(run))),
            ("validity", verdict.validity.name()),
            ("mark", MARKS.mark(verdict.validity)),
            ("sentence", &escape(&verdict.sentence)),
            ("about", &escape(&about(run))),
            ("reasons", &reasons(verdict)),
            ("proofs", &super::proof::proofs(run)),
            ("staleness", &super::staleness::staleness(run)),
            ("timeline", &drawing),
            ("faults", &faults(&verdict.faults)),
            ("operations", &operations(verdict)),
            ("latency", &escape(&latency(verdict))),
            ("checks", &checks(&verdict.checks)),
            ("deaths", &deaths(&verdict.deaths)),
            ("facts", &super::facts::facts(run.record, &verdict.coverage)),
            ("repro", &escape(&run.record.repro)),
            ("footer", &escape(&footer(run))),
        ],
    )
}

/// A script's name in the page's policy.
fn hash(script: &str) -> String {
    let digest = sha2::Sha256::digest(script.as_bytes());
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

fn title(run: &Run<'_>) -> String {
    let config = &run.record.config;
    let verdict = run.verdict.validity;
    format!(
        "{} {}: {} {}, seed {}",
        MARKS.mark(verdict),
        verdict.name(),
        config.system,
        config.workload,
        config.seed
    )
}

/// The run in a line under the verdict.
fn about(run: &Run<'_>) -> String {
    let config = &run.record.config;
    let nemesis =
        if config.nemesis.is_empty() { "none".to_owned() } else { config.nemesis.join(", ") };
    let total = run.verdict.counts.total();
    format!(
        "{} of {}; workload {}; nemesis {}; {}; {}; seed {}; {}; harness {}",
        phrase::count(usize::from(config.nodes), "replica"),
        config.system,
        config.workload,
        nemesis,
        phrase::count((total.ok + total.fail + total.info) as usize, "operation"),
        faulted(&run.verdict.faults),
        config.seed,
        run.record.started,
        run.record.harness
    )
}

fn faulted(faults: &[FaultRecord]) -> String {
    if faults.is_empty() { "no fault".to_owned() } else { phrase::faults(faults) }
}

fn footer(run: &Run<'_>) -> String {
    format!(
        "harness {}, format {}. Everything is in {}",
        run.record.harness, run.record.format, run.directory
    )
}

/// What the reader has to know of how far the verdict goes.
fn limits(verdict: &VerdictRecord) -> String {
    let mut limits = if verdict.interrupted { INTERRUPTED.to_owned() } else { String::new() };
    let early = verdict.stopped_early.iter().map(|early| format!("Stopped early {early}"));
    let not_asked = verdict.not_asked.iter().map(|what| format!("Not asked: {what}"));
    for limit in early.chain(not_asked) {
        limits += &format!("<p class=\"interrupted\">{}</p>", escape(&limit));
    }
    limits
}

/// Whatever else stands against *valid*.
fn reasons(verdict: &VerdictRecord) -> String {
    let limits = limits(verdict);
    let others = further_reasons(verdict);
    let items: String = others
        .map(|reason| {
            let (name, mark) = (reason.validity.name(), MARKS.mark(reason.validity));
            format!("<li class=\"{name}\"><b>{mark} {name}</b> {}</li>", escape(&reason.text))
        })
        .collect();
    if items.is_empty() { limits } else { format!("{limits}<ul class=\"reasons\">{items}</ul>") }
}

fn faults(faults: &[FaultRecord]) -> String {
    if faults.is_empty() {
        return absent("Nothing was broken on purpose in this run.");
    }
    let rows: Vec<Vec<String>> = faults
        .iter()
        .map(|fault| {
            let when =
                fault.started.map_or("never".to_owned(), |from| phrase::span(from, fault.ended));
            let seen = phrase::seen(fault.state).to_owned();
            vec![
                fault.id.to_string(),
                phrase::fault(fault),
                fault.target.clone(),
                when,
                seen,
                fault.evidence.clone(),
            ]
        })
        .collect();
    let heads = ["#", "fault", "target", "when", "seen", "evidence"];
    format!("<p>{}.</p>{}", escape(&phrase::faults(faults)), table(&heads, &rows))
}

fn operations(verdict: &VerdictRecord) -> String {
    let counts = &verdict.counts;
    if counts.functions.is_empty() {
        return absent("No operation was recorded.");
    }
    let all = ("all".to_owned(), counts.total());
    let functions = counts.functions.iter().map(|(name, outcomes)| (name.clone(), *outcomes));
    let rows: Vec<Vec<String>> = functions.chain([all]).map(outcomes).collect();
    let missed = format!("<p>{} more were due but found no free client.</p>", counts.missed);
    table(&["function", "ok", "fail", "info"], &rows) + if counts.missed > 0 { &missed } else { "" }
}

fn outcomes((name, outcomes): (String, Outcomes)) -> Vec<String> {
    vec![name, outcomes.ok.to_string(), outcomes.fail.to_string(), outcomes.info.to_string()]
}

fn latency(verdict: &VerdictRecord) -> String {
    if verdict.counts.total().ok == 0 {
        return "No operation succeeded, so there is no latency to speak of.".to_owned();
    }
    format!(
        "Latency of ok operations, from the moment each was due: {}.",
        phrase::latency(&verdict.latency)
    )
}

fn checks(checks: &[CheckRecord]) -> String {
    if checks.is_empty() {
        return absent("Nothing was checked.");
    }
    let row = |check: &CheckRecord| {
        let word = format!("{} {}", MARKS.mark(check.validity), check.validity.name());
        vec![check.name.clone(), word, check.sentence.clone()]
    };
    table(&["check", "verdict", "in words"], &checks.iter().map(row).collect::<Vec<_>>())
}

fn deaths(deaths: &[Death]) -> String {
    if deaths.is_empty() {
        return absent("No replica exited unasked.");
    }
    deaths.iter().map(death).collect()
}

fn death(death: &Death) -> String {
    format!(
        "<details open><summary><b>{}</b> {}</summary><pre tabindex=\"0\">{}</pre></details>",
        escape(&death.replica),
        escape(&death.how),
        escape(&death.log.join("\n"))
    )
}

/// What is said in place of something that is not there; never silence.
fn absent(words: &str) -> String {
    format!("<p class=\"absent\">{words}</p>")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Every tag that a page may have, by name.
    const TAGS: &str = "a b body button canvas code dd defs details div dl dt footer form g h1 h2 h3 head header html i \
                        input label li main meta ol option p path pattern pre rect script section select span style \
                        summary svg table tbody td text th thead title tr ul";

    /// The names of all tags, closing ones too, in the order of the page.
    fn names(page: &str) -> Vec<&str> {
        let tags = page.split('<').skip(1);
        tags.filter_map(|tag| tag.split([' ', '>', '/']).find(|name| !name.is_empty())).collect()
    }

    #[test]
    fn no_text_of_a_run_becomes_markup() {
        let hostile = "</title></style></script><img src=x onerror=alert(1)>\"'><svg onload=\"x\">\
                       {{repro}}&lt;\u{202e}";
        let page = html(&sample::hostile(hostile).run()).replace(SCRIPT, "");
        assert_eq!(
            page.matches("<script").count(),
            6,
            "first, ours, outline, what was seen, columns, words"
        );
        assert_eq!(page.matches("</script").count(), 6);
        for tag in names(&page) {
            assert!(
                tag == "!doctype" || TAGS.split_whitespace().any(|known| known == tag),
                "<{tag}>"
            );
        }
        for raw in ["<img", "\"'>", "\u{202e}", "href=\"x"] {
            assert!(!page.contains(raw), "{raw:?} survives");
        }
        assert!(page.contains("{{repro}}&amp;lt;\\u{202e}"), "the text is shown, as text");
    }

    #[test]
    fn a_hostile_run_has_the_markup_of_a_harmless_one() {
        let (harmless, hostile) = (sample::hostile("x"), sample::hostile("<b a='1' b=\"2\">&"));
        let page = |sample: &sample::Sample| html(&sample.run()).replace(SCRIPT, "");
        assert_eq!(names(&page(&harmless)), names(&page(&hostile)));
    }

    #[test]
    fn a_link_in_a_verdict_stays_in_the_directory() {
        let page = html(&sample::hostile("javascript:alert(1)").run());
        assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
    }

    #[test]
    fn the_page_asks_nothing_of_a_network() {
        let page = html(&sample::invalid(500).run());
        assert!(page.contains("default-src 'none'"));
        // The name of a namespace, which nobody asks for.
        let page = page.replace("'http://www.w3.org/2000/svg'", "");
        for outside in ["src=", "http:", "https:", "@import", "<link", "fetch(", "import("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_hundred_thousand_operations_fit_in_three_megabytes() {
        let page = html(&sample::invalid(100_000).run());
        assert!(page.len() < 3 << 20, "{} bytes", page.len());
    }

    #[test]
    fn the_script_makes_no_markup_and_no_code_of_text() {
        assert!(SCRIPT.len() < 120 << 10);
        for banned in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "</"]
        {
            assert!(!SCRIPT.contains(banned), "{banned}");
        }
    }

    #[test]
    fn what_is_missing_is_said_to_be_missing() {
        let mut sample = sample::valid(0);
        sample.verdict.faults.clear();
        sample.verdict.checks.clear();
        let page = html(&sample.run());
        for words in [
            "nothing to draw",
            "Nothing was broken",
            "No operation",
            "Nothing was checked",
            "unasked",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert!(!page.replace(SCRIPT, "").contains("NaN"));
    }

    #[test]
    fn one_operation_is_drawn() {
        let page = html(&sample::valid(1).run());
        assert!(page.contains("<path class=\"ok\" d=\"M"));
        let page = page.replace(SCRIPT, "");
        assert!(!page.contains("NaN") && !page.contains("inf "));
    }

    #[test]
    fn an_interrupted_run_says_so() {
        let page = html(&sample::unknown(40).run());
        assert!(page.contains("Interrupted: this page is about the part that ran"));
        assert!(page.contains("fault partition unseen") || page.contains("fault kill unseen"));
    }
}
