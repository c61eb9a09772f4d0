//! Whether something fits, as far as it is known.

/// Whether something fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on what the call will say; there is only a list yet.
    Depends,
    /// The same, but that nobody could tell that it fits, whatever the call will say: at best it is certain not to.
    Doubtful,
    /// Nobody can tell. What denies is taken to fit, and what allows is not.
    Undecided,
}

impl Truth {
    /// All of them. What is certain not to fit settles it.
    pub(super) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::Yes, |all, one| match (all, one) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Doubtful, _)
            | (_, Self::Doubtful)
            | (Self::Depends, Self::Undecided)
            | (Self::Undecided, Self::Depends) => Self::Doubtful,
            (Self::Depends, _) | (_, Self::Depends) => Self::Depends,
            (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
            (Self::Yes, Self::Yes) => Self::Yes,
        })
    }
}

impl Truth {
    /// One of them. What is certain to fit settles it.
    pub(super) fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::No, |any, one| match (any, one) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Depends | Self::Doubtful, _) | (_, Self::Depends | Self::Doubtful) => Self::Depends,
            (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
            (Self::No, Self::No) => Self::No,
        })
    }

    /// The contrary. What is not known stays so.
    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            other => other,
        }
    }
}

impl From<bool> for Truth {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}
