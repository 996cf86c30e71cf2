//! Implements the Redis protocol (RESP2): a request is an array of strings, a reply one of five
//! types.
//!
//! A connection is closed after any failure, because its next reply could belong to the previous
//! request. A failure tells whether the request may have been sent.
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client waits for a connection, and for an answer, unless it is told.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Answers longer or deeper than this are none of ours.
const MAX_REPLY_BYTES: usize = 8 << 20;
const MAX_ARRAY_LEN: usize = 1 << 20;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::system) enum RespValue {
    /// A simple or a bulk text.
    Text(String),
    /// A number.
    Int(i64),
    /// Nothing.
    Nil,
    /// Several texts.
    Texts(Vec<String>),
    /// An error: its first word is its name.
    Error(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::system) enum RespFailure {
    /// The request was never sent.
    Unsent(String),
    /// The request may have been sent; its outcome is unknown.
    Unknown(String),
}

/// Connections to servers, each for one request at a time.
pub(in crate::system) struct Connections {
    /// Idle ones, each with where it leads.
    idle: Mutex<Vec<(SocketAddr, BufReader<TcpStream>)>>,
    /// How long it waits for a connection, and for an answer.
    patience: Duration,
}

impl Connections {
    /// No connection yet.
    pub(in crate::system) fn new(patience: Option<Duration>) -> Self {
        Self { idle: Mutex::default(), patience: patience.unwrap_or(CALL_TIMEOUT) }
    }

    /// The answer of a server to a request.
    pub(in crate::system) async fn send_request(
        &self,
        to: SocketAddr,
        words: &[&str],
    ) -> Result<RespValue, RespFailure> {
        let mut stream = match self.take_idle(to) {
            Some(stream) => stream,
            None => match timeout(self.patience, TcpStream::connect(to)).await {
                Ok(Ok(stream)) => BufReader::new(stream),
                Ok(Err(error)) => return Err(RespFailure::Unsent(error.to_string())),
                Err(_) => return Err(RespFailure::Unsent("no connection in time".to_owned())),
            },
        };
        let asked = async {
            stream.get_mut().set_nodelay(true)?;
            stream.get_mut().write_all(&encode_request(words)).await?;
            read_reply(&mut stream).await
        };
        match timeout(self.patience, asked).await {
            Ok(Ok(answer)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((to, stream));
                Ok(answer)
            }
            Ok(Err(error)) => Err(RespFailure::Unknown(error.to_string())),
            Err(_) => Err(RespFailure::Unknown("timeout".to_owned())),
        }
    }

    fn take_idle(&self, to: SocketAddr) -> Option<BufReader<TcpStream>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(address, _)| *address == to)?;
        Some(idle.swap_remove(at).1)
    }
}

fn encode_request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

async fn read_reply(stream: &mut BufReader<TcpStream>) -> io::Result<RespValue> {
    let (kind, rest) = read_header(stream).await?;
    match kind {
        '+' => Ok(RespValue::Text(rest)),
        '-' => Ok(RespValue::Error(rest)),
        ':' => parse_number(&rest).map(RespValue::Int),
        '$' => Ok(read_bulk_string(stream, &rest).await?.map_or(RespValue::Nil, RespValue::Text)),
        '*' => read_array(stream, &rest).await,
        other => Err(protocol_error(&format!("an answer begins with {other:?}"))),
    }
}

/// The texts of an array; numbers among them become texts, and arrays within it are none of ours.
async fn read_array(stream: &mut BufReader<TcpStream>, count: &str) -> io::Result<RespValue> {
    let Ok(count) = usize::try_from(parse_number(count)?) else { return Ok(RespValue::Nil) };
    if count > MAX_ARRAY_LEN {
        return Err(protocol_error("an answer has too many parts"));
    }
    let mut texts = Vec::new();
    for _ in 0..count {
        let (kind, rest) = read_header(stream).await?;
        texts.push(match kind {
            '$' => read_bulk_string(stream, &rest).await?.unwrap_or_default(),
            '+' | ':' => rest,
            other => {
                return Err(protocol_error(&format!("a part of an answer begins with {other:?}")));
            }
        });
    }
    Ok(RespValue::Texts(texts))
}

async fn read_bulk_string(
    stream: &mut BufReader<TcpStream>,
    length: &str,
) -> io::Result<Option<String>> {
    let Ok(length) = usize::try_from(parse_number(length)?) else { return Ok(None) };
    if length > MAX_REPLY_BYTES {
        return Err(protocol_error("an answer is too long"));
    }
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

async fn read_header(stream: &mut BufReader<TcpStream>) -> io::Result<(char, String)> {
    let mut line = String::new();
    (&mut *stream).take(MAX_REPLY_BYTES as u64).read_line(&mut line).await?;
    let line = line.strip_suffix("\r\n").ok_or_else(|| protocol_error("an answer breaks off"))?;
    let mut rest = line.chars();
    let kind = rest.next().ok_or_else(|| protocol_error("an answer is empty"))?;
    Ok((kind, rest.as_str().to_owned()))
}

fn parse_number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| protocol_error(&format!("{text:?} is no number")))
}

fn protocol_error(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn reply_to_ping(bytes: &'static [u8]) -> Result<RespValue, RespFailure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = [0; 14];
            stream.read_exact(&mut asked).await.expect("the request");
            assert_eq!(&asked, b"*1\r\n$4\r\nPING\r\n");
            stream.write_all(bytes).await.expect("it listens");
        });
        let answer = Connections::new(None).send_request(address, &["PING"]).await;
        server.await.expect("it served");
        answer
    }

    #[tokio::test]
    async fn answers_of_every_shape_are_read() {
        let text = |text: &str| text.to_owned();
        for (bytes, answer) in [
            (&b"+PONG\r\n"[..], RespValue::Text(text("PONG"))),
            (b"-READONLY You can't\r\n", RespValue::Error(text("READONLY You can't"))),
            (b":-7\r\n", RespValue::Int(-7)),
            (b"$5\r\na\r\nbc\r\n", RespValue::Text(text("a\r\nbc"))),
            (b"$-1\r\n", RespValue::Nil),
            (b"*-1\r\n", RespValue::Nil),
            (
                b"*3\r\n$1\r\nx\r\n:2\r\n$-1\r\n",
                RespValue::Texts(vec![text("x"), text("2"), text("")]),
            ),
        ] {
            assert_eq!(reply_to_ping(bytes).await, Ok(answer));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_says_nothing() {
        for bytes in [&b"?\r\n"[..], b"+PON", b":x\r\n", b"*1\r\n*1\r\n:1\r\n", b"$99999999999\r\n"]
        {
            assert!(
                matches!(reply_to_ping(bytes).await, Err(RespFailure::Unknown(_))),
                "{bytes:?}"
            );
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let refused = Connections::new(None).send_request(address, &["PING"]).await;
        assert!(matches!(refused, Err(RespFailure::Unsent(_))), "{refused:?}");
    }
}
