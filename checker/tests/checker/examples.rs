//! Runs the examples, so that they stay true.

#[path = "../../examples/online.rs"]
#[expect(dead_code, reason = "the tests call what main prints")]
mod online;
#[path = "../../examples/online_cost.rs"]
#[expect(dead_code, reason = "the tests call what main prints")]
mod online_cost;
#[path = "../../examples/own_model.rs"]
#[expect(dead_code, reason = "the tests call what main prints")]
mod own_model;
#[path = "../../examples/recorded_log.rs"]
#[expect(dead_code, reason = "the tests call what main prints")]
mod recorded_log;

#[test]
fn an_own_model_rejects_a_lost_add() {
    let report = own_model::check_log();
    assert!(report.starts_with("Invalid: process 2"), "{report}");
    assert!(report.contains("Get -> Ok(5)"), "{report}");
}

#[test]
fn a_recorded_log_shows_a_stale_read() {
    let log = recorded_log::STALE_READ.as_bytes();
    let report = recorded_log::check_log(log, "register").expect("a well-formed log");
    assert!(report.starts_with("Invalid: process 2 read 1"), "{report}");
}

#[test]
fn the_online_checker_stops_at_the_stale_read() {
    let report = online::check_run();
    assert!(report.starts_with("violation at event 7: process 0 read 1"), "{report}");
}

#[test]
fn a_correct_database_costs_little_to_check_online() {
    let table = online_cost::measure_all(2000);
    assert_eq!(table.lines().count(), 2, "{table}");
}
