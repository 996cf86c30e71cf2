//! Reads every Rust source of the workspace, as modules of the crate that they belong to.
//!
//! [`Crate::read`] follows `mod` declarations from the root file, so each [`Module`] knows its path
//! and whether only tests compile it.

use std::fs;
use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Item, Lit, Meta, Token};

/// One package: its library or its program, and the tests beside it.
pub(crate) struct Crate {
    /// Its folder, relative to the workspace.
    pub(crate) folder: String,
    /// Every module that `mod` declarations lead to, the root first.
    pub(crate) modules: Vec<Module>,
    /// The sources of `tests`, which nothing leads to.
    pub(crate) tests: Vec<Source>,
}

/// One file.
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: String,
}

/// A file as a module of its crate.
pub(crate) struct Module {
    /// Its names from the root on; empty for the root itself.
    pub(crate) path: Vec<String>,
    /// Whether only tests compile it.
    pub(crate) is_test: bool,
    /// The file.
    pub(crate) source: Source,
    /// The file, parsed.
    pub(crate) syntax: syn::File,
}

/// The workspace that is looked at: this one, or the one that `TIDY_ROOT` names.
pub(crate) fn workspace_root() -> PathBuf {
    match std::env::var_os("TIDY_ROOT") {
        Some(other) => PathBuf::from(other),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
    }
}

/// Every package of the workspace, in order of folder.
pub(crate) fn read_crates() -> Vec<Crate> {
    let mut folders: Vec<String> =
        ["checker", "harness", "node", "workloads"].map(str::to_owned).into();
    for entry in
        fs::read_dir(workspace_root().join("harness/crates")).into_iter().flatten().flatten()
    {
        folders.push(format!("harness/crates/{}", entry.file_name().to_string_lossy()));
    }
    folders.sort();
    folders.iter().map(|folder| Crate::read(folder)).collect()
}

impl Crate {
    fn read(folder: &str) -> Self {
        let directory = workspace_root().join(folder);
        let roots = ["src/lib.rs", "src/main.rs"].map(|name| directory.join(name));
        let root = roots.iter().find(|path| path.exists()).expect("a package has a root file");
        let mut modules = Vec::new();
        read_module(root, &directory.join("src"), Vec::new(), false, &mut modules);
        let mut tests = Vec::new();
        for name in ["tests", "examples"] {
            collect_rust_files(&directory.join(name), &mut tests);
        }
        Self { folder: folder.to_owned(), modules, tests: tests.iter().map(read_source).collect() }
    }

    /// Its files, those of tests last.
    pub(crate) fn all_sources(&self) -> impl Iterator<Item = &Source> {
        self.modules.iter().map(|module| &module.source).chain(&self.tests)
    }

    /// The modules that are part of the program.
    pub(crate) fn program_modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter().filter(|module| !module.is_test)
    }
}

impl Source {
    /// Where it is, for a person.
    pub(crate) fn name(&self) -> String {
        let root = workspace_root();
        self.path.strip_prefix(&root).unwrap_or(&self.path).display().to_string()
    }
}

/// Reads a module and those that it declares; `children` is where their files are.
fn read_module(
    file: &Path,
    children: &Path,
    path: Vec<String>,
    is_test: bool,
    modules: &mut Vec<Module>,
) {
    let source = read_source(&file.to_owned());
    let syntax =
        syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.name()));
    let declared: Vec<(String, bool, PathBuf, PathBuf)> = syntax
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(item) if item.content.is_none() => Some(item),
            _ => None,
        })
        .filter(|item| path_attribute(&item.attrs).is_none())
        .map(|item| {
            let name = item.ident.to_string();
            let inner = children.join(&name);
            let flat = children.join(format!("{name}.rs"));
            let file = if flat.exists() { flat } else { inner.join("mod.rs") };
            (name, is_test || is_for_tests(&item.attrs), file, inner)
        })
        .collect();
    modules.push(Module { path: path.clone(), is_test, source, syntax });
    for (name, is_test, file, inner) in declared {
        let path = path.iter().cloned().chain([name]).collect();
        read_module(&file, &inner, path, is_test, modules);
    }
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let listed = || {
            let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
            attribute.parse_args_with(parse).unwrap_or_default()
        };
        attribute.path().is_ident("test")
            || attribute.path().segments.last().is_some_and(|last| last.ident == "test")
            || (attribute.path().is_ident("cfg")
                && listed().iter().any(|meta| meta.path().is_ident("test")))
    })
}

/// The file that `#[path = "…"]` names. Such modules are shared test helpers, read where they are.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

fn read_source(path: &PathBuf) -> Source {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    Source { path: path.clone(), text }
}

/// Every Rust file below a folder, in order of name.
pub(crate) fn collect_rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect_rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
