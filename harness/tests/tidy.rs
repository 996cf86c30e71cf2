//! Keeps the workspace in order: the arrows between crates, and rooms that stay readable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this has outgrown its name.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tree(package: &str, options: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "-p",
            package,
        ])
        .args(options)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are UTF-8")
}

fn depends_on(tree: &str, package: &str) -> bool {
    tree.lines().any(|line| line.split_whitespace().next() == Some(package))
}

#[test]
fn judge_and_workloads_are_plain_libraries() {
    for package in ["checker", "workloads"] {
        let tree = tree(package, &[]);
        for unwanted in ["tokio", "reqwest", "nix", "node", "harness"] {
            assert!(!depends_on(&tree, unwanted), "{package} depends on {unwanted}");
        }
    }
}

#[test]
fn the_brain_of_the_node_has_no_runtime_and_knows_nobody() {
    let tree = tree("node", &["--no-default-features"]);
    for unwanted in ["tokio", "axum", "nix", "checker", "workloads", "harness"] {
        assert!(!depends_on(&tree, unwanted), "node's library depends on {unwanted}");
    }
}

#[test]
fn nobody_needs_a_c_compiler() {
    let tree = tree("harness", &[]);
    for unwanted in ["cc", "cmake", "aws-lc-sys", "ring", "openssl-sys"] {
        assert!(!depends_on(&tree, unwanted), "harness depends on {unwanted}");
    }
}

#[test]
fn the_adapter_of_our_own_node_knows_only_its_public_interface() {
    let mut files = Vec::new();
    collect(&root().join("harness/src"), &mut files);
    // The simulator drives the pure library: no replica, no socket, nothing that the harness judges from outside.
    let simulates = |path: &PathBuf| {
        path.components().any(|part| part.as_os_str() == "sim") || path.ends_with("cli/sim.rs")
    };
    for path in files.into_iter().filter(|path| !simulates(path)) {
        let text = fs::read_to_string(&path).expect("a source file");
        let calls_node = text.lines().filter(|line| line.contains("node::")).any(|line| {
            !line.contains("node::server::main") && !line.trim_start().starts_with("//")
        });
        assert!(!calls_node, "{} calls more of node than its main", path.display());
    }
}

#[test]
fn what_replicas_say_of_themselves_is_no_evidence() {
    let mut files = vec![root().join("harness/src/run/judge.rs")];
    collect(&root().join("harness/src/evidence"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("it is readable");
        for unwanted in ["sights", "Observed", "Standing", "replicas.jsonl"] {
            assert!(!text.contains(unwanted), "{} names {unwanted}", file.display());
        }
    }
}

#[test]
fn no_file_outgrows_its_name_and_each_says_what_it_does() {
    for package in ["checker", "harness", "node", "workloads"] {
        let mut files = Vec::new();
        collect(&root().join(package).join("src"), &mut files);
        collect(&root().join(package).join("tests"), &mut files);
        for path in files {
            let text = fs::read_to_string(&path).expect("a source file");
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
            assert!(text.starts_with("//! "), "{} does not say what it does", path.display());
        }
    }
}

#[test]
fn every_script_is_in_its_page_and_says_what_it_does() {
    let source = root().join("harness/src");
    for (scripts, page) in [("report", "report/html.rs"), ("browse", "web/page.rs")] {
        let page = fs::read_to_string(source.join(page)).expect("a source file");
        for file in fs::read_dir(source.join("assets").join(scripts)).expect("scripts") {
            let path = file.expect("a script").path();
            let text = fs::read_to_string(&path).expect("a script");
            let lines = text.lines().count();
            let said = text.trim_start_matches("'use strict';\n").starts_with("// ");
            let name = path.strip_prefix(&source).expect("it lies there").display().to_string();
            assert!(page.contains(&format!("\"../{name}\"")), "{name} is in no page");
            assert!(
                said && lines <= LONGEST_FILE,
                "{name} does not say what it does: {lines} lines"
            );
        }
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
