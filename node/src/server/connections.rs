//! Lets clients in, up to a number of connections: one more is told so and closed, so that those inside are served.

use super::metrics::Metrics;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What a client hears that is not let in.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n\
content-length: 117\r\n\r\n{\"error\":\"overloaded\",\"definite\":true,\"message\":\"too many clients are connected here; try again later, or elsewhere\"}";

/// Accepts clients while there is room.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    most: u64,
    metrics: Arc<Metrics>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, most: u64, metrics: Arc<Metrics>) -> Self {
        Self { listener, most, metrics }
    }
}

impl Listener for Door {
    type Io = Client;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Client, SocketAddr) {
        loop {
            // axum's own way waits where the process has too many files open.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if self.metrics.connections() >= self.most {
                self.metrics.turned_away();
                // A client that cannot be told notices the end of the connection.
                let _ = stream.try_write(FULL);
                continue;
            }
            // A connection whose options cannot be set is broken, and found so when it is read.
            let _ = stream.set_nodelay(true);
            self.metrics.connected();
            return (Client { stream, metrics: self.metrics.clone() }, address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A client inside, counted until its connection is dropped.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    metrics: Arc<Metrics>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.metrics.disconnected();
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_a_whole_answer() {
        let text = std::str::from_utf8(FULL).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).expect("JSON")["definite"],
            true
        );
    }
}
