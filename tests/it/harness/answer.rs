//! What a scripted upstream answers, byte by byte.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::Semaphore;

/// An answer: its head, the pieces of its body, and how it ends.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<Step>,
    framing: Framing,
    cut: Option<usize>,
    gate: Option<Gate>,
    ending: Ending,
}

/// One thing that the upstream does.
#[derive(Clone)]
pub(super) enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    Wait(Gate),
    /// Again and again, as long as anybody listens.
    Forever(Vec<u8>),
}

/// How the client is told where the body ends.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Length,
    Chunked,
    Close,
    /// The steps are the whole answer, head and all.
    Raw,
}

/// What happens to the connection afterwards.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ending {
    #[default]
    Open,
    Close,
    Reset,
    /// Stays open without another word.
    Silence,
}

/// Holds an upstream back until the story lets it go on, one step for each opening.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::status(status).header("Content-Type", content_type).write(body)
    }

    pub(crate) fn json(message: &Value) -> Self {
        Self::body(200, "application/json", message.to_string())
    }

    /// An event stream in chunks, to be filled.
    pub(crate) fn events() -> Self {
        Self::status(200).header("Content-Type", "text/event-stream").chunked()
    }

    /// These bytes and nothing else.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { framing: Framing::Raw, ..Self::default() }.write(bytes)
    }

    /// Not a word, and the connection stays open.
    pub(crate) fn never() -> Self {
        Self { framing: Framing::Raw, ending: Ending::Silence, ..Self::default() }
    }

    /// Not a word, and the connection is closed.
    pub(crate) fn hang_up() -> Self {
        Self { framing: Framing::Raw, ending: Ending::Close, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn write(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body.push(Step::Write(bytes.into()));
        self
    }

    pub(crate) fn event(self, message: &Value) -> Self {
        self.write(format!("event: message\ndata: {message}\n\n"))
    }

    pub(crate) fn pause(mut self, milliseconds: u64) -> Self {
        self.body.push(Step::Pause(Duration::from_millis(milliseconds)));
        self
    }

    pub(crate) fn wait(mut self, gate: &Gate) -> Self {
        self.body.push(Step::Wait(gate.clone()));
        self
    }

    /// All of it, the head too, only when the gate is opened.
    pub(crate) fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    pub(crate) fn forever(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body.push(Step::Forever(bytes.into()));
        self
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// The end of the connection is the end of the body.
    pub(crate) fn until_close(mut self) -> Self {
        (self.framing, self.ending) = (Framing::Close, Ending::Close);
        self
    }

    /// Closes the connection after this many bytes, head included.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        (self.cut, self.ending) = (Some(bytes), Ending::Close);
        self
    }

    pub(crate) fn then_close(mut self) -> Self {
        self.ending = Ending::Close;
        self
    }

    pub(crate) fn then_reset(mut self) -> Self {
        self.ending = Ending::Reset;
        self
    }

    pub(crate) fn then_silence(mut self) -> Self {
        self.ending = Ending::Silence;
        self
    }

    /// Every byte of it, if it has an end.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let steps = self.steps();
        let bytes = steps.into_iter().flat_map(|step| if let Step::Write(bytes) = step { bytes } else { Vec::new() });
        bytes.collect()
    }

    pub(super) fn ending(&self) -> Ending {
        self.ending
    }

    /// Everything to do, cut where it is to be cut.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = if self.framing == Framing::Raw { self.body.clone() } else { self.framed() };
        steps.splice(0..0, self.gate.clone().map(Step::Wait));
        let Some(mut left) = self.cut else { return steps };
        let mut cut = Vec::new();
        for step in steps {
            if let Step::Write(mut bytes) = step {
                bytes.truncate(left);
                left -= bytes.len();
                cut.push(Step::Write(bytes));
            } else if left > 0 {
                cut.push(step);
            }
        }
        cut
    }

    fn framed(&self) -> Vec<Step> {
        let mut steps = vec![Step::Write(self.head())];
        for step in &self.body {
            steps.push(match step {
                Step::Write(bytes) => Step::Write(self.frame(bytes)),
                Step::Forever(bytes) => Step::Forever(self.frame(bytes)),
                other => other.clone(),
            });
        }
        if self.framing == Framing::Chunked && self.ending != Ending::Silence {
            steps.push(Step::Write(b"0\r\n\r\n".to_vec()));
        }
        steps
    }

    fn frame(&self, bytes: &[u8]) -> Vec<u8> {
        if self.framing != Framing::Chunked {
            return bytes.to_vec();
        }
        [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
    }

    fn head(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} Scripted", self.status)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let length: usize =
            self.body.iter().map(|step| if let Step::Write(bytes) = step { bytes.len() } else { 0 }).sum();
        match self.framing {
            Framing::Length => lines.push(format!("Content-Length: {length}")),
            Framing::Chunked => lines.push("Transfer-Encoding: chunked".to_owned()),
            Framing::Close | Framing::Raw => {}
        }
        format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    }
}
