//! Tests that files stay short and say what they do.

use crate::sources::{read_crates, workspace_root};
use std::fs;

/// The most lines of a file.
const LONGEST_FILE: usize = 600;

#[test]
fn files_are_short_and_start_with_a_module_doc() {
    for package in read_crates() {
        for source in package.all_sources() {
            let lines = source.text.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", source.name());
            assert!(source.text.starts_with("//! "), "{} has no module doc", source.name());
        }
    }
}

#[test]
fn every_script_is_in_its_page_and_starts_with_a_comment() {
    let pages = [
        ("harness/crates/report/src", "html.rs", "assets/report"),
        ("harness/src/web", "page.rs", "assets/browse"),
    ];
    for (source, page, scripts) in pages {
        let source = workspace_root().join(source);
        let page = fs::read_to_string(source.join(page)).expect("a source file");
        for file in fs::read_dir(source.join(scripts)).expect("scripts") {
            let path = file.expect("a script").path();
            let text = fs::read_to_string(&path).expect("a script");
            let lines = text.lines().count();
            let has_comment = text.trim_start_matches("'use strict';\n").starts_with("// ");
            let name = path.strip_prefix(&source).expect("it lies there").display().to_string();
            assert!(page.contains(&format!("\"{name}\"")), "{name} is in no page");
            assert!(
                has_comment && lines <= LONGEST_FILE,
                "{name} has no leading comment or {lines} lines"
            );
        }
    }
}
