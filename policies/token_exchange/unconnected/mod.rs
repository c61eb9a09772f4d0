//! What a client gets whose person is not connected: a way to connect, in the form that the client understands, and a
//! server that does not die in the meantime (MCP 2026-07-28, "URL Mode Elicitation for OAuth Flows").

mod catalogue;
mod session;
mod upstream;
mod words;

use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;

use self::{
    catalogue::Catalogues,
    session::Sessions,
    upstream::Upstreams,
    words::{Words, accepted, changed_lists},
};
use super::ask::Ask;
use crate::kit::{
    chain::{Request, Response, RouteService},
    credential::{ConnectRequired, UpstreamAuth, UpstreamCredential},
    host::Host,
    message::{Kind, Message, Method},
    pages::declared_in,
    refusal::{Reason, Refusal},
    round::{Marker, Round, to_connect},
    session::{OwnSession, is_own},
};

pub(super) struct Unconnected {
    words: Words,
    marker: Marker,
    sessions: Sessions,
    upstreams: Upstreams,
    catalogues: Catalogues,
}

/// What of a request is the gateway's own.
pub(super) struct Arrived {
    /// A session that the gateway opened, because the person was not connected then.
    pub(super) session: Option<OwnSession>,
    /// The answer to the gateway's request to connect.
    pub(super) round: Option<Round>,
}

impl Unconnected {
    pub(super) fn new(auth: Arc<UpstreamAuth>, host: &Host) -> Self {
        Self {
            marker: to_connect(&auth.id),
            words: Words::new(auth),
            sessions: Sessions::new(host),
            upstreams: Upstreams::default(),
            catalogues: Catalogues::default(),
        }
    }

    /// Is there something of the gateway's own in a request, so that more than a credential is needed?
    pub(super) fn concerns(&self, message: &Message, headers: &HeaderMap) -> bool {
        message.method() == Some(&Method::Discover)
            || message.tool() == Some(&self.words.tool)
            || is_own(headers)
            || self.marker.is_in(message)
    }

    pub(super) fn arrive(&self, ask: &Ask, headers: &HeaderMap) -> Result<Arrived, Refusal> {
        // 2026-07-28 has no sessions: a header that names one means nothing there.
        let session =
            if ask.message.is_modern() { None } else { OwnSession::named_by(headers, ask.subject(), ask.route())? };
        Ok(Arrived { session, round: self.marker.round(&ask.message) })
    }

    /// What the gateway itself answers to somebody who is connected.
    pub(super) fn answer_connected(&self, ask: &Ask, session: Option<&OwnSession>) -> Option<Response> {
        if ask.message.tool() == Some(&self.words.tool) {
            let result = ask.result_text(&self.words.already_connected(ask));
            return Some(changed_lists(result, ask.message.is_modern()));
        }
        // The upstream was told when its session was opened.
        (session.is_some() && ask.is(&Method::Initialized)).then(accepted)
    }

    /// Sends a request of one of the gateway's own sessions through the upstream's.
    pub(super) async fn forward(
        &self,
        ask: &Ask,
        request: Request,
        session: &OwnSession,
        credential: &UpstreamCredential,
        inner: &RouteService,
    ) -> Response {
        self.upstreams.forward(ask, request, session, credential, inner).await
    }

    /// Remembers what an answer says about the upstream.
    pub(super) fn learn(&self, ask: &Ask, response: &Response) {
        self.catalogues.learn(ask, response.status());
    }

    /// The answer to somebody who is not connected. What may be public is asked for at the upstream, if it can be.
    pub(super) async fn answer(
        &self,
        ask: &Ask,
        required: &ConnectRequired,
        session: Option<&OwnSession>,
        declined: bool,
        upstream: Option<(Request, &RouteService)>,
    ) -> Response {
        let upstream = match upstream {
            // The end of the chain says which clients the route serves, and sends nothing of others.
            Some((request, inner)) if !ask.is_served() => {
                let Ok(response) = inner.run(request).await;
                return response;
            }
            upstream => upstream,
        };
        let Kind::Request(method) = ask.message.kind() else { return accepted() };
        match method {
            Method::Ping => ask.result(&json!({})),
            Method::Initialize => self.sessions.open(ask, &self.words),
            Method::Discover
            | Method::ListTools
            | Method::ListPrompts
            | Method::ListResources
            | Method::ListResourceTemplates => self.catalogues.answer(ask, method, &self.words, upstream).await,
            _ if declined => self.declined(ask),
            _ => self.ask_to_connect(ask, required, session),
        }
    }

    /// In the form that the client understands (TR-31).
    fn ask_to_connect(&self, ask: &Ask, required: &ConnectRequired, session: Option<&OwnSession>) -> Response {
        let opens_pages = opens_pages(ask, session);
        let mut response = match ask.message.method() {
            Some(Method::CallTool | Method::GetPrompt | Method::ReadResource)
                if ask.message.is_modern() && opens_pages =>
            {
                ask.result(&self.marker.input_required(&ask.message, words::page(required)))
            }
            _ if opens_pages && !ask.message.is_modern() => ask.refuse(words::elicitation_required(required)),
            Some(Method::CallTool) => ask.result(&self.words.tool_result(ask, required)),
            _ => ask.refuse(words::refusal(required)),
        };
        response.extensions_mut().insert(Reason::ConnectRequired);
        response
    }

    fn declined(&self, ask: &Ask) -> Response {
        if ask.is(&Method::CallTool) {
            return ask.result(&self.words.declined(ask));
        }
        ask.refuse(self.words.declined_refusal())
    }
}

/// Did the client declare URL elicitation? Older ones declare it once, when their session begins.
fn opens_pages(ask: &Ask, session: Option<&OwnSession>) -> bool {
    if ask.message.is_modern() {
        return declared_in(&ask.message);
    }
    session.is_some_and(OwnSession::opens_pages)
}
