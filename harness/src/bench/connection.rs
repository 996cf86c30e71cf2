//! Keeps one HTTP connection with one request at a time, as cheaply as possible: the load generator
//! must not be the bottleneck.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The largest answer that is waited for.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection that is kept from request to request.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Where an answer's parts lie.
#[derive(Debug, PartialEq, Eq)]
struct ResponseHead {
    status: u16,
    body: usize,
    end: usize,
}

impl Connection {
    /// Connects.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and waits for all of its answer: status and body.
    pub(super) async fn send_request(&mut self, request: &[u8]) -> io::Result<(u16, &str)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match parse_head(&self.buffer)? {
                Some(ResponseHead { status, body, end }) if end == self.buffer.len() => {
                    let body = std::str::from_utf8(&self.buffer[body..]);
                    return body.map(|body| (status, body)).map_err(io::Error::other);
                }
                Some(ResponseHead { end, .. }) if end < self.buffer.len() => {
                    return Err(io::Error::other("there is more than one answer"));
                }
                _ if self.buffer.len() > MAX_RESPONSE_BYTES => {
                    return Err(io::Error::other("the answer has no end"));
                }
                _ => {}
            }
        }
    }
}

/// Sends an HTTP/1.0 request; the response ends with the connection, so it needs no length.
pub(super) async fn get_once(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Reads an answer's head, if all of it is there.
fn parse_head(bytes: &[u8]) -> io::Result<Option<ResponseHead>> {
    let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| is_length(name))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok());
    match (status, length) {
        (Some(status), Some(length)) => {
            let body = end + HEAD_END.len();
            Ok(Some(ResponseHead { status, body, end: body + length }))
        }
        _ => Err(io::Error::other("the answer has no status or no length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        for end in 0..answer.len() - 2 {
            assert_eq!(parse_head(&answer[..end]).expect("not wrong yet"), None);
        }
        let whole = ResponseHead { status: 404, body: answer.len() - 2, end: answer.len() };
        assert_eq!(parse_head(answer).expect("well-formed"), Some(whole));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"what\r\n\r\n").is_err());
    }
}
