//! Decides what a failed request means: it definitely did not reach the server, or it is unknown.
//!
//! Only a refused connection is definite: no byte of the request was sent. Any other failure may
//! follow an executed request, a timeout always.

use workloads::Reply;

/// The reply that a failed request amounts to.
pub(crate) fn classify_error(error: &reqwest::Error) -> Reply {
    if error.is_timeout() {
        return Reply::info("timeout");
    }
    if error.is_connect() {
        return Reply::fail(innermost_cause(error));
    }
    Reply::info(innermost_cause(error))
}

/// The last cause, which is the one that says what happened.
fn innermost_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use workloads::Outcome;

    async fn failed_request(address: std::net::SocketAddr) -> Reply {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(200)).build();
        let sent = client.expect("a plain client").get(format!("http://{address}/")).send().await;
        classify_error(&sent.expect_err("no response"))
    }

    #[tokio::test]
    async fn a_refused_connection_is_definite() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let reply = failed_request(address).await;
        assert_eq!(reply.outcome, Outcome::Fail);
        assert!(reply.error.is_some_and(|why| why.contains("refused")));
    }

    #[tokio::test]
    async fn silence_and_a_lost_answer_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(failed_request(address).await, Reply::info("timeout"));
        let hang_up = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut some = [0; 16];
                drop(stream.read(&mut some).await);
            }
        });
        assert_eq!(failed_request(address).await.outcome, Outcome::Info);
        hang_up.abort();
    }
}
