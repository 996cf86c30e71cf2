//! Renders the proof of a violation: the longest consistent prefix and its dead end, or a cycle.
//!
//! The proof needs no script. Elements that name an operation carry its index (`data-op`), so that
//! the script can show that operation in the timeline.

use super::followers::replica_columns;
use super::markup::{escape_html, relative_link, render_table};
use super::run::Run;
use super::{cycle, phrase};
use checker::history::{Kind, Operation};
use records::record::{Candidate, CheckRecord, Finding, PrefixOperation, VerdictRecord, Witness};

/// Renders the proofs of all checks of a run.
pub(super) fn render_proofs(run: &Run<'_>) -> String {
    let of_check = |check| witness_section(run.verdict, check) + &finding_sections(run, check);
    run.verdict.checks.iter().map(of_check).collect()
}

/// The minimal operations that prove a violation, if the check found some.
fn witness_section(verdict: &VerdictRecord, check: &CheckRecord) -> String {
    let Some(witness) = &check.witness else { return String::new() };
    let key = witness.key.as_ref().map(|key| format!(", key <code>{}</code>", escape_html(key)));
    let sentence = if check.sentence == verdict.sentence { "" } else { &check.sentence };
    format!(
        "<section class=\"proof\"><h2>The operations that prove it{}</h2><p>{}</p>\
         <pre class=\"lanes\" tabindex=\"0\">{}</pre>\
         <p class=\"note\">One lane per process; time runs from left to right. ✗ marks the answer \
         that no order explains; ? and an open end mark an unknown outcome.</p>\
         {}<div class=\"stuck\"{}><p>{}</p>{}</div>\
         <p class=\"note\">These operations as a separate history: \
         <a href=\"{}\">{}</a>{}</p></section>",
        key.unwrap_or_default(),
        escape_html(sentence),
        escape_html(&witness.lanes),
        prefix_list(witness),
        operation_link(witness.accused),
        escape_html(&phrase::explain_dead_end(&witness.states_after).join(" ")),
        candidate_list(witness),
        relative_link(&witness.file),
        escape_html(&witness.file),
        save_button(witness)
    )
}

/// Offers the window as a download: a report that was copied has no files beside it.
fn save_button(witness: &Witness) -> String {
    if witness.case.is_empty() {
        return String::new();
    }
    format!(
        " <button type=\"button\" data-case=\"{}\">save</button>; \
         <code>harness check FILE --model …</code> checks it again",
        escape_html(&witness.file)
    )
}

/// The longest consistent prefix, with the state before and after each operation.
fn prefix_list(witness: &Witness) -> String {
    if witness.order.is_empty() {
        return String::new();
    }
    let after = witness.order.iter().skip(1).map(|placed| &placed.before);
    let after = after.chain([&witness.states_after]);
    let items: String =
        witness.order.iter().zip(after).map(|(it, after)| prefix_item(it, after)).collect();
    format!(
        "<h3>Longest consistent prefix</h3><p class=\"walk\">\
         <button type=\"button\" data-walk=\"-1\">◂ previous step</button> \
         <button type=\"button\" data-walk=\"1\">next step ▸</button></p>\
         <ol class=\"order\">{items}</ol>"
    )
}

fn prefix_item(placed: &PrefixOperation, after: &[String]) -> String {
    format!(
        "<li{}><code>{}</code> <span class=\"states\">state {} → <b>{}</b></span></li>",
        operation_link(Some(placed.index)),
        escape_html(&placed.operation),
        escape_html(&placed.before.join(" or ")),
        escape_html(&after.join(" or "))
    )
}

fn candidate_list(witness: &Witness) -> String {
    let item = |candidate: &Candidate| {
        format!(
            "<li{}><code>{}</code> {}</li>",
            operation_link(candidate.index),
            escape_html(&candidate.operation),
            escape_html(&candidate.reason)
        )
    };
    format!(
        "<ul class=\"candidates\">{}</ul>",
        witness.candidates.iter().map(item).collect::<String>()
    )
}

/// The attributes that link an element to an operation.
fn operation_link(index: Option<u64>) -> String {
    index.map(|index| format!(" data-op=\"{index}\" tabindex=\"0\"")).unwrap_or_default()
}

/// Findings without a window of operations: one example of each kind.
fn finding_sections(run: &Run<'_>, check: &CheckRecord) -> String {
    let replicas = |one| match check.name.as_str() {
        "session" => replica_columns(run, one),
        _ => String::new(),
    };
    check.findings.iter().map(|one| finding_section(run, one, &replicas(one))).collect()
}

