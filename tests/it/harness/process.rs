//! The real program: signals, exit codes, and what it writes.

use std::{
    fs::DirEntry,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Place, Reply, Request, gateway::replace, until};

/// A running `portcullis serve`; it is killed with the story.
pub(crate) struct Process {
    child: Child,
    file: PathBuf,
    written: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    folder: Arc<TempDir>,
}

impl Process {
    pub(super) fn start(folder: Arc<TempDir>, file: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut serve = command(variables);
        serve.args(["serve", "--config"]).arg(file).args(arguments);
        Self::spawn(serve, folder, file)
    }

    /// Another command than `serve`, which goes on until it is told to stop.
    pub(crate) fn run_on(arguments: &[&str]) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let file = folder.path().join("routes.json");
        let mut other = command(&[]);
        other.args(arguments);
        Self::spawn(other, folder, &file)
    }

    fn spawn(mut command: Command, folder: Arc<TempDir>, file: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&written)),
            collect(child.stderr.take().unwrap(), Arc::clone(&written)),
        ];
        Self { child, file: file.to_owned(), written, readers, folder }
    }

    /// Another one with the same configuration, in the same folder.
    pub(crate) fn again(&self) -> Self {
        Self::start(Arc::clone(&self.folder), &self.file, &[], &[])
    }

    /// Runs another command on the same configuration to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        run(&[&["--config", self.file.to_str().unwrap()], arguments].concat(), &[])
    }

    /// Where the configuration is, and the store.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same, for as long as somebody has it.
    pub(crate) fn keep_folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Where it listens; the world knows it as `gateway.publicUrl`, if there is one.
    pub(crate) async fn place(&self) -> Place {
        let address = self.address().await;
        let config: Value = serde_json::from_slice(&std::fs::read(&self.file).unwrap()).unwrap();
        let public = config["gateway"]["publicUrl"].as_str();
        Place { address, origin: public.map_or_else(|| format!("http://{address}"), ToOwned::to_owned) }
    }

    /// Where it listens, as it says itself.
    pub(crate) async fn address(&self) -> SocketAddr {
        let announced = || self.line("listens on ").and_then(|line| line.rsplit(' ').next()?.parse().ok());
        until("the gateway says where it listens", || announced().is_some()).await;
        announced().unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::to(self.address().await).await
    }

    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        self.client().await.ask(request).await
    }

    pub(crate) async fn post(&self, message: &Value) -> Reply {
        self.ask(&Request::post("/mcp", message)).await
    }

    /// Everything written so far, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }

    /// The first line with these words in it.
    pub(crate) fn line(&self, words: &str) -> Option<String> {
        self.lines().into_iter().find(|line| line.contains(words))
    }

    pub(crate) async fn says(&self, words: &str) -> String {
        until(&format!("the gateway says {words:?}"), || self.line(words).is_some()).await;
        self.line(words).unwrap()
    }

    /// Replaces the configuration's file at one stroke.
    pub(crate) fn write(&self, text: &str) {
        replace(&self.file, text);
    }

    /// Replaces a file beside the configuration at one stroke.
    pub(crate) fn write_beside(&self, name: &str, text: &str) {
        replace(&self.file.with_file_name(name), text);
    }

    /// `TERM`, `HUP` …
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it in the middle of whatever it is doing, until `CONT`: its threads stop one after the other.
    pub(crate) async fn stop(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        let is_stopped = |thread: std::io::Result<DirEntry>| {
            let state = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            state.rsplit(')').next().unwrap().trim_start().starts_with('T')
        };
        until("all of it has stopped", || std::fs::read_dir(&threads).unwrap().all(is_stopped)).await;
    }

    /// Ends it at once, whatever it is doing (`SIGKILL`).
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The memory that it really uses.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// How it ended, and all that it wrote.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        until("the gateway ends", || self.has_ended()).await;
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (self.child.wait().unwrap(), self.lines())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(variables).args(arguments).output().unwrap()
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_remove("RUST_LOG").env_remove("PORTCULLIS_CONFIG").stdin(Stdio::null());
    // What is started is on this machine, whatever stands between this machine and others.
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.envs(variables.iter().copied());
    command
}

/// Keeps lines as they are, also those that are not UTF-8.
fn collect(from: impl Read + Send + 'static, written: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            written.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

/// Runs the program when nobody reads any more what it writes to standard output, or to standard error: the exit code, and what it
/// wrote to the other one.
pub(crate) fn run_unread(arguments: &[&str], unread: Unread) -> (Option<i32>, String) {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = command(&[]);
    command.args(arguments);
    match unread {
        Unread::Output => command.stdout(writer).stderr(Stdio::piped()),
        Unread::Errors => command.stderr(writer).stdout(Stdio::piped()),
    };
    let Output { status, stdout, stderr } = command.spawn().unwrap().wait_with_output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// What nobody reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unread {
    Output,
    Errors,
}
