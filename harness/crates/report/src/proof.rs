//! Writes what proves a history wrong: the order that fits and where it sticks, or the arrows that close a cycle.
//!
//! It is all there without a script; what names an operation carries its index (`data-op`), so that the
//! script can show it in the timeline.

use super::followers::followers;
use super::markup::{beside, escape, table};
use super::run::Run;
use super::{cycle, phrase};
use checker::History;
use checker::history::{Kind, Operation};
use records::record::{Candidate, CheckRecord, Finding, Placed, VerdictRecord, Witness};

/// Every proof of a run.
pub(super) fn proofs(run: &Run<'_>) -> String {
    let of_check = |check| proof(run.verdict, check) + &findings(run, check);
    run.verdict.checks.iter().map(of_check).collect()
}

/// The few operations that prove a check's word, if it has any.
fn proof(verdict: &VerdictRecord, check: &CheckRecord) -> String {
    let Some(witness) = &check.witness else { return String::new() };
    let key = witness.key.as_ref().map(|key| format!(", key <code>{}</code>", escape(key)));
    let sentence = if check.sentence == verdict.sentence { "" } else { &check.sentence };
    format!(
        "<section class=\"proof\"><h2>The operations that prove it{}</h2><p>{}</p>\
         <pre class=\"lanes\" tabindex=\"0\">{}</pre>\
         <p class=\"note\">A lane per process, time from left to right. ✗ marks the answer that no \
         order explains, ? and an open end what nobody knows.</p>\
         {}<div class=\"stuck\"{}><p>{}</p>{}</div>\
         <p class=\"note\">The same operations as a history of their own: \
         <a href=\"{}\">{}</a>{}</p></section>",
        key.unwrap_or_default(),
        escape(sentence),
        escape(&witness.lanes),
        order(witness),
        named(witness.accused),
        escape(&phrase::stuck(&witness.states_after)),
        candidates(witness),
        beside(&witness.file),
        escape(&witness.file),
        saving(witness)
    )
}

/// A page that was sent away has no files beside it.
fn saving(witness: &Witness) -> String {
    if witness.case.is_empty() {
        return String::new();
    }
    format!(
        " <button type=\"button\" data-case=\"{}\">save it</button>; \
         <code>harness check FILE --model …</code> judges it again",
        escape(&witness.file)
    )
}

/// The longest order that fits, with the state before and after each operation.
fn order(witness: &Witness) -> String {
    if witness.order.is_empty() {
        return String::new();
    }
    let after = witness.order.iter().skip(1).map(|placed| &placed.before);
    let after = after.chain([&witness.states_after]);
    let items: String =
        witness.order.iter().zip(after).map(|(it, after)| step(it, after)).collect();
    format!(
        "<h3>The longest order that fits</h3><p class=\"walk\">\
         <button type=\"button\" data-walk=\"-1\">◂ step back</button> \
         <button type=\"button\" data-walk=\"1\">step on ▸</button></p>\
         <ol class=\"order\">{items}</ol>"
    )
}

fn step(placed: &Placed, after: &[String]) -> String {
    format!(
        "<li{}><code>{}</code> <span class=\"states\">state {} → <b>{}</b></span></li>",
        named(Some(placed.index)),
        escape(&placed.operation),
        escape(&placed.before.join(" or ")),
        escape(&after.join(" or "))
    )
}

fn candidates(witness: &Witness) -> String {
    let item = |candidate: &Candidate| {
        format!(
            "<li{}><code>{}</code> {}</li>",
            named(candidate.index),
            escape(&candidate.operation),
            escape(&candidate.reason)
        )
    };
    format!(
        "<ul class=\"candidates\">{}</ul>",
        witness.candidates.iter().map(item).collect::<String>()
    )
}

/// What makes an element a link to an operation.
fn named(index: Option<u64>) -> String {
    index.map(|index| format!(" data-op=\"{index}\" tabindex=\"0\"")).unwrap_or_default()
}

/// What a check found that is no window, a case of each kind.
fn findings(run: &Run<'_>, check: &CheckRecord) -> String {
    let replicas = |one| match check.name.as_str() {
        "session" => followers(run, one),
        _ => String::new(),
    };
    check.findings.iter().map(|one| finding(run.history, one, &replicas(one))).collect()
}

