//! Lets clients in, over TCP on the loopback interface: each is greeted with its name and speaks
//! lines from then on.

use super::hub::{Shared, lock};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Weak;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A door that closes, on all who are inside, when it is dropped.
pub(super) struct Door {
    /// Where it is.
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Door {
    /// Opens a door.
    pub(super) async fn open(hub: Weak<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, hub));
        Ok(Self { address, _tasks: tasks })
    }
}

async fn serve(listener: TcpListener, hub: Weak<Shared>) {
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let hub = hub.clone();
                guests.spawn(async move { drop(guest(stream, &hub).await) });
            }
            Some(_) = guests.join_next() => {}
        }
    }
}

/// Speaks with one client until it goes.
async fn guest(stream: TcpStream, hub: &Weak<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (lines_in, lines) = mpsc::unbounded_channel();
    let Some(name) = hub.upgrade().map(|hub| lock(&hub).welcome(lines_in)) else { return Ok(()) };
    let listen = async {
        let mut asked = BufReader::new(reader).lines();
        while let Some(line) = asked.next_line().await? {
            let Some(hub) = hub.upgrade() else { break };
            lock(&hub).asked(&name, &line);
        }
        io::Result::Ok(())
    };
    let ended = tokio::select! {
        ended = listen => ended,
        ended = write(writer, lines) => ended,
    };
    if let Some(hub) = hub.upgrade() {
        lock(&hub).part(&name);
    }
    ended
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut lines: mpsc::UnboundedReceiver<String>,
) -> io::Result<()> {
    while let Some(line) = lines.recv().await {
        writer.write_all(line.as_bytes()).await?;
    }
    Ok(())
}
