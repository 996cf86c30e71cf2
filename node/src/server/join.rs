//! Joins a cluster: asks a member to add this replica, and stores the answer durably before
//! anything else.
//!
//! Every later start uses the stored answer. A replica whose directory was emptied asks again and
//! is rejected under its old name, so it cannot break votes and acknowledgements that it forgot.

use super::members::{Admission, Member};
use crate::wire::{MembersReply, NewMember};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The file in the data directory.
const FILE: &str = "member";
/// How long to retry while the cluster has no leader.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a replica joins.
#[derive(Clone, Debug)]
pub(super) struct JoinRequest {
    /// The client address of the member to ask.
    pub(super) seed: String,
    /// Whether it joins as a learner.
    pub(super) learner: bool,
    /// The member that it replaces.
    pub(super) replaces: Option<String>,
}

/// Returns the answer of the cluster, from this start or an earlier one.
pub(super) async fn load_or_request_admission(
    data: &Path,
    request: &JoinRequest,
    me: &Member,
) -> Result<Admission, String> {
    let path = data.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} cannot be read: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let admission = request_admission(request, me).await?;
            store_admission(data, &admission)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Ok(admission)
        }
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn store_admission(data: &Path, admission: &Admission) -> io::Result<()> {
    fs::create_dir_all(data)?;
    let temporary = data.join("member.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(admission)?)?;
    file.sync_all()?;
    fs::rename(temporary, data.join(FILE))?;
    File::open(data)?.sync_all()
}

/// Asks a member to add this replica, and retries after an indefinite failure.
async fn request_admission(request: &JoinRequest, me: &Member) -> Result<Admission, String> {
    let JoinRequest { seed, learner, replaces } = request;
    let newcomer = [NewMember { name: me.name.clone(), address: me.address.clone() }];
    let role = if *learner { "learn" } else { "add" };
    let gone: Vec<&String> = replaces.iter().collect();
    let body = serde_json::json!({ role: newcomer, "remove": gone }).to_string();
    let began = Instant::now();
    let mut may_have_joined = false;
    loop {
        let answer = post_members(seed, &body).await;
        let why = match answer {
            Ok((200, text)) => return parse_admission(&text, me),
            // A member of this name may be an earlier try whose answer was lost, or an earlier
            // replica with votes and acknowledgements that an empty disk does not know. Both look
            // the same from here.
            Ok((code @ 400..500, text)) => {
                let hint = if may_have_joined {
                    " (perhaps by an earlier try: remove it and start again)"
                } else {
                    ""
                };
                return Err(format!("{seed} rejects this replica ({code}): {text}{hint}"));
            }
            Ok((code, text)) => {
                may_have_joined |= !text.contains("\"definite\":true");
                format!("{code}: {text}")
            }
            Err(error) => {
                may_have_joined = true;
                error.to_string()
            }
        };
        if began.elapsed() > RETRY_LIMIT {
            return Err(format!(
                "{seed} (--join) did not add this replica within {} s: {why}",
                RETRY_LIMIT.as_secs()
            ));
        }
        sleep(RETRY_INTERVAL).await;
    }
}

fn parse_admission(text: &str, me: &Member) -> Result<Admission, String> {
    let reply: MembersReply = serde_json::from_str(text)
        .map_err(|error| format!("cannot parse the answer of the cluster: {error}"))?;
    let own = reply.members.iter().find(|it| it.name == me.name && it.address == me.address);
    let id = own.map(|it| it.id).ok_or("the cluster has another replica of this name")?;
    let member =
        |it: crate::wire::MemberReply| (it.id, Member { name: it.name, address: it.address });
    let members = reply.members.into_iter().map(member).collect();
    Ok(Admission { id, cluster: reply.cluster, members })
}

async fn post_members(seed: &str, body: &str) -> io::Result<(u16, String)> {
    let head = format!("POST /cluster/members HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    send_request(seed, &head, body).await
}

/// Sends one request over a new connection; returns the status and body of the answer.
async fn send_request(seed: &str, head: &str, body: &str) -> io::Result<(u16, String)> {
    let answer = timeout(REPLY_TIMEOUT, async {
        let mut stream = TcpStream::connect(seed).await?;
        let request = format!("{head}host: {seed}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    });
    let answer = answer.await??;
    let code = answer.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    code.zip(body).ok_or_else(|| io::Error::other("the answer is not HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[tokio::test]
    async fn a_stored_admission_is_used_without_asking_again() {
        let data = TempDir::new().expect("a directory");
        let request = JoinRequest { seed: "nowhere".to_owned(), learner: false, replaces: None };
        let me = Member { name: "d".to_owned(), address: "h:1".to_owned() };
        let members = [(4, me.clone())].into();
        let stored = Admission { id: 4, cluster: "a,b,c".to_owned(), members };
        store_admission(data.path(), &stored).expect("ours");
        let found = load_or_request_admission(data.path(), &request, &me).await;
        assert_eq!(found, Ok(stored));
        fs::write(data.path().join(FILE), "{").expect("ours");
        let error =
            load_or_request_admission(data.path(), &request, &me).await.expect_err("damaged");
        assert!(error.contains("cannot be read"), "{error}");
    }
}
