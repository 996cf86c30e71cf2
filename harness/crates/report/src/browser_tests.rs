//! Opens pages in a real browser, where there is one: the script must draw, and run nothing of what it shows.

use super::{html, sample};
use crate::not_run::not_run;
use std::process::Command;

/// The page as Chromium has it once its script is through; nothing where there is no Chromium.
fn opened(name: &str, page: &str) -> Option<String> {
    linked(name, page, "")
}

/// The same, opened by a link to a part of it.
fn linked(name: &str, page: &str, link: &str) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("report.html");
    std::fs::write(&path, page).expect("a file");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--timeout=20000", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
        .arg(format!("file://{}{link}", path.display()))
        .output();
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            not_run(format!("{name}: chromium cannot be started: {error}"));
            None
        }
    }
}

#[test]
fn a_browser_draws_none_one_and_many() {
    for (operations, told) in
        [(0, "0 operations on 0"), (1, "1 operations on 1"), (3000, "3000 operations on 10")]
    {
        let page = html(&sample::invalid(operations).run());
        let Some(dom) = opened("report in a browser", &page) else { return };
        assert!(dom.contains("data-ready=\"yes\""), "{operations}: the script came to its end");
        assert!(dom.contains(told), "{operations}");
        let silent = "n2, n3, n4, n5 never said anything of themselves";
        assert!(dom.contains(silent), "what was seen of replicas is read: {operations}");
    }
}

#[test]
fn a_browser_runs_nothing_that_a_run_says() {
    let attack = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let page = html(&sample::hostile(attack).run());
    let page = page.replace("<main>", "<main><script>document.title='owned'</script>");
    let Some(dom) = opened("hostile report in a browser", &page) else { return };
    assert!(dom.contains("data-ready=\"yes\""), "our own script runs");
    assert!(!dom.contains("<title>owned"), "even markup that got in would not run");
}

#[test]
fn a_link_leads_to_an_operation_a_step_and_a_choice() {
    let page = html(&sample::invalid(3000).run());
    let link = "#op=4&step=1&outcome=fail&t=0-9000000000";
    let Some(dom) = linked("deep link in a browser", &page, link) else { return };
    assert!(dom.contains("pass the filter, the others are hidden"));
    assert!(dom.contains("class=\"now\""), "the step is shown");
    assert!(dom.contains("{\"index\":4,\"time\":"), "the operation is told as it was recorded");
    let Some(dom) = linked("deep link in a browser", &page, "#op=5000000") else { return };
    assert!(dom.contains("of this link is not in this run"), "what is not there is said");
}
