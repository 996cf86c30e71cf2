//! Tests the pages: links resolve, command lines parse, examples give the verdict that is stated,
//! and the prose stays short and plain.

mod commands;
mod examples;
mod links;
mod markdown;
mod prose;
