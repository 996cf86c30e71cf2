//! Opens pages in Chromium, if it is installed: the script must draw, and execute no text of a run.

use super::{html, sample};
use crate::not_run::not_run;
use std::process::Command;

/// The DOM after the script has run; `None` without Chromium.
fn open_page(name: &str, page: &str) -> Option<String> {
    open_link(name, page, "")
}

/// The DOM of the page opened with a fragment.
fn open_link(name: &str, page: &str, link: &str) -> Option<String> {
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
fn draws_none_one_and_many_operations() {
    for (operations, told) in
        [(0, "0 operations on 0"), (1, "1 operations on 1"), (3000, "3000 operations on 10")]
    {
        let page = html(&sample::invalid(operations).run());
        let Some(dom) = open_page("report in a browser", &page) else { return };
        assert!(dom.contains("data-ready=\"yes\""), "{operations}: the script finished");
        assert!(dom.contains(told), "{operations}");
        let silent = "n2, n3, n4, n5 never reported their state";
        assert!(dom.contains(silent), "observations are unpacked: {operations}");
    }
}

#[test]
fn executes_no_text_of_a_run() {
    let attack = "</script><script>document.title='owned'</script>\
                  <img src=x onerror=\"document.title='owned'\">";
    let page = html(&sample::hostile(attack).run());
    let page = page.replace("<main>", "<main><script>document.title='owned'</script>");
    let Some(dom) = open_page("hostile report in a browser", &page) else { return };
    assert!(dom.contains("data-ready=\"yes\""), "the page's own script runs");
    assert!(!dom.contains("<title>owned"), "the policy blocks injected scripts");
}

#[test]
fn opens_a_link_to_an_operation_and_a_step() {
    let page = html(&sample::invalid(3000).run());
    let link = "#op=4&step=1&outcome=fail&t=0-9000000000";
    let Some(dom) = open_link("deep link in a browser", &page, link) else { return };
    assert!(dom.contains("pass the filter, the others are hidden"));
    assert!(dom.contains("class=\"now\""), "the step is shown");
    assert!(dom.contains("{\"index\":4,\"time\":"), "the operation is shown as recorded");
    let Some(dom) = open_link("deep link in a browser", &page, "#op=5000000") else { return };
    assert!(dom.contains("of this link is not in this run"), "the missing operation is reported");
}
