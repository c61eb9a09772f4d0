//! Clients of 2026-07-28 in front of an upstream with sessions.

use portcullis_policies::kit::{
    chain::{Request, Response},
    message::Message,
};

use crate::proxy::{Failure, Forward};

/// Warm sessions, and calls that wait for their client's word.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Rooms {}

impl Rooms {
    /// Closes what nobody has used for long enough.
    #[expect(clippy::unused_self, reason = "nothing is held yet")]
    pub(in crate::proxy) fn sweep(&self) {}
}

/// Answers a message of 2026-07-28 through a session with the upstream.
pub(in crate::proxy) async fn answer(
    forward: &Forward,
    request: &Request,
    message: &Message,
) -> Result<Response, Failure> {
    forward.straight(request, message, None).await
}
