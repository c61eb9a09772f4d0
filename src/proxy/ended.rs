//! Sessions that the upstream has ended. Its client is told 404, which makes it begin another one (MCP 2025-11-25,
//! "Session Management"), also where the upstream says it otherwise.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use portcullis_policies::kit::{
    chain::Request,
    credential::UpstreamCredential,
    refusal::{Reason, code},
};

use super::{
    Forward,
    contact::Refused,
    headers::{self, SESSION, VERSION},
    session::{Owner, Session},
    upstream::{Behalf, Failure, Received, Sending, Upstream},
};

/// The id of the gateway's own `ping`, as JSON text.
const PING: &str = r#""portcullis-ping""#;

/// What a client of before 2026-07-28 is told, whose message was refused.
pub(super) async fn judge(
    forward: &Forward,
    request: &Request,
    session: Option<&Session>,
    refused: Option<Refused>,
    mut outcome: Result<Received, Failure>,
) -> Result<Received, Failure> {
    let Some(Refused { status, code, .. }) = refused else { return outcome };
    let is_unknown_method = code == Some(code::METHOD_NOT_FOUND.into());
    match (status, session) {
        // A method that servers of 2026-07-28 do not know. To an older client a 404 says that its session has ended.
        (StatusCode::NOT_FOUND, _) if is_unknown_method => {
            if let Ok(received) = &mut outcome {
                received.status = StatusCode::OK;
            }
            outcome
        }
        (StatusCode::NOT_FOUND, Some(_)) => Err(Reason::UnknownSession.into()),
        (StatusCode::BAD_REQUEST | StatusCode::GONE | StatusCode::UNPROCESSABLE_ENTITY, Some(session))
            if has_ended(forward, request, session).await =>
        {
            tracing::debug!(%status, "the upstream has ended the session");
            Err(Reason::UnknownSession.into())
        }
        _ => outcome,
    }
}

impl Forward {
    /// Ends the session that the gateway's own request names, if it is one of its caller.
    pub(super) async fn end_session(&self, request: &Request) {
        let id = request.headers().get(SESSION);
        let Some(session) = id.and_then(|id| self.sessions().open(Owner::of(request), id)) else { return };
        let Some(id) = session.upstream_id() else { return };
        let mut mcp = vec![(SESSION, id)];
        mcp.extend(session.version_header().map(|version| (VERSION, version)));
        let headers = headers::own(self.upstream().endpoint.template(), request, &mcp);
        end(self.upstream(), headers, Behalf::of(request).credential).await;
    }
}

/// Ends a session, as far as the upstream lets its clients do that. `headers` name it.
pub(super) async fn end(upstream: &Upstream, headers: HeaderMap, credential: Option<&UpstreamCredential>) {
    let Upstream { endpoint, clocks, .. } = upstream;
    if let Err(refusal) = endpoint.send(Method::DELETE, headers, Bytes::new(), credential, clocks).await {
        tracing::debug!(reason = refusal.reason().code(), "a session was not ended at the upstream");
    }
}

/// Is even a `ping` refused in this session? Then it was not the message that the upstream did not like.
async fn has_ended(forward: &Forward, request: &Request, session: &Session) -> bool {
    let Some(id) = session.upstream_id() else { return false };
    let mut mcp = vec![(SESSION, id)];
    let said = request.headers().get(VERSION).cloned();
    mcp.extend(said.or_else(|| session.version_header()).map(|version| (VERSION, version)));
    let ping = Sending {
        headers: headers::own(forward.upstream().endpoint.template(), request, &mcp),
        message: Bytes::from_static(br#"{"jsonrpc":"2.0","id":"portcullis-ping","method":"ping"}"#),
        awaiting: Some(PING),
        behalf: Behalf::of(request),
    };
    let outcome = forward.upstream().post(ping).await;
    let refused = Refused::by(&outcome);
    refused.is_some_and(|refused| matches!(refused.status.as_u16(), 400 | 404 | 410 | 422))
}
