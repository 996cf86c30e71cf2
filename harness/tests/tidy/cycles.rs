//! Finds cycles among the modules of a crate: files that need each other, however many between.
//!
//! An arrow goes from a file to the file that *defines* what it names, through re-exports. A `mod`
//! declaration is no arrow, nor is a `use` that only brings a module's name.

use crate::sources::{Crate, Module, is_for_tests};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// The most re-exports that a name is followed through.
const MOST_HOPS: usize = 12;

/// Which file needs which, by their places in [`Arrows::names`].
pub(crate) struct DependencyGraph {
    /// The modules, as `a::b`.
    pub(crate) names: Vec<String>,
    edges: BTreeSet<(usize, usize)>,
}

impl DependencyGraph {
    /// Those of one crate, tests left out.
    pub(crate) fn from_crate(package: &Crate) -> Self {
        let modules: Vec<&Module> = package.program_modules().collect();
        let scopes = Scopes::new(&modules);
        let mut edges = BTreeSet::new();
        for (index, module) in modules.iter().enumerate() {
            let mut paths = Paths::default();
            paths.visit_file(&module.syntax);
            let targets =
                paths.found.iter().filter_map(|path| scopes.find_definition(index, path, 0));
            edges.extend(targets.filter(|target| *target != index).map(|target| (index, target)));
        }
        Self { names: modules.iter().map(|module| module.path.join("::")).collect(), edges }
    }

    /// Every set of files that can reach each other, in order of name.
    pub(crate) fn find_cycles(&self) -> Vec<Vec<&str>> {
        let mut graph = DiGraph::<usize, ()>::new();
        let nodes: Vec<NodeIndex> = (0..self.names.len()).map(|it| graph.add_node(it)).collect();
        for (from, to) in &self.edges {
            graph.add_edge(nodes[*from], nodes[*to], ());
        }
        let components = tarjan_scc(&graph).into_iter().filter(|component| component.len() > 1);
        let mut cycles: Vec<Vec<&str>> = components
            .map(|component| {
                let mut names: Vec<&str> =
                    component.iter().map(|node| self.names[graph[*node]].as_str()).collect();
                names.sort_unstable();
                names
            })
            .collect();
        cycles.sort();
        cycles
    }

    /// The arrows between the files of one cycle, for a person who has to break it.
    pub(crate) fn edges_within(&self, cycle: &[&str]) -> Vec<String> {
        let inside = |index: usize| cycle.contains(&self.names[index].as_str());
        self.edges
            .iter()
            .filter(|(from, to)| inside(*from) && inside(*to))
            .map(|(from, to)| format!("{} -> {}", self.names[*from], self.names[*to]))
            .collect()
    }

    /// Pairs of top-level modules that need each other.
    pub(crate) fn two_way_ties(&self) -> Vec<(String, String)> {
        let room = |index: &usize| self.names[*index].split("::").next().unwrap_or("").to_owned();
        let arrows: BTreeSet<(String, String)> =
            self.edges.iter().map(|(from, to)| (room(from), room(to))).collect();
        let is_tie = |(from, to): &&(String, String)| {
            from < to && !from.is_empty() && arrows.contains(&(to.clone(), from.clone()))
        };
        arrows.iter().filter(is_tie).cloned().collect()
    }
}

/// What each module defines, declares and imports.
struct Scopes {
    by_path: BTreeMap<Vec<String>, usize>,
    modules: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    path: Vec<String>,
    defined: BTreeSet<String>,
    imported: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl Scopes {
    fn new(modules: &[&Module]) -> Self {
        let by_path = modules.iter().enumerate().map(|(it, module)| (module.path.clone(), it));
        Self {
            by_path: by_path.collect(),
            modules: modules.iter().map(|it| Scope::from_module(it)).collect(),
        }
    }

    /// The module in which the last name of this path is defined, as seen from a module; `None` for
    /// what another crate defines, and for a path that ends on a module.
    fn find_definition(&self, from: usize, path: &[String], hops: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let scope = &self.modules[from];
        match first.as_str() {
            "crate" => self.follow_path(*self.by_path.get(&Vec::new())?, rest, hops),
            "self" => self.follow_path(from, rest, hops),
            "super" => {
                let parent = scope.path.split_last()?.1;
                let parent = *self.by_path.get(parent)?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.find_definition(parent, rest, hops),
                    _ => self.follow_path(parent, rest, hops),
                }
            }
            _ => {
                let known =
                    self.child_module(from, first).is_some() || scope.imported.contains_key(first);
                if known && !scope.defined.contains(first) {
                    self.follow_path(from, path, hops)
                } else {
                    None
                }
            }
        }
    }

    /// Follows the names of a path from a module down.
    fn follow_path(&self, module: usize, path: &[String], hops: usize) -> Option<usize> {
        let (name, rest) = path.split_first()?;
        let scope = &self.modules[module];
        if let Some(child) = self.child_module(module, name) {
            return self.follow_path(child, rest, hops);
        }
        if scope.defined.contains(name) || hops >= MOST_HOPS {
            return Some(module);
        }
        if let Some(target) = scope.imported.get(name) {
            let target: Vec<String> = target.iter().chain(rest).cloned().collect();
            return self.find_definition(module, &target, hops + 1);
        }
        let globs = scope.globs.iter().filter_map(|glob| {
            let target: Vec<String> = glob.iter().chain([name]).cloned().collect();
            let found = self.find_definition(module, &target, hops + 1)?;
            self.modules[found].defined.contains(name).then_some(found)
        });
        globs.into_iter().next().or(Some(module))
    }

    fn child_module(&self, module: usize, name: &str) -> Option<usize> {
        let path: Vec<String> =
            self.modules[module].path.iter().cloned().chain([name.to_owned()]).collect();
        self.by_path.get(&path).copied()
    }
}

impl Scope {
    fn from_module(module: &Module) -> Self {
        let mut scope = Self { path: module.path.clone(), ..Self::default() };
        module.syntax.items.iter().for_each(|item| scope.add_item(item));
        scope
    }

    fn add_item(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Use(item) if !is_for_tests(&item.attrs) => {
                for import in collect_imports(&item.tree) {
                    match import {
                        Import { name: Some(name), path } => _ = self.imported.insert(name, path),
                        Import { name: None, path } => self.globs.push(path),
                    }
                }
                return;
            }
            _ => return,
        };
        self.defined.insert(name.to_string());
    }
}

/// One name that a `use` brings; without a name it brings all there are.
struct Import {
    name: Option<String>,
    path: Vec<String>,
}

fn collect_imports(tree: &UseTree) -> Vec<Import> {
    fn walk(tree: &UseTree, before: &[String], found: &mut Vec<Import>) {
        let with = |name: &syn::Ident| -> Vec<String> {
            before.iter().cloned().chain([name.to_string()]).collect()
        };
        let named = |name: &syn::Ident, path: &syn::Ident| {
            let path = if path == "self" { before.to_vec() } else { with(path) };
            let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
            Import { name, path }
        };
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(&path.ident), found),
            UseTree::Name(name) => found.push(named(&name.ident, &name.ident)),
            UseTree::Rename(rename) => found.push(named(&rename.rename, &rename.ident)),
            UseTree::Glob(_) => found.push(Import { name: None, path: before.to_vec() }),
            UseTree::Group(group) => group.items.iter().for_each(|it| walk(it, before, found)),
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// Every path that a file names outside its tests.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.found.extend(collect_imports(&item.tree).into_iter().map(|import| import.path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.found.push(path.segments.iter().map(|it| it.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}
