//! Clients with sessions in front of an upstream of 2026-07-28.

use portcullis_policies::kit::{
    chain::{Request, Response},
    message::Message,
};

use crate::proxy::{Failure, Forward, session::Session};

/// Calls that wait for their client's word, and subscriptions.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Rooms {}

impl Rooms {
    /// Closes what nobody has used for long enough.
    #[expect(clippy::unused_self, reason = "nothing is held yet")]
    pub(in crate::proxy) fn sweep(&self) {}
}

/// Answers `initialize` from what the upstream says about itself.
pub(in crate::proxy) async fn initialize(
    forward: &Forward,
    request: &Request,
    message: &Message,
) -> Result<Response, Failure> {
    forward.straight(request, message, None).await
}

/// Answers any other message of a session that only the gateway knows ([`Held::ByGateway`]).
///
/// [`Held::ByGateway`]: crate::proxy::session::Held::ByGateway
pub(in crate::proxy) async fn answer(
    forward: &Forward,
    request: &Request,
    message: &Message,
    _session: &Session,
) -> Result<Response, Failure> {
    forward.straight(request, message, None).await
}