/// A case, and what else is to be said of it.
fn finding(history: &History, finding: &Finding, further: &str) -> String {
    let links = |number: usize| {
        finding.arrows.get(number).map_or_else(String::new, |arrow| {
            let link = |index| {
                let name = name(finding, index);
                format!("<button type=\"button\" data-op=\"{index}\">{name}</button>")
            };
            format!("{} → {}: ", link(arrow.from), link(arrow.to))
        })
    };
    let steps = finding.steps.iter().enumerate();
    let steps = steps.map(|(n, step)| format!("<li>{}{}</li>", links(n), escape(step)));
    format!(
        "<section class=\"proof\"><h2>{} × {}</h2><p>{}</p>{}{}<ol>{}</ol>{further}</section>",
        escape(&finding.name),
        finding.count,
        escape(&finding.sentence),
        cycle::drawing(&finding.operations, &finding.arrows),
        beside_each_other(history, finding),
        steps.collect::<String>()
    )
}

/// An operation's name in a finding: `T1` for the first that its sentence tells of.
fn name(finding: &Finding, index: u64) -> String {
    let place = finding.operations.iter().position(|operation| *operation == index);
    place.map_or_else(|| format!("#{index}"), |place| format!("T{}", place + 1))
}

/// The operations of a case, side by side.
fn beside_each_other(history: &History, finding: &Finding) -> String {
    let row = |index: &u64| {
        let operations = history.operations();
        let place = operations.binary_search_by_key(index, |it| it.invoked.index).ok()?;
        Some(told(name(finding, *index), &operations[place]))
    };
    let rows: Vec<Vec<String>> = finding.operations.iter().filter_map(row).collect();
    let heads = ["name", "process", "replica", "from", "to", "asked", "told"];
    if rows.is_empty() { String::new() } else { table(&heads, &rows) }
}

fn told(name: String, operation: &Operation) -> Vec<String> {
    let ended = operation.completion.as_ref();
    let answer = match (ended, operation.kind()) {
        (Some(ended), Kind::Ok) => ended.output.to_string(),
        (Some(ended), kind) => {
            let error = ended.error.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {error}", if kind == Kind::Fail { "failed" } else { "nobody knows" })
        }
        (None, _) => "never completed".to_owned(),
    };
    let moment = |ns: u64| format!("{} s", phrase::seconds(ns, 1_000));
    vec![
        format!("{name} (index {})", operation.invoked.index),
        operation.process.to_string(),
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
    use records::record::Arrow;

    #[test]
    fn the_order_tells_each_state_and_ends_where_it_sticks() {
        let page = proofs(&sample::invalid(10).run());
        assert!(page.contains("state 4 → <b>5</b>"), "{page}");
        assert!(page.contains("class=\"stuck\" data-op=\"2\""));
        assert!(page.contains("<li data-op=\"4\" tabindex=\"0\"><code>cas"));
    }

    #[test]
    fn a_cycle_is_told_edge_by_edge_and_its_operations_stand_side_by_side() {
        let mut sample = sample::valid(10);
        let arrow = |from, to| Arrow { from, to, relation: "ww".into() };
        sample.verdict.checks[0].findings = vec![Finding {
            name: "G0".into(),
            count: 2,
            sentence: "a cycle".into(),
            steps: vec!["because of this".into(), "a contradiction".into()],
            arrows: vec![arrow(0, 2), arrow(2, 0)],
            operations: vec![0, 2],
        }];
        let page = proofs(&sample.run());
        for part in ["G0 × 2", ">T1</button>: a contradiction", "T1 (index 0)", "<svg"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn a_record_from_before_there_were_orders_is_still_shown() {
        let mut sample = sample::invalid(10);
        let witness = sample.verdict.checks[0].witness.as_mut().expect("a witness");
        (witness.order, witness.accused) = (Vec::new(), None);
        let page = proofs(&sample.run());
        assert!(page.contains("class=\"stuck\"><p>") && !page.contains("longest order"));
    }
}
