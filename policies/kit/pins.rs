//! Which definitions of an upstream's tools are good: what the program keeps for all its nodes.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use crate::kit::canonical::Fingerprint;

/// SHA-256 of a definition's canonical text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolDigest(pub [u8; 32]);

impl ToolDigest {
    /// The digest of a canonical text.
    pub fn of(text: &str) -> Self {
        Self(*Fingerprint::of_bytes(text.as_bytes()).as_bytes())
    }

    /// How people name it: the first twelve digits.
    pub fn short(&self) -> String {
        format!("{self:?}").chars().take(12).collect()
    }
}

impl fmt::Debug for ToolDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is pinned of one upstream.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    /// Has a first list been pinned?
    pub has_begun: bool,
    /// By the tools' names.
    pub tools: BTreeMap<Box<str>, ToolPin>,
}

/// What is known of one tool.
#[derive(Clone, Debug, Default)]
pub struct ToolPin {
    /// The definition that is good.
    pub good: Option<GoodPin>,
    /// Another one that was seen since, and what is done about it.
    pub waiting: Option<(ToolDigest, Standing)>,
}

/// A definition that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoodPin {
    /// Its digest.
    pub digest: ToolDigest,
    /// Has somebody approved it? If not, it was there first.
    pub is_approved: bool,
}

/// What is done about a definition that is not the pinned one. Where policies differ, the last of these stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It does not pass, and nobody is asked about it.
    Blocked,
    /// It passes, and may be approved.
    Logged,
    /// It does not pass until it is approved.
    Held,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Blocked, Self::Logged, Self::Held];

    /// As it is kept and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Logged => "logged",
            Self::Held => "held",
        }
    }
}

/// A definition that an upstream gave.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The tool's name.
    pub tool: String,
    /// Its canonical text.
    pub text: String,
    /// Its digest.
    pub digest: ToolDigest,
    /// What is suspicious in it, for people.
    pub flags: Vec<String>,
}

/// What was seen of a tool.
#[derive(Clone, Debug)]
pub enum Sighting {
    /// A tool that has no pin and may have one: this becomes it, unless there is one by now.
    First(Definition),
    /// A definition that is not the pinned one.
    Other(Definition, Standing),
    /// The pinned one again, after another had been seen.
    Back(String),
}

/// Pins cannot be had at present. Nothing may pass that would have to be compared with one.
#[derive(Clone, Copy, Debug)]
pub struct NoPins;

/// What is pinned, now or soon.
pub enum Recalling<'a> {
    /// At hand.
    Ready(Result<Arc<Pinned>, NoPins>),
    /// Must be looked up.
    Pending(Pin<Box<dyn Future<Output = Result<Arc<Pinned>, NoPins>> + Send + 'a>>),
}

impl Recalling<'_> {
    /// Waits for it.
    pub async fn recall(self) -> Result<Arc<Pinned>, NoPins> {
        match self {
            Self::Ready(pinned) => pinned,
            Self::Pending(pinned) => pinned.await,
        }
    }
}

impl fmt::Debug for Recalling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recalling")
    }
}

/// Keeps pins, by upstream: routes come and go, and two that lead to one server see the same tools.
pub trait Pins: Send + Sync {
    /// What is pinned of an upstream.
    fn recall<'a>(&'a self, upstream: &'a str) -> Recalling<'a>;

    /// Pins what the first list of an upstream holds, unless another node did; what is pinned since.
    fn begin<'a>(&'a self, upstream: &'a str, first: Vec<Definition>) -> Recalling<'a>;

    /// Notes what was seen, soon. Nothing good is replaced by it. What comes too often is not noted each time.
    fn note(&self, upstream: &str, seen: Vec<Sighting>);
}
