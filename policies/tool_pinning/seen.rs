//! What an upstream says about its tools, as far as it can be compared with what is pinned.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use moka::sync::Cache;
use serde_json::Value;

use super::{flags::flags, options::PinningLimits};
use crate::kit::{
    canonical::{Fingerprint, canonical_value},
    pins::{Definition, ToolDigest},
};

/// Definitions whose reading is remembered.
const REMEMBERED: u64 = 20_000;

/// What there is to compare of one definition.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) digest: ToolDigest,
    /// What is suspicious in it.
    pub(super) flags: Arc<[String]>,
    /// Is it short enough to be kept?
    pub(super) can_be_pinned: bool,
}

/// What a list says of a name.
#[derive(Clone, Debug)]
pub(super) enum Present {
    /// One thing.
    One(Seen),
    /// Several things, of which nobody knows which one a call means.
    Several,
}

impl Present {
    /// The same name once more.
    pub(super) fn and(self, seen: &Seen) -> Self {
        match self {
            Self::One(before) if before.digest == seen.digest => Self::One(before),
            _ => Self::Several,
        }
    }
}

/// Reads definitions.
pub(super) struct Reading {
    ignored: BTreeSet<String>,
    limits: PinningLimits,
    /// By the digest of the definition as it was written: one that has not changed is not read again.
    known: Cache<Fingerprint, Seen>,
}

impl Reading {
    pub(super) fn new(ignored: BTreeSet<String>, limits: PinningLimits) -> Self {
        Self { ignored, limits, known: Cache::new(REMEMBERED) }
    }

    /// A definition as it stands in a list. None where it cannot be read.
    pub(super) fn written(&self, definition: &[u8]) -> Option<Seen> {
        let spelling = Fingerprint::of_bytes(definition);
        if let Some(seen) = self.known.get(&spelling) {
            return Some(seen);
        }
        let seen = self.seen(&serde_json::from_slice(definition).ok()?);
        self.known.insert(spelling, seen.clone());
        Some(seen)
    }

    /// A definition that has been read.
    pub(super) fn seen(&self, definition: &Value) -> Seen {
        let text = self.text(definition);
        Seen {
            digest: ToolDigest::of(&text),
            flags: flags(definition, self.limits.text_length).into(),
            can_be_pinned: text.len() <= self.limits.definition_bytes,
        }
    }

    /// A definition as it is kept, if it is one that can be.
    pub(super) fn kept(&self, tool: &str, definition: &Value) -> Option<Definition> {
        let seen = self.seen(definition);
        let text = self.text(definition);
        let flags = seen.flags.to_vec();
        seen.can_be_pinned.then(|| Definition { tool: tool.to_owned(), text, digest: seen.digest, flags })
    }

    /// Everything in it, but for what the operator says not to count.
    fn text(&self, definition: &Value) -> String {
        let meta = definition.get("_meta").and_then(Value::as_object);
        if !meta.is_some_and(|meta| meta.keys().any(|name| self.ignored.contains(name))) {
            return canonical_value(definition);
        }
        let mut definition = definition.clone();
        if let Some(meta) = definition["_meta"].as_object_mut() {
            meta.retain(|name, _| !self.ignored.contains(name));
        }
        canonical_value(&definition)
    }

    /// What a whole list says, by name.
    pub(super) fn all<'a>(
        &self,
        definitions: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> BTreeMap<&'a str, Present> {
        let mut all = BTreeMap::<_, Present>::new();
        for (name, definition) in definitions {
            let seen = self.seen(definition);
            let present = match all.remove(name) {
                Some(before) => before.and(&seen),
                None => Present::One(seen),
            };
            all.insert(name, present);
        }
        all
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}
