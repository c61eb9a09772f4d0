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
            "tasks: `tasks/*` of 2025-11-25 have other rules than those of the extension `io.modelcontextprotocol/tasks`",
            "`notifications/elicitation/complete`: since 2026-07-28 a client is not told that its person has been to a page",
            "questions (elicitation, sampling, roots) of an upstream that keeps no sessions: the call fails and says so",
            "revisions after 2026-07-28: they are refused with the list of those that are served",
            "a call that waits for its person, once the process that keeps it has ended: it must be made again",
        ],
        Direction::LegacyClient => &[
            "tasks: `tasks/*` and `params.task` of 2025-11-25 have other rules than those of the extension \
             `io.modelcontextprotocol/tasks`; a call with `params.task` is made without it",
            "an upstream's question, if the client did not declare that it may be asked: the call fails and says so",
            "what a client declares, beyond 1 KiB: the upstream is told of roots, sampling and elicitation alone",
            "`notifications/roots/list_changed`: an upstream of 2026-07-28 asks for roots whenever it needs them",
            "tools whose `x-mcp-header` breaks the rules: they are left out of the list",
            "`outputSchema` and `structuredContent` that are no objects: older revisions have only objects",
            "errors from -32020 to -32099: the call fails, and says the upstream's code in `data`",
            "notifications while no call of the session is open: they come with the next one, the last 64 of them",
            "the log level and subscriptions to resources, after a restart or at another gateway that goes on with the \
             session: they must be set again",
            "`notifications/cancelled`, and answers to what was asked, at another gateway than the one that carries the call",
        ],
    }
}
