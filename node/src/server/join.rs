//! Finds out who this replica is in a cluster that it was not founded with: asks any member to take
//! it in, and writes the answer down before it does anything else.
//!
//! What was written down is believed at every later start, so a replica whose directory was emptied
//! asks anew, is refused under its old name, and cannot forget what it had promised.

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
/// How long a cluster without a leader is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
const REPLY: Duration = Duration::from_secs(5);

/// How a replica wants to come in.
#[derive(Clone, Debug)]
pub(super) struct JoinWish {
    /// The member to ask, where it serves clients.
    pub(super) seed: String,
    /// Whether it only wants the log.
    pub(super) learns: bool,
    /// In whose place it comes.
    pub(super) replaces: Option<String>,
}

/// What this replica was told when it joined, now or at an earlier start.
pub(super) async fn admission(
    data: &Path,
    wish: &JoinWish,
    me: &Member,
) -> Result<Admission, String> {
    let path = data.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} cannot be read: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let admission = ask(wish, me).await?;
            keep(data, &admission)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Ok(admission)
        }
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn keep(data: &Path, admission: &Admission) -> io::Result<()> {
    fs::create_dir_all(data)?;
    let temporary = data.join("member.new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(admission)?)?;
    file.sync_all()?;
    fs::rename(temporary, data.join(FILE))?;
    File::open(data)?.sync_all()
}

/// Asks a member, and again where it could not tell.
async fn ask(wish: &JoinWish, me: &Member) -> Result<Admission, String> {
    let JoinWish { seed, learns, replaces } = wish;
    let newcomer = [NewMember { name: me.name.clone(), address: me.address.clone() }];
    let role = if *learns { "learn" } else { "add" };
    let gone: Vec<&String> = replaces.iter().collect();
    let body = serde_json::json!({ role: newcomer, "remove": gone }).to_string();
    let began = Instant::now();
    let mut unsure = false;
    loop {
        let answer = post(seed, &body).await;
        let why = match answer {
            Ok((200, text)) => return admitted(&text, me),
            // Whose place that is nobody can tell: an earlier try's whose answer was lost, or that of an earlier life
            // of this replica, which had promised things that an empty disk does not know.
            Ok((code @ 400..500, text)) => {
                let lost = if unsure {
                    " (perhaps by an earlier try: remove it and start again)"
                } else {
                    ""
                };
                return Err(format!("{seed} does not take this replica in ({code}): {text}{lost}"));
            }
            Ok((code, text)) => {
                unsure |= !text.contains("\"definite\":true");
                format!("{code}: {text}")
            }
            Err(error) => {
                unsure = true;
                error.to_string()
            }
        };
        if began.elapsed() > PATIENCE {
            return Err(format!(
                "{seed} (--join) did not take this replica in within {} s: {why}",
                PATIENCE.as_secs()
            ));
        }
        sleep(PAUSE).await;
    }
}

fn admitted(text: &str, me: &Member) -> Result<Admission, String> {
    let reply: MembersReply = serde_json::from_str(text)
        .map_err(|error| format!("what the cluster answered cannot be read: {error}"))?;
    let own = reply.members.iter().find(|it| it.name == me.name && it.address == me.address);
    let id = own.map(|it| it.id).ok_or("the cluster took in another replica under this name")?;
    let member =
        |it: crate::wire::MemberReply| (it.id, Member { name: it.name, address: it.address });
    let members = reply.members.into_iter().map(member).collect();
    Ok(Admission { id, cluster: reply.cluster, members })
}

async fn post(seed: &str, body: &str) -> io::Result<(u16, String)> {
    let head = format!("POST /cluster/members HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    exchange(seed, &head, body).await
}

/// Asks once, over a connection of its own; the status and the body of the answer.
async fn exchange(seed: &str, head: &str, body: &str) -> io::Result<(u16, String)> {
    let answer = timeout(REPLY, async {
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
    code.zip(body).ok_or_else(|| io::Error::other("this is no answer over HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[tokio::test]
    async fn what_was_written_down_is_believed_and_nobody_is_asked_again() {
        let data = TempDir::new().expect("a directory");
        let wish = JoinWish { seed: "nowhere".to_owned(), learns: false, replaces: None };
        let me = Member { name: "d".to_owned(), address: "h:1".to_owned() };
        let members = [(4, me.clone())].into();
        let told = Admission { id: 4, cluster: "a,b,c".to_owned(), members };
        keep(data.path(), &told).expect("ours");
        let found = admission(data.path(), &wish, &me).await;
        assert_eq!(found, Ok(told));
        fs::write(data.path().join(FILE), "{").expect("ours");
        let error = admission(data.path(), &wish, &me).await.expect_err("damaged");
        assert!(error.contains("cannot be read"), "{error}");
    }
}
