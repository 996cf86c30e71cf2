//! Lists the operations on one key, a column per replica, up to the read that violated a session
//! guarantee: it shows which replica answered from an old state.

use super::markup::render_table;
use super::phrase;
use super::run::Run;
use checker::history::{Kind, Operation, Value};
use records::record::Finding;

/// How many of the last operations on the key are shown.
const SHOWN: usize = 14;

/// The table of a session finding; empty if its operations have no key or no replica.
pub(super) fn replica_columns(run: &Run<'_>, finding: &Finding) -> String {
    let Some(told) = operations_on_key(run, finding) else { return String::new() };
    let names: Vec<&str> = run.record.replicas.iter().map(|replica| &*replica.name).collect();
    let rows: Vec<Vec<String>> =
        told.iter().map(|operation| operation_row(run, operation, &names, finding)).collect();
    let heads: Vec<&str> = ["start", "client"].into_iter().chain(names.iter().copied()).collect();
    format!(
        "<h3>Operations on this key, by replica</h3>{}\
         <p class=\"note\">The last {SHOWN} operations on the key before the violation; \
         T1, T2, … are the operations of this finding.</p>",
        render_table(&heads, &rows)
    )
}

/// The last operations on the finding's key, up to the completion of its last operation.
fn operations_on_key<'a>(run: &Run<'a>, finding: &Finding) -> Option<Vec<&'a Operation>> {
    let operations = run.history.operations();
    let last = finding.operations.iter().max()?;
    let place = operations.binary_search_by_key(last, |it| it.invoked.index).ok()?;
    let (broken, key) = (&operations[place], operation_key(&operations[place])?);
    broken.node.as_ref()?;
    let end = broken.completion.as_ref()?.at.index;
    let on_it = operations.iter().filter(|it| self::operation_key(it) == Some(key));
    let over = |it: &&Operation| it.completion.as_ref().is_some_and(|ended| ended.at.index <= end);
    let mut told: Vec<&Operation> = on_it.filter(over).collect();
    let case = |it: &&Operation| finding.operations.contains(&it.invoked.index);
    let first = told.len().saturating_sub(SHOWN);
    let mut place = 0;
    told.retain(|it| {
        place += 1;
        place > first || case(it)
    });
    Some(told)
}

fn operation_key(operation: &Operation) -> Option<&Value> {
    operation.input.as_pair().map(|pair| pair.0)
}

fn operation_row(
    run: &Run<'_>,
    operation: &Operation,
    replicas: &[&str],
    finding: &Finding,
) -> Vec<String> {
    let index = operation.invoked.index;
    let name = finding.operations.iter().position(|one| *one == index);
    let mark = name.map_or_else(String::new, |place| format!("T{}: ", place + 1));
    let node = operation.node.as_ref().map(ToString::to_string).unwrap_or_default();
    let cell = |replica: &&str| match node == **replica {
        true => format!("{mark}{} {}", operation.f, shown_value(operation)),
        false => String::new(),
    };
    let from = format!("{} s", phrase::format_seconds(operation.invoked.time, 1_000));
    let client = phrase::client_name(operation.process, run.record.config.concurrency);
    [from, client].into_iter().chain(replicas.iter().map(cell)).collect()
}

/// The value of the response, or of the request if there is none, without its key.
fn shown_value(operation: &Operation) -> String {
    let value = |value: &Value| value.as_pair().map_or(value, |pair| pair.1).to_string();
    match (operation.kind(), &operation.completion) {
        (Kind::Ok, Some(ended)) => value(&ended.output),
        (Kind::Fail, _) => format!("{} failed", value(&operation.input)),
        _ => format!("{} ?", value(&operation.input)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use checker::History;

    #[test]
    fn gives_each_replica_a_column_and_labels_the_finding() {
        let mut sample = sample::valid(0);
        sample.history = History::new(
            checker::history::jsonl::parse(
                br#"
{"index":0,"time":1,"type":"invoke","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":1,"time":2,"type":"ok","process":1,"f":"write","value":["k",5],"node":"n1"}
{"index":2,"time":3,"type":"invoke","process":1,"f":"read","value":["x",null],"node":"n1"}
{"index":3,"time":4,"type":"ok","process":1,"f":"read","value":["x",9],"node":"n1"}
{"index":4,"time":5,"type":"invoke","process":1,"f":"read","value":["k",null],"node":"n2"}
{"index":5,"time":6,"type":"ok","process":1,"f":"read","value":["k",4],"node":"n2"}
"#
                .trim_ascii_start(),
            )
            .expect("a history")
            .history
            .events()
            .to_vec(),
        )
        .expect("well-formed");
        let finding = Finding {
            name: "read-your-writes".into(),
            count: 1,
            sentence: String::new(),
            steps: Vec::new(),
            arrows: Vec::new(),
            operations: vec![0, 4],
        };
        let page = replica_columns(&sample.run(), &finding);
        assert!(page.contains("<td data-head=\"n1\">T1: write 5</td>"), "{page}");
        assert!(page.contains("<td data-head=\"n2\">T2: read 4</td>"), "{page}");
        assert!(!page.contains("read 9"), "operations on other keys are left out");
        let other = Finding { operations: vec![77], ..finding };
        assert_eq!(replica_columns(&sample.run(), &other), "");
    }
}
