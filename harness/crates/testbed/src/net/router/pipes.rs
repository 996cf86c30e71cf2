//! Connects the standard input and output of a program to the router.

use super::state::{SharedState, lock_state};
use crate::host::process::Pipes;
use crate::net::plan::HostId;
use anyhow::{Context as _, Result};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::mpsc;

/// A line longer than this is cut there: a program that never ends one must not fill the memory.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// Starts to carry a program's messages, and sends `init`.
pub(super) fn attach_pipes(state: &Arc<SharedState>, host: HostId, pipes: Pipes) -> Result<()> {
    let why = "a pipe to the program cannot be used";
    let input = Sender::from_owned_fd(OwnedFd::from(pipes.input)).context(why)?;
    let output = Receiver::from_owned_fd(OwnedFd::from(pipes.output)).context(why)?;
    let (lines_in, lines) = mpsc::unbounded_channel();
    let generation = lock_state(state).start_node(host, lines_in);
    tokio::spawn(write_lines(input, lines));
    tokio::spawn(read_lines(Arc::downgrade(state), (host, generation), output));
    Ok(())
}

/// Writes lines until there are no more or the reader is gone; the rest is lost with the program.
async fn write_lines(mut input: Sender, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        if input.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_lines(state: Weak<SharedState>, (host, generation): (HostId, u64), output: Receiver) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    // A read error counts as the end.
    while (&mut output)
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|bytes| bytes > 0)
    {
        let Some(state) = state.upgrade() else { return };
        // A program that is killed may break off in the middle of a line.
        if line.ends_with(b"\n") || line.len() as u64 == MAX_LINE_BYTES {
            lock_state(&state).handle_node_line(host, generation, &line);
        }
        line.clear();
    }
    if let Some(state) = state.upgrade() {
        lock_state(&state).end_node(host, generation);
    }
}
