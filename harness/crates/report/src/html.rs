//! Renders a run as one self-contained page: no network, no other file.
//!
//! `assets/report.html` is the template, `assets/report.css` the style sheet; this file fills in
//! the template. Text from a record or a history passes [`escape_html`], or is packed into columns
//! that the scripts in `assets/report` draw. The content security policy of the page names its two
//! scripts by their hashes, so that no other script can run.

use super::markup::{escape_html, fill_template, render_table};
use super::run::{Run, further_reasons};
use super::style::Style;
use super::{phrase, series, timeline};
use base64::Engine as _;
use records::record::{CheckRecord, FaultRecord, OutcomeCounts, ReplicaExit, VerdictRecord};
use sha2::Digest as _;

const PAGE: &str = include_str!("assets/report.html");
const LOOK: &str = include_str!("assets/report.css");
/// The script that runs before the page is drawn.
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

/// The marks of the page, which is always UTF-8.
const MARKS: Style = Style { unicode: true, ..Style::PLAIN };

/// The note at the top of the page of an interrupted run.
const INTERRUPTED: &str = "<p class=\"interrupted\">Interrupted: \
                           this page covers only the part that ran.</p>";

/// Renders the page.
pub fn html(run: &Run<'_>) -> String {
    let verdict = run.verdict;
    let ops = series::client_operations(run.history);
    // Both take long for a long run, so they run in parallel.
    let (packed, drawing) = std::thread::scope(|scope| {
        let packed = scope.spawn(|| super::columns::pack_operations(run.history));
        let drawing = timeline::draw_timeline(run, &ops);
        (packed.join().expect("packing does not fail"), drawing)
    });
    let drawing =
        drawing.unwrap_or_else(|| empty_note("No operations and no faults: nothing to draw."));
    fill_template(
        PAGE,
        &[
            ("look", LOOK),
            ("first-hash", &script_hash(FIRST)),
            ("first", FIRST),
            ("hash", &script_hash(SCRIPT)),
            ("script", SCRIPT),
            ("columns", &packed.columns),
            ("words", &packed.words),
            ("observed", &super::observed::pack_observed(run)),
            ("outline", &super::outline::render_outline(run)),
            ("title", &escape_html(&page_title(run))),
            ("validity", verdict.validity.name()),
            ("mark", MARKS.mark(verdict.validity)),
            ("sentence", &escape_html(&verdict.sentence)),
            ("about", &escape_html(&summarize_run(run))),
            ("reasons", &reason_list(verdict)),
            ("proofs", &super::proof::render_proofs(run)),
            ("staleness", &super::staleness::render_staleness(run)),
            ("timeline", &drawing),
            ("faults", &fault_table(&verdict.faults)),
            ("operations", &operation_table(verdict)),
            ("latency", &escape_html(&latency_sentence(verdict))),
            ("checks", &check_table(&verdict.checks)),
            ("deaths", &death_list(&verdict.deaths)),
            ("facts", &super::facts::render_facts(run.record, &verdict.coverage)),
            ("repro", &escape_html(&run.record.repro)),
            ("footer", &escape_html(&footer_line(run))),
        ],
    )
}

