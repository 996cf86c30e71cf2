//! Reads Markdown pages as far as the tests need it: fenced blocks, prose, headings and tables.

use std::fs;
use std::path::{Path, PathBuf};

/// A page of the repository.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block: what stands behind the opening fence, and its lines.
pub(crate) struct Block {
    pub(crate) info: String,
    pub(crate) lines: Vec<String>,
}

/// The root of the repository.
pub(crate) fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root exists")
}

/// Every page that is tested, in order of path.
pub(crate) fn read_pages() -> Vec<Page> {
    let fixed = [
        "ARCHITECTURE.md",
        "README.md",
        "checker/README.md",
        "harness/examples/README.md",
        "results/README.md",
        "workloads/README.md",
    ];
    let mut paths: Vec<PathBuf> = fixed.iter().map(|path| repository_root().join(path)).collect();
    paths.retain(|path| path.exists());
    collect_pages(&repository_root().join("harness/docs"), &mut paths);
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

fn collect_pages(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the docs exist") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_pages(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

impl Page {
    pub(crate) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a page is readable");
        Self { path, text }
    }

    /// The path below the root, for messages.
    pub(crate) fn name(&self) -> String {
        self.path
            .strip_prefix(repository_root())
            .expect("it lies below the root")
            .display()
            .to_string()
    }

    /// Its fenced blocks.
    pub(crate) fn fenced_blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(info), None) => {
                    open = Some(Block { info: info.to_owned(), lines: Vec::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => (),
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name());
        blocks
    }

    /// Its lines outside fenced blocks; a line of a block is empty.
    pub(crate) fn prose_lines(&self) -> Vec<&str> {
        let mut fenced = false;
        let outside = |line| {
            let fence = str::starts_with(line, "```");
            fenced ^= fence;
            if fenced || fence { "" } else { line }
        };
        self.text.lines().map(outside).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn heading_anchors(&self) -> Vec<String> {
        let headings = self.prose_lines().into_iter().filter(|line| line.starts_with('#'));
        headings.map(|line| github_anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn github_anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The inline code of a line, and the line with each piece replaced by the word `code`.
pub(crate) fn inline_code(line: &str) -> (Vec<&str>, String) {
    let pieces: Vec<&str> = line.split('`').collect();
    let code = pieces.iter().skip(1).step_by(2).copied().collect();
    let rest: Vec<&str> = pieces.iter().step_by(2).copied().collect();
    (code, rest.join("code"))
}

#[test]
fn reads_blocks_prose_and_anchors() {
    let text = "# A title, with `code`\n```edn file=a.edn\n# no heading\n```\nSome `x` text\n";
    let page = Page { path: repository_root().join("a.md"), text: text.to_owned() };
    assert_eq!(page.heading_anchors(), ["a-title-with-code"]);
    let blocks = page.fenced_blocks();
    assert_eq!(blocks[0].info, "edn file=a.edn");
    assert_eq!(blocks[0].lines, ["# no heading"]);
    assert_eq!(page.prose_lines()[4], "Some `x` text");
    assert_eq!(inline_code("Some `x` text"), (vec!["x"], "Some code text".to_owned()));
}
