//! Accepts clients over TCP on the loopback interface. Each receives its name first; then both
//! sides exchange lines.

use super::state::{SharedState, lock_state};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Weak;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A listener; dropping it closes it and all its connections.
pub(super) struct ClientListener {
    /// Its address.
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl ClientListener {
    /// Opens a listener.
    pub(super) async fn bind(state: Weak<SharedState>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_clients(listener, state));
        Ok(Self { address, _tasks: tasks })
    }
}

async fn accept_clients(listener: TcpListener, state: Weak<SharedState>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let state = state.clone();
                clients.spawn(async move { drop(serve_client(stream, &state).await) });
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Serves one client until it disconnects.
async fn serve_client(stream: TcpStream, state: &Weak<SharedState>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (lines_in, lines) = mpsc::unbounded_channel();
    let Some(name) = state.upgrade().map(|state| lock_state(&state).add_client(lines_in)) else {
        return Ok(());
    };
    let listen = async {
        let mut asked = BufReader::new(reader).lines();
        while let Some(line) = asked.next_line().await? {
            let Some(state) = state.upgrade() else { break };
            lock_state(&state).handle_client_line(&name, &line);
        }
        io::Result::Ok(())
    };
    let ended = tokio::select! {
        ended = listen => ended,
        ended = write_lines(writer, lines) => ended,
    };
    if let Some(state) = state.upgrade() {
        lock_state(&state).remove_client(&name);
    }
    ended
}

async fn write_lines(
    mut writer: OwnedWriteHalf,
    mut lines: mpsc::UnboundedReceiver<String>,
) -> io::Result<()> {
    while let Some(line) = lines.recv().await {
        writer.write_all(line.as_bytes()).await?;
    }
    Ok(())
}
