//! Clients with sessions in front of an upstream of 2026-07-28, which has none.
//!
//! The gateway is the server that the client began its session with. It answers `initialize`, `ping` and
//! `logging/setLevel` itself; any other request goes to the upstream, and says for itself what the session stood for.
//!
//! ```text
//! request  → outgoing (`_meta`, `Mcp-*`; mirrored: `Mcp-Param-*`) → upstream
//!          ← incoming (without what older revisions do not have) ← answer
//!                 ↑ call: as often as the upstream asks back
//! response → questions → the call that waits for it
//! ```
//!
//! A client of these revisions that goes away has not cancelled anything. Its upstream sees the exchange end all the same,
//! which it takes for a cancellation: there is no stream on which the client could come back for the answer.

mod call;
mod client;
mod incoming;
mod initialize;
mod inquiry;
mod listening;
mod mirrored;
mod outgoing;
mod questions;
mod response;
mod tools;
mod under_way;

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use moka::sync::Cache;
use portcullis_policies::kit::{
    chain::{Request, Response},
    message::{Kind, Message, Method},
    refusal::{Addressee, Reason, Refusal},
};

pub(in crate::proxy) use self::initialize::initialize;
use self::{
    call::Call,
    client::Client,
    listening::{Listening, Whose},
    questions::Questions,
    response::{accepted, result},
    tools::Known,
    under_way::Calls,
};
use super::{
    common::{self, Level},
    object::Object,
};
use crate::proxy::{
    Failure, Forward,
    eras::Era,
    headers::SESSION,
    session::{Declared, Held, Owner, Session},
};

/// How many sessions' log levels are remembered, and for how long after their last request.
const LEVELS: u64 = 10_000;
const IDLE: Duration = Duration::from_hours(1);

/// What this process remembers of clients. Another one that goes on with a session has its own.
#[derive(Debug)]
pub(in crate::proxy) struct Rooms {
    questions: Questions,
    calls: Calls,
    tools: Known,
    levels: Cache<Arc<str>, Level>,
    listening: Listening,
}

impl Default for Rooms {
    fn default() -> Self {
        let levels = Cache::builder().max_capacity(LEVELS).time_to_idle(IDLE).build();
        Self {
            questions: Questions::default(),
            calls: Calls::default(),
            tools: Known::default(),
            levels,
            listening: Listening::default(),
        }
    }
}

impl Rooms {
    /// Closes what nobody has used for long enough.
    pub(in crate::proxy) fn sweep(&self) {
        self.levels.run_pending_tasks();
        self.listening.sweep();
    }
}

/// Answers any message but `initialize` of a session that only the gateway knows ([`Held::ByGateway`]).
pub(in crate::proxy) async fn answer(
    forward: &Forward,
    request: &Request,
    message: &Message,
    session: &Session,
) -> Result<Response, Failure> {
    if forward.eras().speaks(Era::Modern) == Some(false) {
        // It has changed: a new session is one with the upstream itself.
        return Err(Reason::UnknownSession.into());
    }
    let client = client(forward, request, session);
    let listening = &forward.shared().legacy_clients().listening;
    match message.kind() {
        Kind::Response => Ok(take_answer(forward, message, &client)),
        Kind::Notification(Method::Cancelled) => {
            let params = Object::read(message.params().unwrap_or_default()).unwrap_or_default();
            let rooms = forward.shared().legacy_clients();
            rooms.calls.cancel(&client.session, params.get("requestId").unwrap_or_default());
            Ok(accepted())
        }
        // Servers of 2026-07-28 know no other notification of a client's.
        Kind::Notification(_) => Ok(accepted()),
        Kind::Request(Method::Initialize) => initialize(forward, request, message).await,
        Kind::Request(Method::Ping) => Ok(result(message, "{}")),
        Kind::Request(Method::SetLogLevel) => Ok(set_log_level(forward, message, &client)?),
        Kind::Request(Method::Subscribe) => {
            let whose = Whose { forward, request, client: &client };
            listening.subscribe(whose, target(message))?;
            Ok(result(message, "{}"))
        }
        Kind::Request(Method::Unsubscribe) => {
            let whose = Whose { forward, request, client: &client };
            listening.unsubscribe(whose, target(message))?;
            Ok(result(message, "{}"))
        }
        Kind::Request(method) if common::is_carried(method) => {
            let mailbox = listening.attend(Whose { forward, request, client: &client });
            Call::new(forward, request, message, method, client).answer(mailbox).await
        }
        Kind::Request(method) => {
            let why = format!("The upstream speaks MCP 2026-07-28, in which nothing corresponds to `{method}`.");
            Err(Refusal::new(Reason::NotBridged, why).into())
        }
    }
}

fn client(forward: &Forward, request: &Request, session: &Session) -> Client {
    let id = request.headers().get(SESSION).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let declared = match &session.held {
        Held::ByGateway(declared) => declared.clone(),
        Held::ByUpstream(_) => Declared::default(),
    };
    Client {
        log_level: forward.shared().legacy_clients().levels.get(id),
        session: id.into(),
        subject: Owner::of(request).subject.into(),
        version: session.version.as_deref().unwrap_or_default().into(),
        declared: declared.into(),
        listens: session.has_asides,
    }
}

fn target(message: &Message) -> &str {
    message.target().map_or("", |(_, target)| target)
}

/// The client's answer to what it was asked in a call.
fn take_answer(forward: &Forward, message: &Message, client: &Client) -> Response {
    let questions = &forward.shared().legacy_clients().questions;
    match questions.answer(&client.session, forward.shared().node(), message) {
        Ok(()) => accepted(),
        // Without the id, which is not one of the client's: it would look for its own request.
        Err(refusal) => refusal.answer(Addressee::default()),
    }
}

fn set_log_level(forward: &Forward, message: &Message, client: &Client) -> Result<Response, Refusal> {
    let params = Object::read(message.params().unwrap_or_default()).unwrap_or_default();
    let name: String = params.parse("level").unwrap_or_default();
    let level = common::level(&name).ok_or_else(|| {
        let why = format!("`params.level` must be one of {}.", common::LEVELS.join(", "));
        Refusal::new(Reason::InvalidParams, why).with_status(StatusCode::OK)
    })?;
    forward.shared().legacy_clients().levels.insert(Arc::clone(&client.session), level);
    Ok(result(message, "{}"))
}
