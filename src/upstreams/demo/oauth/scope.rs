//! What a token may do: read notes, or change them too.

use std::fmt;

/// Every token may read; some may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) write: bool,
}

pub(super) const READ: &str = "notes:read";
pub(super) const WRITE: &str = "notes:write";

impl Scope {
    pub(super) const ALL: Self = Self { write: true };

    /// What was asked for, or `default` if nothing was. Names that mean nothing here are passed over (RFC 6749 §3.3).
    pub(super) fn parse(asked: Option<&str>, default: Self) -> Self {
        match asked.map(str::trim).filter(|asked| !asked.is_empty()) {
            None => default,
            Some(asked) => Self { write: asked.split(' ').any(|name| name == WRITE) },
        }
    }

    /// What both allow.
    pub(super) fn and(self, other: Self) -> Self {
        Self { write: self.write && other.write }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(READ)?;
        if self.write { write!(f, " {WRITE}") } else { Ok(()) }
    }
}
