//! Whose rows.

use std::{fmt, sync::Arc};

/// Whose rows: a parameter of every function of the store. Cloning is cheap.
#[derive(Clone)]
pub struct Tenant(Name);

#[derive(Clone)]
enum Name {
    Fixed(&'static str),
    Shared(Arc<str>),
}

impl Tenant {
    /// The only one, where there is only one.
    pub const DEFAULT: Self = Self(Name::Fixed("default"));

    /// The tenant with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Name::Shared(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Fixed(name) => name,
            Name::Shared(name) => name,
        }
    }
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Tenant {}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({})", self.as_str())
    }
}
