//! Resolves names of requests to paths inside the results directory.

use std::path::{Component, Path, PathBuf};

/// The file or directory of that name. Rejects names with a leading dot, `..`, and links that
/// leave the directory.
pub(super) fn resolve_path(results: &Path, name: &str) -> Option<PathBuf> {
    let plain = Path::new(name).components().all(|part| match part {
        Component::Normal(part) => !part.to_string_lossy().starts_with('.'),
        _ => false,
    });
    if name.is_empty() || name.contains('\0') || !plain {
        return None;
    }
    let path = results.join(name).canonicalize().ok()?;
    path.starts_with(results).then_some(path)
}

/// The directory of a run.
pub(super) fn resolve_run(results: &Path, family: &str, name: &str) -> Option<PathBuf> {
    // Each is a single name, not a path.
    let one = |part: &str| !part.contains('/');
    let path = if one(family) && one(name) {
        resolve_path(results, &format!("{family}/{name}"))
    } else {
        None
    };
    path.filter(|path| path.join("run.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_is_found_whatever_it_is_called() {
        let directory = tempfile::tempdir().expect("a directory");
        let outside = directory.path().canonicalize().expect("it is there");
        let results = outside.join("results");
        fs::create_dir_all(results.join("a/b")).expect("a directory");
        for file in ["secret", "results/a/b/run.json", "results/.hidden"] {
            fs::write(outside.join(file), "x").expect("a file");
        }
        symlink(outside.join("secret"), results.join("a/link")).expect("a link");
        symlink(&outside, results.join("way")).expect("a link");
        assert!(resolve_path(&results, "a/b/run.json").is_some());
        let absolute = outside.join("secret").display().to_string();
        for name in [
            "",
            ".",
            "..",
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            &absolute,
            "a/link",
            "way/secret",
            ".hidden",
            "a/b/\0",
            "a/./../..",
        ] {
            assert_eq!(resolve_path(&results, name), None, "{name:?}");
        }
        assert!(resolve_run(&results, "a", "b").is_some());
        assert_eq!(resolve_run(&results, "a", "b/../b"), None);
        assert_eq!(resolve_run(&results, "a", "none"), None);
    }
}
