//! Keeps the workspace in order: the arrows between crates, and rooms that stay readable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this has outgrown its name.
const LONGEST_FILE: usize = 600;

/// The folders of all packages.
const PACKAGES: [&str; 9] = [
    "checker",
    "harness",
    "harness/crates/engine",
    "harness/crates/records",
    "harness/crates/report",
    "harness/crates/simulator",
    "harness/crates/testbed",
    "node",
    "workloads",
];

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
fn the_engine_and_what_it_stands_on_do_not_link_the_node() {
    for package in ["testbed", "records", "report", "engine"] {
        assert!(!depends_on(&tree(package, &[]), "node"), "{package} depends on node");
    }
    for package in ["records", "report"] {
        let tree = tree(package, &[]);
        for unwanted in ["tokio", "nix", "workloads", "testbed", "engine"] {
            assert!(!depends_on(&tree, unwanted), "{package} depends on {unwanted}");
        }
    }
    let tree = tree("testbed", &[]);
    for unwanted in ["records", "report", "engine"] {
        assert!(!depends_on(&tree, unwanted), "testbed depends on {unwanted}");
    }
    let mut files = Vec::new();
    collect(&root().join("harness/crates/testbed/src"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file");
        let of_workloads = text.lines().filter(|line| line.contains("workloads::"));
        let other = of_workloads.filter(|line| line.trim() != "use workloads::Rng;").count();
        assert_eq!(other, 0, "{} uses more of workloads than its Rng", path.display());
    }
}

/// The simulator links the pure library; nothing else of the node is called from outside.
#[test]
fn the_program_calls_only_the_main_of_the_node() {
    let mut files = Vec::new();
    collect(&root().join("harness/src"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file");
        let calls_node = text.lines().filter(|line| line.contains("node::")).any(|line| {
            !line.contains("node::server::main") && !line.trim_start().starts_with("//")
        });
        assert!(!calls_node, "{} calls more of node than its main", path.display());
    }
}

#[test]
fn what_replicas_say_of_themselves_is_no_evidence() {
    let engine = root().join("harness/crates/engine/src");
    let mut files = vec![engine.join("run/judge.rs")];
    collect(&engine.join("evidence"), &mut files);
    assert!(files.len() > 1, "there is code that weighs evidence");
    for file in files {
        let text = fs::read_to_string(&file).expect("it is readable");
        for unwanted in ["sights", "Observed", "Standing", "replicas.jsonl"] {
            assert!(!text.contains(unwanted), "{} names {unwanted}", file.display());
        }
    }
}

#[test]
fn no_file_outgrows_its_name_and_each_says_what_it_does() {
    for package in PACKAGES {
        let mut files = Vec::new();
        collect(&root().join(package).join("src"), &mut files);
        collect(&root().join(package).join("tests"), &mut files);
        assert!(!files.is_empty(), "{package} has no source files");
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
    let pages = [
        ("harness/crates/report/src", "html.rs", "assets/report"),
        ("harness/src/web", "page.rs", "assets/browse"),
    ];
    for (source, page, scripts) in pages {
        let source = root().join(source);
        let page = fs::read_to_string(source.join(page)).expect("a source file");
        for file in fs::read_dir(source.join(scripts)).expect("scripts") {
            let path = file.expect("a script").path();
            let text = fs::read_to_string(&path).expect("a script");
            let lines = text.lines().count();
            let said = text.trim_start_matches("'use strict';\n").starts_with("// ");
            let name = path.strip_prefix(&source).expect("it lies there").display().to_string();
            assert!(page.contains(&format!("\"{name}\"")), "{name} is in no page");
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
