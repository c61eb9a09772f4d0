//! What has no counterpart in the other era, for people who choose an upstream.

/// Who is translated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Clients of 2026-07-28, in front of an upstream with sessions.
    ModernClient,
    /// Clients with sessions, in front of an upstream of 2026-07-28.
    LegacyClient,
}

/// What is refused, or lost, in this direction; each in words that end a sentence.
pub fn cannot(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::ModernClient => &[
            "extensions, such as tasks and apps: an upstream with sessions has none",
            "`tasks/*`: tasks of 2025-11-25 have other rules",
            "revisions after 2026-07-28: they are refused with the list of those that are served",
            "a call that waits for its person, once the process that keeps it has ended: it must be made again",
        ],
        Direction::LegacyClient => &[
            "extensions, such as tasks and apps: a client with sessions has no place to declare them",
            "`tasks/*`: tasks of 2025-11-25 have other rules",
            "an upstream's question, if the client did not declare that it may be asked: the call fails and says so",
            "notifications while no call of the session is open: they come with the next one",
        ],
    }
}
