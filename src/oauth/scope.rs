//! Scopes: what a grant may be used for (RFC 6749 §3.3).

use std::{collections::BTreeSet, fmt, sync::Arc};

use portcullis_policies::kit::sign_in::SignIn;

/// A set of scopes, in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes(BTreeSet<Box<str>>);

impl Scopes {
    /// From the wire: names between spaces. `None` if a character is not allowed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let names = text.split(' ').filter(|name| !name.is_empty());
        names.map(|name| name.bytes().all(allowed).then(|| Box::from(name))).collect::<Option<_>>().map(Self)
    }

    /// What every call of a route needs: what a client gets that asks for nothing in particular.
    pub(super) fn default_of(sign_in: &SignIn) -> Self {
        Self(sign_in.scopes.iter().cloned().collect())
    }

    /// All that a route knows.
    pub(super) fn all_of(sign_in: &SignIn) -> Self {
        Self(sign_in.scopes.iter().chain(&sign_in.more_scopes).cloned().collect())
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one out, and says whether it was in.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// As policies look at them.
    pub(super) fn shared(&self) -> Arc<[Box<str>]> {
        self.0.iter().cloned().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}")?;
        }
        Ok(())
    }
}
