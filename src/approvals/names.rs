//! Under what a call that waits is found again.

use portcullis_policies::kit::approval::Bindings;

use crate::store::{Digest, Sealer};

const LABEL: &str = "calls that wait";

/// Digests of who calls, on which route, which tool, with what. They are made under a key: arguments are short, and whoever
/// reads the store could find them by trying.
pub(super) struct CallNames {
    /// Under each master key at hand, the current one first.
    keyed: Vec<Digest>,
    /// Without a key, as calls were kept once.
    plain: Digest,
}

impl CallNames {
    pub(super) fn of(bound: &Bindings, sealer: &Sealer) -> Self {
        let text = text(bound);
        Self { keyed: sealer.prfs(LABEL, &text).map(Digest::keyed).collect(), plain: Digest::of(&text) }
    }

    /// Under what the call is kept now.
    pub(super) fn current(&self) -> Digest {
        self.keyed.first().copied().unwrap_or(self.plain)
    }

    /// Under what it may have been kept, the likeliest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Digest> {
        self.keyed.iter().chain([&self.plain])
    }

    /// Does what was approved under this name count for the call? Without a key anybody could have made the name.
    pub(super) fn count(&self, name: &Digest) -> bool {
        self.keyed.contains(name)
    }
}

/// Lengths keep names apart.
fn text(bound: &Bindings) -> Vec<u8> {
    let Bindings { subject, route, tool, arguments, .. } = bound;
    let mut text = Vec::new();
    for name in [subject, route, tool] {
        text.extend_from_slice(&name.len().to_be_bytes());
        text.extend_from_slice(name.as_bytes());
    }
    text.extend_from_slice(arguments.as_bytes());
    text
}
