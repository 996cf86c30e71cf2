//! Limits the number of client connections: above it, a client gets an error and is disconnected,
//! so that the others are served.

use super::metrics::Metrics;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The response to a client above the limit.
const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
content-type: application/json\r\ncontent-length: 117\r\n\r\n\
{\"error\":\"overloaded\",\"definite\":true,\
\"message\":\"too many clients are connected here; try again later, or elsewhere\"}";

/// Accepts clients up to the limit.
#[derive(Debug)]
pub(super) struct ClientListener {
    listener: TcpListener,
    most: u64,
    metrics: Arc<Metrics>,
}

impl ClientListener {
    pub(super) fn new(listener: TcpListener, most: u64, metrics: Arc<Metrics>) -> Self {
        Self { listener, most, metrics }
    }
}

impl Listener for ClientListener {
    type Io = ClientStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (ClientStream, SocketAddr) {
        loop {
            // axum's implementation waits while the process has too many open files.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if self.metrics.connections() >= self.most {
                self.metrics.count_rejected();
                // If the write fails, the client still sees the end of the connection.
                let _ = stream.try_write(TOO_MANY_CONNECTIONS);
                continue;
            }
            // A connection whose options cannot be set is broken; reading it reports that.
            let _ = stream.set_nodelay(true);
            self.metrics.count_connect();
            return (ClientStream { stream, metrics: self.metrics.clone() }, address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A client connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: TcpStream,
    metrics: Arc<Metrics>,
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.metrics.count_disconnect();
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
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
    fn the_error_response_is_complete() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).expect("JSON")["definite"],
            true
        );
    }
}
