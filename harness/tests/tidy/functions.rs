//! Finds functions, types and closures in the sources that are part of the program.

use crate::sources::{Crate, is_for_tests};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Signature};

/// What a crate defines outside tests.
#[derive(Default)]
pub(crate) struct Definitions {
    /// Every function with a body.
    pub(crate) functions: Vec<Function>,
    /// Name and file of every struct, enum, union, trait and alias.
    pub(crate) types: Vec<(String, String)>,
    /// Closures that a `let` names.
    pub(crate) named_closures: usize,
    file: String,
    in_trait_impl: bool,
}

/// A function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Lines from its signature to its closing brace.
    pub(crate) lines: usize,
    /// Whether a trait gave it its name.
    pub(crate) is_from_trait: bool,
}

impl Definitions {
    /// Those of one crate.
    pub(crate) fn from_crate(package: &Crate) -> Self {
        let mut found = Self::default();
        for module in package.program_modules() {
            found.file = module.source.name();
            found.visit_file(&module.syntax);
        }
        found
    }

    fn add_function(&mut self, signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: block.span().end().line - first + 1,
            is_from_trait: self.in_trait_impl,
        });
    }

    fn add_type(&mut self, name: &syn::Ident, attributes: &[Attribute]) {
        if !is_for_tests(attributes) {
            self.types.push((name.to_string(), self.file.clone()));
        }
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let outer = std::mem::replace(&mut self.in_trait_impl, false);
        self.add_function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
        self.in_trait_impl = outer;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let outer = std::mem::replace(&mut self.in_trait_impl, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.in_trait_impl = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.add_function(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add_function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add_type(&item.ident, &item.attrs);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add_type(&item.ident, &item.attrs);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.add_type(&item.ident, &item.attrs);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add_type(&item.ident, &item.attrs);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add_type(&item.ident, &item.attrs);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let names_closure =
            local.init.as_ref().is_some_and(|init| matches!(*init.expr, syn::Expr::Closure(_)));
        self.named_closures += usize::from(names_closure);
        visit::visit_local(self, local);
    }
}
