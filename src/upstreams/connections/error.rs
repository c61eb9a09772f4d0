//! Why an upstream's sign-in cannot be set up.

use std::fmt;

/// Something that an operator must mend. The log has all steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupFailure {
    /// A stable word, such as `no_registration_endpoint`.
    pub code: String,
    /// What happened, and what to do.
    pub words: String,
}

impl fmt::Display for SetupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.words)
    }
}
