//! Tests the laws of the design that are edges between packages.

use crate::sources::{collect_rust_files, workspace_root};
use std::fs;
use std::process::Command;

fn dependency_tree(package: &str, options: &[&str]) -> String {
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
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are UTF-8")
}

fn depends_on(tree: &str, package: &str) -> bool {
    tree.lines().any(|line| line.split_whitespace().next() == Some(package))
}

#[test]
fn checker_and_workloads_are_plain_libraries() {
    for package in ["history-checker", "history-workloads"] {
        let tree = dependency_tree(package, &[]);
        for unwanted in ["tokio", "reqwest", "nix", "node", "harness"] {
            assert!(!depends_on(&tree, unwanted), "{package} depends on {unwanted}");
        }
    }
}

#[test]
fn the_node_library_has_no_async_runtime() {
    let tree = dependency_tree("node", &["--no-default-features"]);
    for unwanted in ["tokio", "axum", "nix", "history-checker", "history-workloads", "harness"] {
        assert!(!depends_on(&tree, unwanted), "node's library depends on {unwanted}");
    }
}

#[test]
fn no_dependency_needs_a_c_compiler() {
    let tree = dependency_tree("harness", &[]);
    for unwanted in ["cc", "cmake", "aws-lc-sys", "ring", "openssl-sys"] {
        assert!(!depends_on(&tree, unwanted), "harness depends on {unwanted}");
    }
}

#[test]
fn the_engine_and_its_dependencies_do_not_link_the_node() {
    for package in ["testbed", "records", "report", "engine"] {
        assert!(!depends_on(&dependency_tree(package, &[]), "node"), "{package} depends on node");
    }
    for package in ["records", "report"] {
        let tree = dependency_tree(package, &[]);
        for unwanted in ["tokio", "nix", "clap", "history-workloads", "testbed", "engine"] {
            assert!(!depends_on(&tree, unwanted), "{package} depends on {unwanted}");
        }
    }
    let tree = dependency_tree("testbed", &[]);
    for unwanted in ["records", "report", "engine", "history-workloads"] {
        assert!(!depends_on(&tree, unwanted), "testbed depends on {unwanted}");
    }
}

/// The simulator links the pure library; nothing else of the node is called from outside.
#[test]
fn the_program_calls_only_the_main_of_the_node() {
    let mut files = Vec::new();
    collect_rust_files(&workspace_root().join("harness/src"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file");
        let calls_node = text.lines().filter(|line| line.contains("node::")).any(|line| {
            !line.contains("node::server::main") && !line.trim_start().starts_with("//")
        });
        assert!(!calls_node, "{} calls more of node than its main", path.display());
    }
}

#[test]
fn no_check_reads_what_replicas_report() {
    let engine = workspace_root().join("harness/crates/engine/src");
    let mut files = vec![engine.join("run/judge.rs")];
    collect_rust_files(&engine.join("evidence"), &mut files);
    assert!(files.len() > 1, "the engine has files that weigh evidence");
    for file in files {
        let text = fs::read_to_string(&file).expect("it is readable");
        for unwanted in ["replica_log", "ReplicaTelemetry", "ReplicaStatus", "replicas.jsonl"] {
            assert!(!text.contains(unwanted), "{} names {unwanted}", file.display());
        }
    }
}
