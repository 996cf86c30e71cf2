//! Keeps sessions with one ZooKeeper server, each for one request at a time.
//!
//! A session is closed after any failure, because its next response could belong to the previous
//! request. A failure tells whether the request may have been sent.

use super::jute::{Frame, OpCode, ResponseReader};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client waits for a session, and for an answer, unless it is told.
const CALL_TIMEOUT: Duration = Duration::from_millis(2_000);
/// After how long without a request the server forgets a session.
const SESSION_MS: i32 = 10_000;
/// A session idle for longer is not used again.
const MAX_IDLE: Duration = Duration::from_secs(3);
/// An answer longer than this is none of ours.
const MAX_REPLY_BYTES: usize = 8 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum SessionFailure {
    /// The request was never sent.
    Unsent(String),
    /// The request may have been sent; its outcome is unknown.
    Unknown(String),
    /// The server answered with this error.
    Refused(i32),
}

/// Idle sessions with one server.
pub(super) struct Sessions {
    address: SocketAddr,
    /// How long it waits for a session, and for an answer.
    patience: Duration,
    idle: Mutex<Vec<Session>>,
}

struct Session {
    stream: TcpStream,
    xid: i32,
    used: Instant,
}

impl Sessions {
    pub(super) fn new(address: SocketAddr, patience: Option<Duration>) -> Self {
        Self { address, patience: patience.unwrap_or(CALL_TIMEOUT), idle: Mutex::default() }
    }

    /// The answer to a request about a node.
    pub(super) async fn send_request(
        &self,
        kind: OpCode,
        path: &str,
        rest: impl FnOnce(Frame) -> Frame,
    ) -> Result<Vec<u8>, SessionFailure> {
        let mut session = match self.take_idle() {
            Some(session) => session,
            None => match timeout(self.patience, Session::open(self.address)).await {
                Ok(Ok(session)) => session,
                Ok(Err(error)) => {
                    return Err(SessionFailure::Unsent(format!("no session: {error}")));
                }
                Err(_) => return Err(SessionFailure::Unsent("no session in time".to_owned())),
            },
        };
        session.xid += 1;
        let frame = rest(Frame::node_request(session.xid, kind, path));
        let asked = timeout(self.patience, session.exchange_frame(frame)).await;
        let answer = asked
            .map_err(|_| SessionFailure::Unknown("timeout".to_owned()))?
            .map_err(|error| SessionFailure::Unknown(error.to_string()))?;
        let body = response_body(&answer, session.xid);
        if !matches!(body, Err(SessionFailure::Unknown(_))) {
            session.used = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
        body.map(<[u8]>::to_vec)
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| session.used.elapsed() < MAX_IDLE);
        idle.pop()
    }
}

impl Session {
    async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut session = Self { stream, xid: 0, used: Instant::now() };
        session.exchange_frame(Frame::connect_request(SESSION_MS)).await?;
        Ok(session)
    }

    async fn exchange_frame(&mut self, frame: Frame) -> std::io::Result<Vec<u8>> {
        self.stream.write_all(&frame.into_bytes()).await?;
        let length = usize::try_from(self.stream.read_u32().await?).unwrap_or(usize::MAX);
        if length > MAX_REPLY_BYTES {
            return Err(std::io::Error::other("the answer is too long"));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

/// What the answer to the request of that number holds.
fn response_body(answer: &[u8], xid: i32) -> Result<&[u8], SessionFailure> {
    let mut rest = ResponseReader(answer);
    let head = (rest.read_int(), rest.read_long(), rest.read_int());
    match head {
        (Some(number), Some(_), Some(0)) if number == xid => Ok(rest.0),
        (Some(number), Some(_), Some(error)) if number == xid => {
            Err(SessionFailure::Refused(error))
        }
        _ => Err(SessionFailure::Unknown("the answer belongs to another request".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_this_request_counts() {
        let answer = |xid: u8, error: u8| {
            [[0, 0, 0, xid].as_slice(), &[0; 8], &[0, 0, 0, error], b"x"].concat()
        };
        assert!(matches!(response_body(&answer(3, 0), 3), Ok(b"x")));
        assert!(matches!(response_body(&answer(3, 7), 3), Err(SessionFailure::Refused(7))));
        assert!(matches!(response_body(&answer(4, 0), 3), Err(SessionFailure::Unknown(_))));
        assert!(matches!(response_body(&answer(3, 0)[..9], 3), Err(SessionFailure::Unknown(_))));
    }

    #[tokio::test]
    async fn a_request_without_a_session_was_never_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let asked =
            Sessions::new(address, None).send_request(OpCode::Sync, "/", |frame| frame).await;
        assert!(matches!(asked, Err(SessionFailure::Unsent(_))));
    }
}
