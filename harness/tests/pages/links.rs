//! Resolves every relative link, anchor and path that the pages name.

use crate::markdown::{Page, inline_code, read_pages, repository_root};

/// The targets of a line's links and pictures.
fn link_targets(line: &str) -> Vec<String> {
    let (_, plain) = inline_code(line);
    let behind = plain.split("](").skip(1);
    behind.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// Why a link of a page leads nowhere.
fn broken_link(page: &Page, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.parent().expect("a page lies in a folder");
    let file = if path.is_empty() { page.path.clone() } else { folder.join(path) };
    if !file.exists() {
        return Some(format!("{}: {target} does not exist", page.name()));
    }
    if anchor.is_empty() || Page::read(file).heading_anchors().iter().any(|known| known == anchor) {
        return None;
    }
    Some(format!("{}: {target} has no such heading", page.name()))
}

#[test]
fn every_relative_link_resolves() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for page in read_pages() {
        for target in page.prose_lines().into_iter().flat_map(link_targets) {
            if !target.contains("://") {
                checked += 1;
                wrong.extend(broken_link(&page, &target));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 100, "only {checked} links were found");
}

#[test]
fn every_path_of_the_map_exists() {
    let page = Page::read(repository_root().join("ARCHITECTURE.md"));
    let lines = page.prose_lines();
    let map = lines.iter().skip_while(|line| **line != "## Map").skip(1);
    let rows =
        map.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let mut paths = 0;
    for row in rows {
        let first = row.split('|').nth(1).expect("a row has cells");
        for path in inline_code(first).0 {
            assert!(
                repository_root().join(path).exists(),
                "ARCHITECTURE.md: {path} does not exist"
            );
            paths += 1;
        }
    }
    assert!(paths > 20, "only {paths} paths were found");
}
