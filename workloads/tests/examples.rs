//! Runs the example, so that it stays true.

#[path = "../examples/register.rs"]
#[expect(dead_code, reason = "the test calls what main prints")]
mod register;

#[test]
fn a_correct_copy_passes_the_register_workload() {
    let verdicts = register::run_workload(200);
    assert!(!verdicts.is_empty());
    for verdict in verdicts {
        assert_eq!(verdict.validity, checker::Validity::Valid, "{}", verdict.message);
        assert!(verdict.stats.operations > 100, "{}", verdict.message);
    }
}
