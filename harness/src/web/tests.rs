//! Asks a real server, over a socket, what it must and must not answer.

use super::{Site, page, router};
use crate::not_run::not_run;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A server over a results directory with one run, as long as this lives.
struct TestServer {
    directory: tempfile::TempDir,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

const RUN: &str = "raft-register-none/20260101T000000Z-7";

fn write_file(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

impl TestServer {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let results = directory.path().canonicalize().expect("it is there").join("results");
        let sample = report::sample::valid(5);
        let run = results.join(RUN);
        write_file(
            &run.join("run.json"),
            &serde_json::to_string(&sample.record).expect("it is JSON"),
        );
        write_file(
            &run.join("verdict.json"),
            &serde_json::to_string(&sample.verdict).expect("it is JSON"),
        );
        write_file(&run.join("history.jsonl"), "{\"time\":5,\"type\":\"invoke\",\"process\":0}\n");
        write_file(&run.join("report.html"), "<script>alert(1)</script></html>");
        write_file(&run.join("evil.html"), "<script>alert(1)</script>");
        write_file(&run.join("logs/n1.log"), "hello\n");
        write_file(&results.join(".secret"), "secret");
        write_file(&directory.path().join("secret"), "secret");
        let line = records::index::sample::sample_line(7, records::record::Validity::Valid);
        write_file(
            &results.join("index.jsonl"),
            &(serde_json::to_string(&line).expect("JSON") + "\n"),
        );
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let site = Site {
            results: Arc::new(results),
            program: Arc::new("/bin/false".into()),
            allowed_hosts: Arc::new(vec!["localhost".into()]),
            recheck_permit: Arc::new(Semaphore::new(1)),
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a socket");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async { axum::serve(listener, router(site)).await });
        Self { directory, address, _runtime: runtime }
    }

    /// What is answered, as it comes: a client of one's own does not tidy up paths.
    fn send_request(&self, method: &str, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, head, answer[end + 4..].to_vec())
    }

    fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.send_request("GET", path, "Host: localhost:1\r\n")
    }
}

#[test]
fn every_answer_says_what_browsers_may_do_with_it() {
    let server = TestServer::new();
    let report = format!("/files/{RUN}/report.html");
    for path in ["/", "/browse.js", "/api/runs", "/nowhere", &report] {
        let (_, head, _) = server.get(path);
        for header in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "no-referrer",
        ] {
            assert!(head.contains(header), "{path}: {header} is not in {head}");
        }
        assert_eq!(head.contains("unsafe-inline"), path == report, "{path}: {head}");
        assert_eq!(head.contains("sandbox allow-scripts"), path == report, "{path}: {head}");
    }
    let (status, head, _) = server.get(&format!("/files/{RUN}/evil.html"));
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain"), "only a report is a page: {head}");
}

#[test]
fn nothing_outside_is_served() {
    let server = TestServer::new();
    assert_eq!(server.get(&format!("/files/{RUN}/logs/n1.log")).0, 200);
    for path in [
        "/files/../secret",
        "/files/..%2fsecret",
        "/files/%2e%2e/secret",
        "/files/%2e%2e%2fsecret",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/.secret",
        "/files/a%00b",
        "/files/raft-register-none",
        "/zip/../results",
        "/zip/raft-register-none/..",
        "/zip/%2e%2e/results",
        "/api/run/raft-register-none/%2e%2e%2f%2e%2e",
        "/api/live/..%2f/x",
    ] {
        let (status, _, body) = server.get(path);
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{path}");
    }
}

#[test]
fn a_name_that_is_not_this_hosts_is_refused() {
    let server = TestServer::new();
    for headers in ["Host: evil.example\r\n", "Host: localhost.evil.example:80\r\n"] {
        assert_eq!(server.send_request("GET", "/api/runs", headers).0, 403, "{headers}");
    }
}

#[test]
fn lists_and_runs_are_answered_and_nonsense_is_refused_in_words() {
    let server = TestServer::new();
    let (status, _, body) = server.get("/api/runs?q=workload:register&sort=validity");
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(status == 200 && body.contains("\"all\":1"), "{body}");
    assert_eq!(server.get("/api/runs?q=colour:red").0, 400);
    assert_eq!(server.get("/api/runs?sort=luck").0, 400);
    assert_eq!(server.get("/api/matrix?nights=9999999999").0, 200);
    let (status, _, body) = server.get(&format!("/api/run/{RUN}"));
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(status == 200 && body.contains("logs/n1.log"), "{body}");
}

#[test]
fn a_run_that_is_over_is_told_to_its_verdict() {
    let server = TestServer::new();
    let (status, head, body) = server.get(&format!("/api/live/{RUN}"));
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(status == 200 && head.contains("text/event-stream"), "{head}");
    assert!(body.contains("\"invoked\":1") && body.contains("event: verdict"), "{body}");
}

#[test]
fn judging_again_wants_a_page_of_this_server_and_never_overwrites() {
    let server = TestServer::new();
    let path = format!("/api/recheck/{RUN}");
    assert_eq!(
        server.send_request("POST", &path, "Host: localhost\r\nContent-Length: 0\r\n").0,
        403
    );
    let run = server.directory.path().join("results").join(RUN);
    let before = std::fs::read(run.join("verdict.json")).expect("a verdict");
    let headers = "Host: localhost\r\nX-Harness: 1\r\nContent-Length: 0\r\n";
    assert_eq!(server.send_request("POST", &path, headers).0, 200);
    assert_eq!(std::fs::read(run.join("verdict.json")).expect("a verdict"), before);
    let files = super::zip::list_files(&run);
    assert!(files.iter().any(|file| file.to_string_lossy().starts_with("recheck-")), "{files:?}");
}

#[test]
fn the_archive_of_a_run_unpacks() {
    let server = TestServer::new();
    let (status, head, body) = server.get(&format!("/zip/{RUN}"));
    assert_eq!(status, 200);
    let bytes =
        if head.contains("transfer-encoding: chunked") { decode_chunks(&body) } else { body };
    let file = server.directory.path().join("run.zip");
    std::fs::write(&file, &bytes).expect("it is written");
    let script = "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); \
                  assert z.testzip() is None; print(z.namelist())";
    match std::process::Command::new("python3").args(["-c", script]).arg(&file).output() {
        Ok(told) => {
            let names = String::from_utf8_lossy(&told.stdout).into_owned();
            assert!(told.status.success() && names.contains("'logs/n1.log'"), "{told:?}");
        }
        Err(error) => not_run(format!("no other program reads the archive: python3: {error}")),
    }
    assert_eq!(&bytes[..4], b"PK\x03\x04");
    assert_eq!(&bytes[bytes.len() - 22..][..4], b"PK\x05\x06");
}

fn decode_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.extend_from_slice(&body[end + 2..][..size]);
        body = &body[(end + 4 + size).min(body.len())..];
    }
    whole
}

#[test]
fn the_script_makes_no_markup_of_words() {
    let script = page::SCRIPT;
    for banned in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
    {
        assert!(!script.contains(banned), "{banned}");
    }
}
