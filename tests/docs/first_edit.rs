//! The first edit in the README, made for real.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::{read, root};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note","arguments":{"id":1}}}"#;
const BEFORE: &str = r#""search_notes", "write_note", "count_slowly""#;
const AFTER: &str = r#""search_notes", "write_note", "delete_note", "count_slowly""#;

#[test]
fn the_first_edit_has_the_effect_that_is_shown() {
    let readme = read(&root().join("README.md"));
    assert!(readme.contains(CALL) && readme.contains(AFTER), "the README makes another edit now");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.json");
    let routes = read(&root().join("routes.json"));
    assert_eq!(routes.matches(BEFORE).count(), 1);
    fs::write(&file, &routes).unwrap();

    let gateway = Gateway::start(&file);
    let refused = gateway.ask();
    assert!(readme.contains(&refused), "the README shows something else than\n{refused}");

    fs::write(&file, routes.replace(BEFORE, AFTER)).unwrap();
    let started = Instant::now();
    let answered = loop {
        let answer = gateway.ask();
        if answer != refused || started.elapsed() > Duration::from_secs(20) {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(readme.contains(&answered), "the README shows something else than\n{answered}");
}

pub(crate) struct Gateway {
    process: Child,
    address: String,
}

impl Gateway {
    pub(crate) fn start(file: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["--listen", "127.0.0.1:0", "--config"]).arg(file).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.rsplit(' ').next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the call is answered with at the usual address; the request's id, different each time, is left out.
    fn ask(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, CALL.len());
        let head = format!("POST /mcp/demo HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        write!(stream, "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{CALL}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = body.replace(&self.address, "127.0.0.1:8080");
        match body.split_once(r#""requestId":""#) {
            Some((before, after)) => format!(r#"{before}"requestId":"…{}"#, &after[after.find('"').unwrap()..]),
            None => body,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
