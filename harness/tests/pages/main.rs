//! Tests the pages: links resolve, command lines parse, examples give the verdict that is stated,
//! and the prose stays short and plain.

#[path = "../banned_words/mod.rs"]
mod banned_words;
mod commands;
mod examples;
mod links;
mod markdown;
mod prose;
