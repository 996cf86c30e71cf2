//! Runs replicas as their users do and checks what they answer, what they refuse and what they
//! survive.

#![cfg(feature = "server")]

mod api;
mod cluster;
mod conversations;
mod faults;
mod groups;
mod membership;
mod operations;
mod sessions;
mod snapshots;
mod start;