/// The source expression of a script in the content security policy.
fn script_hash(script: &str) -> String {
    let digest = sha2::Sha256::digest(script.as_bytes());
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

fn page_title(run: &Run<'_>) -> String {
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

/// The run in one line below the verdict.
fn summarize_run(run: &Run<'_>) -> String {
    let config = &run.record.config;
    let nemesis = phrase::describe_nemesis(config);
    let total = run.verdict.counts.sum_outcomes();
    format!(
        "{} of {}; workload {}; nemesis {}; {}; {}; seed {}; {}; harness {}",
        phrase::count_noun(usize::from(config.nodes), "replica"),
        config.system,
        config.workload,
        nemesis,
        phrase::count_noun((total.ok + total.fail + total.info) as usize, "operation"),
        summarize_faults(&run.verdict.faults),
        config.seed,
        run.record.started,
        run.record.harness
    )
}

fn summarize_faults(faults: &[FaultRecord]) -> String {
    if faults.is_empty() { "no fault".to_owned() } else { phrase::summarize_faults(faults) }
}

fn footer_line(run: &Run<'_>) -> String {
    format!(
        "harness {}, format {}. Files: {}",
        run.record.harness, run.record.format, run.directory
    )
}

/// The limits of the verdict: interrupted, stopped early, or not checked.
fn verdict_limits(verdict: &VerdictRecord) -> String {
    let mut limits = if verdict.interrupted { INTERRUPTED.to_owned() } else { String::new() };
    let early = verdict.stopped_early.iter().map(|early| format!("Stopped early {early}"));
    let not_asked = verdict.not_asked.iter().map(|what| format!("Not checked: {what}"));
    for limit in early.chain(not_asked) {
        limits += &format!("<p class=\"interrupted\">{}</p>", escape_html(&limit));
    }
    limits
}

/// The limits of the verdict and every other reason against *valid*.
fn reason_list(verdict: &VerdictRecord) -> String {
    let limits = verdict_limits(verdict);
    let others = further_reasons(verdict);
    let items: String = others
        .map(|reason| {
            let (name, mark) = (reason.validity.name(), MARKS.mark(reason.validity));
            format!("<li class=\"{name}\"><b>{mark} {name}</b> {}</li>", escape_html(&reason.text))
        })
        .collect();
    if items.is_empty() { limits } else { format!("{limits}<ul class=\"reasons\">{items}</ul>") }
}

fn fault_table(faults: &[FaultRecord]) -> String {
    if faults.is_empty() {
        return empty_note("No faults were injected in this run.");
    }
    let rows: Vec<Vec<String>> = faults
        .iter()
        .map(|fault| {
            let when = fault
                .started
                .map_or("never".to_owned(), |from| phrase::format_span(from, fault.ended));
            let seen = phrase::state_name(fault.state).to_owned();
            vec![
                fault.id.to_string(),
                phrase::fault_name(fault),
                fault.target.clone(),
                when,
                seen,
                fault.evidence.clone(),
            ]
        })
        .collect();
    let heads = ["#", "fault", "target", "when", "state", "evidence"];
    format!(
        "<p>{}.</p>{}",
        escape_html(&phrase::summarize_faults(faults)),
        render_table(&heads, &rows)
    )
}

fn operation_table(verdict: &VerdictRecord) -> String {
    let counts = &verdict.counts;
    if counts.functions.is_empty() {
        return empty_note("No operation was recorded.");
    }
    let all = ("all".to_owned(), counts.sum_outcomes());
    let functions = counts.functions.iter().map(|(name, outcomes)| (name.clone(), *outcomes));
    let rows: Vec<Vec<String>> = functions.chain([all]).map(outcome_row).collect();
    let missed = format!("<p>{} skipped: all clients busy.</p>", counts.missed);
    render_table(&["function", "ok", "fail", "info (unknown)"], &rows)
        + if counts.missed > 0 { &missed } else { "" }
}

fn outcome_row((name, outcomes): (String, OutcomeCounts)) -> Vec<String> {
    vec![name, outcomes.ok.to_string(), outcomes.fail.to_string(), outcomes.info.to_string()]
}

fn latency_sentence(verdict: &VerdictRecord) -> String {
    if verdict.counts.sum_outcomes().ok == 0 {
        return "No operation succeeded: no latency.".to_owned();
    }
    format!(
        "Latency of ok operations, from their scheduled start: {}.",
        phrase::format_latency(&verdict.latency)
    )
}

fn check_table(checks: &[CheckRecord]) -> String {
    if checks.is_empty() {
        return empty_note("Nothing was checked.");
    }
    let row = |check: &CheckRecord| {
        let word = format!("{} {}", MARKS.mark(check.validity), check.validity.name());
        vec![check.name.clone(), word, check.sentence.clone()]
    };
    render_table(&["check", "verdict", "message"], &checks.iter().map(row).collect::<Vec<_>>())
}

fn death_list(deaths: &[ReplicaExit]) -> String {
    if deaths.is_empty() {
        return empty_note("No replica exited unexpectedly.");
    }
    deaths.iter().map(death_entry).collect()
}

fn death_entry(death: &ReplicaExit) -> String {
    format!(
        "<details open><summary><b>{}</b> {}</summary><pre tabindex=\"0\">{}</pre></details>",
        escape_html(&death.replica),
        escape_html(&death.how),
        escape_html(&death.log.join("\n"))
    )
}

/// A note in place of an empty section.
fn empty_note(words: &str) -> String {
    format!("<p class=\"absent\">{words}</p>")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// The tags that a page may have.
    const TAGS: &str = "a b body button canvas code dd defs details div dl dt footer form g h1 h2 \
                        h3 head header html i input label li main meta ol option p path pattern \
                        pre rect script section select span style summary svg table tbody td text \
                        th thead title tr ul";

    /// The names of all tags, closing tags too, in page order.
    fn tag_names(page: &str) -> Vec<&str> {
        let tags = page.split('<').skip(1);
        tags.filter_map(|tag| tag.split([' ', '>', '/']).find(|name| !name.is_empty())).collect()
    }

    #[test]
    fn escapes_all_text_of_a_run() {
        let hostile = "</title></style></script><img src=x onerror=alert(1)>\"'><svg onload=\"x\">\
                       {{repro}}&lt;\u{202e}";
        let page = html(&sample::hostile(hostile).run()).replace(SCRIPT, "");
        assert_eq!(
            page.matches("<script").count(),
            6,
            "first, main, outline, observed, columns, words"
        );
        assert_eq!(page.matches("</script").count(), 6);
        for tag in tag_names(&page) {
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
    fn renders_the_same_markup_for_a_hostile_run() {
        let (harmless, hostile) = (sample::hostile("x"), sample::hostile("<b a='1' b=\"2\">&"));
        let page = |sample: &sample::Sample| html(&sample.run()).replace(SCRIPT, "");
        assert_eq!(tag_names(&page(&harmless)), tag_names(&page(&hostile)));
    }

    #[test]
    fn keeps_links_inside_the_directory() {
        let page = html(&sample::hostile("javascript:alert(1)").run());
        assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
    }

    #[test]
    fn makes_no_network_requests() {
        let page = html(&sample::invalid(500).run());
        assert!(page.contains("default-src 'none'"));
        // An XML namespace, which browsers do not fetch.
        let page = page.replace("'http://www.w3.org/2000/svg'", "");
        for outside in ["src=", "http:", "https:", "@import", "<link", "fetch(", "import("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn fits_100_000_operations_in_3_mib() {
        let page = html(&sample::invalid(100_000).run());
        assert!(page.len() < 3 << 20, "{} bytes", page.len());
    }

    #[test]
    fn script_turns_no_text_into_markup_or_code() {
        assert!(SCRIPT.len() < 120 << 10);
        for banned in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "</"]
        {
            assert!(!SCRIPT.contains(banned), "{banned}");
        }
    }

    #[test]
    fn notes_empty_sections() {
        let mut sample = sample::valid(0);
        sample.verdict.faults.clear();
        sample.verdict.checks.clear();
        let page = html(&sample.run());
        for words in [
            "nothing to draw",
            "No faults were injected",
            "No operation",
            "Nothing was checked",
            "exited unexpectedly",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert!(!page.replace(SCRIPT, "").contains("NaN"));
    }

    #[test]
    fn draws_a_single_operation() {
        let page = html(&sample::valid(1).run());
        assert!(page.contains("<path class=\"ok\" d=\"M"));
        let page = page.replace(SCRIPT, "");
        assert!(!page.contains("NaN") && !page.contains("inf "));
    }

    #[test]
    fn notes_an_interrupted_run() {
        let page = html(&sample::unknown(40).run());
        assert!(page.contains("Interrupted: this page covers only the part that ran"));
        assert!(page.contains("fault partition unseen") || page.contains("fault kill unseen"));
    }
}