/// One finding, followed by `further` details.
fn finding_section(run: &Run<'_>, finding: &Finding, further: &str) -> String {
    let links = |number: usize| {
        finding.arrows.get(number).map_or_else(String::new, |arrow| {
            let link = |index| {
                let name = operation_label(finding, index);
                format!("<button type=\"button\" data-op=\"{index}\">{name}</button>")
            };
            format!("{} → {}: ", link(arrow.from), link(arrow.to))
        })
    };
    let steps = finding.steps.iter().enumerate();
    let steps = steps.map(|(n, step)| format!("<li>{}{}</li>", links(n), escape_html(step)));
    format!(
        "<section class=\"proof\"><h2>{} × {}</h2><p>{}</p>{}{}<ol>{}</ol>{further}</section>",
        escape_html(&finding.name),
        finding.count,
        escape_html(&finding.sentence),
        cycle::draw_cycle(&finding.operations, &finding.arrows),
        operation_table(run, finding),
        steps.collect::<String>()
    )
}

/// An operation's name in a finding: `T1` is the first operation of the finding.
fn operation_label(finding: &Finding, index: u64) -> String {
    let place = finding.operations.iter().position(|operation| *operation == index);
    place.map_or_else(|| format!("#{index}"), |place| format!("T{}", place + 1))
}

/// The operations of a finding as a table.
fn operation_table(run: &Run<'_>, finding: &Finding) -> String {
    let clients = run.record.config.concurrency;
    let row = |index: &u64| {
        let operations = run.history.operations();
        let place = operations.binary_search_by_key(index, |it| it.invoked.index).ok()?;
        Some(operation_row(operation_label(finding, *index), &operations[place], clients))
    };
    let rows: Vec<Vec<String>> = finding.operations.iter().filter_map(row).collect();
    let heads = ["name", "client", "replica", "start", "end", "request", "response"];
    if rows.is_empty() { String::new() } else { render_table(&heads, &rows) }
}

fn operation_row(name: String, operation: &Operation, clients: u64) -> Vec<String> {
    let ended = operation.completion.as_ref();
    let answer = match (ended, operation.kind()) {
        (Some(ended), Kind::Ok) => ended.output.to_string(),
        (Some(ended), kind) => {
            let error = ended.error.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {error}", if kind == Kind::Fail { "failed" } else { "unknown" })
        }
        (None, _) => "never completed".to_owned(),
    };
    let moment = |ns: u64| format!("{} s", phrase::format_seconds(ns, 1_000));
    vec![
        format!("{name} (op #{})", operation.invoked.index),
        phrase::client_name(operation.process, clients),
        operation.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        moment(operation.invoked.time),
        ended.map_or_else(|| "-".to_owned(), |ended| moment(ended.at.time)),
        format!("{} {}", operation.f, operation.input),
        answer,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use records::record::DependencyEdge;

    #[test]
    fn shows_each_state_of_the_prefix_and_its_dead_end() {
        let page = render_proofs(&sample::invalid(10).run());
        assert!(page.contains("state 4 → <b>5</b>"), "{page}");
        assert!(page.contains("class=\"stuck\" data-op=\"2\""));
        assert!(page.contains("<li data-op=\"4\" tabindex=\"0\"><code>cas"));
    }

    #[test]
    fn explains_each_edge_of_a_cycle_and_lists_its_operations() {
        let mut sample = sample::valid(10);
        let arrow = |from, to| DependencyEdge { from, to, relation: "ww".into() };
        sample.verdict.checks[0].findings = vec![Finding {
            name: "G0".into(),
            count: 2,
            sentence: "a cycle".into(),
            steps: vec!["because of this".into(), "a contradiction".into()],
            arrows: vec![arrow(0, 2), arrow(2, 0)],
            operations: vec![0, 2],
        }];
        let page = render_proofs(&sample.run());
        for part in ["G0 × 2", ">T1</button>: a contradiction", "T1 (op #0)", "<svg"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn shows_a_record_without_a_prefix() {
        let mut sample = sample::invalid(10);
        let witness = sample.verdict.checks[0].witness.as_mut().expect("a witness");
        (witness.order, witness.accused) = (Vec::new(), None);
        let page = render_proofs(&sample.run());
        assert!(page.contains("class=\"stuck\"><p>") && !page.contains("Longest consistent"));
    }
}
