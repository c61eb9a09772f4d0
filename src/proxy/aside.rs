//! What an upstream says beside its answers: on a session's own stream (GET), or on a subscription. A client that only posts
//! has no place for it but the streams of its open calls.

/// The mailboxes of all sessions that are heard by this process.
#[derive(Debug, Default)]
pub(super) struct Asides {}

impl Asides {
    /// Closes what nobody listens to any more.
    #[expect(clippy::unused_self, reason = "nothing is held yet")]
    pub(super) fn sweep(&self) {}
}
