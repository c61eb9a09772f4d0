//! Where rows go besides the store: each sink has a task and a bounded queue of its own, so that none holds up another.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http::HeaderMap;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Counts, otlp};
use crate::{
    config::{Gateway, OtlpLogs, Webhook, service_name},
    fetch::{Client, Endpoint},
    store::AuditRow,
};

const NDJSON: &str = "application/x-ndjson";
const PROTOBUF: &str = "application/x-protobuf";
/// Groups that wait for a sink.
const QUEUE: usize = 64;
/// How long a sink gets for its last groups when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a group is sent. Between attempts it waits twice as long each time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// A place where rows go, once they are in the store.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Appended to a file, which may be moved away at any time.
    File(PathBuf),
    /// Written to standard output.
    Stdout,
    /// Posted, a group at a time.
    Webhook(Endpoint),
    /// Posted as log records of OpenTelemetry, in the name of this service.
    Otlp(Endpoint, String),
}

/// All sinks, at work.
#[derive(Debug)]
pub(super) struct Sinks {
    queues: Vec<mpsc::Sender<Group>>,
    tasks: Vec<JoinHandle<()>>,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Group {
    text: Bytes,
    rows: u64,
}

impl Sinks {
    pub(super) fn start(sinks: Vec<Sink>, counts: &Counts) -> Self {
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        for sink in sinks {
            let (queue, groups) = mpsc::channel(QUEUE);
            queues.push(queue);
            tasks.push(tokio::spawn(work(sink, groups, counts.clone())));
        }
        Self { queues, tasks, counts: counts.clone() }
    }

    /// Passes rows on that are in the store. A sink that cannot take them misses them.
    pub(super) fn send(&self, rows: &[AuditRow]) {
        if self.queues.is_empty() {
            return;
        }
        let text: String = rows.iter().flat_map(|row| [row.line.as_str(), "\n"]).collect();
        let group = Group { text: text.into(), rows: rows.len() as u64 };
        for queue in &self.queues {
            if queue.try_send(group.clone()).is_err() {
                self.counts.add_missed(group.rows);
            }
        }
    }

    /// Waits until all is passed on, but not for long.
    pub(super) async fn close(self) {
        drop(self.queues);
        for task in self.tasks {
            let _ = timeout(PATIENCE, task).await;
        }
    }
}

async fn work(sink: Sink, mut groups: mpsc::Receiver<Group>, counts: Counts) {
    let mut is_down = false;
    while let Some(Group { text, rows }) = groups.recv().await {
        match sink.take(text).await {
            Ok(rejected) => {
                counts.add_missed(rejected);
                is_down = false;
            }
            Err(why) => {
                counts.add_missed(rows);
                if !std::mem::replace(&mut is_down, true) {
                    tracing::error!(?sink, why, "rows of the audit log do not get there; the store has them");
                }
            }
        }
    }
}

impl Sink {
    /// Those that a configuration names.
    pub fn of(gateway: &Gateway, folder: &Path, client: &Client) -> anyhow::Result<Vec<Self>> {
        let options = &gateway.audit;
        let file = options.file.as_ref().map(|file| Self::File(folder.join(file)));
        let stdout = options.stdout.then_some(Self::Stdout);
        let webhook = options.webhook.as_ref().map(|webhook| webhook_of(webhook, client)).transpose()?;
        let otlp = options.otlp.as_ref().map(|otlp| otlp_of(otlp, client)).transpose()?;
        let service = gateway.telemetry.as_ref().map_or_else(service_name, |telemetry| telemetry.service_name.clone());
        let otlp = otlp.map(|endpoint| Self::Otlp(endpoint, service));
        Ok([file, stdout, webhook.map(Self::Webhook), otlp].into_iter().flatten().collect())
    }

    /// How many rows were not taken, although all went well.
    async fn take(&self, text: Bytes) -> Result<u64, String> {
        match self {
            Self::File(path) => blocking(append, path.clone(), text).await?,
            Self::Stdout => blocking(print, PathBuf::new(), text).await?,
            Self::Webhook(endpoint) => {
                again(|| endpoint.post(NDJSON, HeaderMap::new(), text.clone())).await?;
            }
            Self::Otlp(endpoint, service) => {
                let records = otlp::export(service, &String::from_utf8_lossy(&text));
                let answer = again(|| endpoint.post(PROTOBUF, HeaderMap::new(), records.clone())).await?;
                return Ok(otlp::rejected(answer.body()));
            }
        }
        Ok(0)
    }
}

async fn blocking(write: fn(&Path, &[u8]) -> io::Result<()>, path: PathBuf, text: Bytes) -> Result<(), String> {
    let done = tokio::task::spawn_blocking(move || write(&path, &text)).await;
    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Opened each time: where it was moved away, a new one begins.
fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(text)
}

fn print(_: &Path, text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text)?;
    output.flush()
}

fn webhook_of(options: &Webhook, client: &Client) -> anyhow::Result<Endpoint> {
    Endpoint::new(client, &options.url, options.headers.exposed()).context("gateway.audit.webhook")
}

fn otlp_of(options: &OtlpLogs, client: &Client) -> anyhow::Result<Endpoint> {
    let url = format!("{}/v1/logs", options.endpoint.trim_end_matches('/'));
    Endpoint::new(client, &url, options.headers.exposed()).context("gateway.audit.otlp")
}

/// Tries more than once.
async fn again<T, F: Future<Output = Result<T, String>>>(mut attempt: impl FnMut() -> F) -> Result<T, String> {
    let (mut pause, mut tried) = (PAUSE, attempt().await);
    for _ in 1..ATTEMPTS {
        if tried.is_ok() {
            break;
        }
        sleep(pause).await;
        pause *= 2;
        tried = attempt().await;
    }
    tried
}
