//! Lists and `server/discover`, while nobody is connected: the upstream's own, where it shows them to everybody, or an
//! empty server with one tool.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use moka::sync::Cache;
use serde_json::{Value, json};

use super::{Ask, words::Words};
use crate::kit::{
    chain::{Request, Response, RouteService},
    credential::UpstreamChallenge,
    message::{FIRST_MODERN, Method},
    refusal::{Reason, Refusal},
};

/// How many upstreams are remembered. An operator names them all, so there are few.
const UPSTREAMS: u64 = 1024;
/// How long an upstream is taken to show nothing to strangers.
const RESERVED: Duration = Duration::from_mins(1);
/// How long an upstream is taken to speak 2026-07-28 that did so once.
const MODERN: Duration = Duration::from_hours(24);

/// What is known of upstreams, by their addresses.
pub(super) struct Catalogues {
    reserved: Cache<Arc<str>, ()>,
    modern: Cache<Arc<str>, ()>,
}

impl Default for Catalogues {
    fn default() -> Self {
        let cache = |lasts| Cache::builder().max_capacity(UPSTREAMS).time_to_live(lasts).build();
        Self { reserved: cache(RESERVED), modern: cache(MODERN) }
    }
}

impl Catalogues {
    pub(super) async fn answer(
        &self,
        ask: &Ask,
        method: &Method,
        words: &Words,
        upstream: Option<(Request, &RouteService)>,
    ) -> Response {
        if ask.message.is_modern()
            && let Some((request, inner)) = upstream
            && let Some(public) = self.public(ask, request, inner).await
        {
            return public;
        }
        match method {
            Method::Discover if ask.is_surely_modern() || self.modern.contains_key(&ask.target.0) => {
                ask.result(&discovered(words))
            }
            // Where the upstream decides: most speak revisions with sessions, many of them nothing else. A client that was
            // told of a modern server here would never find the one that is really there, while one that is refused begins
            // a session.
            Method::Discover => ask.refuse(sessions_first()),
            _ => ask.result(&list(ask, method, words)),
        }
    }

    /// The upstream's own answer to somebody without a credential.
    async fn public(&self, ask: &Ask, request: Request, inner: &RouteService) -> Option<Response> {
        if self.reserved.contains_key(&ask.target.0) {
            return None;
        }
        let Ok(response) = inner.run(request).await;
        let challenged = response.extensions().get::<UpstreamChallenge>().is_some();
        let status = response.status();
        if !challenged && (status.is_success() || (!ask.is_surely_modern() && says_no_such_method(status))) {
            return Some(response);
        }
        self.reserved.insert(Arc::clone(&ask.target.0), ());
        None
    }

    /// How an upstream answers `server/discover` to somebody who is connected says which revisions it speaks.
    pub(super) fn learn(&self, ask: &Ask, status: StatusCode) {
        if !ask.is(&Method::Discover) {
            return;
        }
        if status.is_success() {
            self.modern.insert(Arc::clone(&ask.target.0), ());
        } else if says_no_such_method(status) {
            self.modern.invalidate(&ask.target.0);
        }
    }
}

/// What servers of revisions with sessions answer to a message of another kind.
fn says_no_such_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

fn sessions_first() -> Refusal {
    Refusal::new(Reason::BadRequest, "Nobody has seen yet whether this upstream speaks 2026-07-28.")
        .with_remedy("Begin with `initialize`, or connect first.")
}

fn discovered(words: &Words) -> Value {
    json!({
        "resultType": "complete",
        "supportedVersions": [FIRST_MODERN],
        "capabilities": { "tools": {}, "prompts": {}, "resources": {} },
        "instructions": words.instructions(),
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { "io.modelcontextprotocol/serverInfo": server_info(words) },
    })
}

pub(super) fn server_info(words: &Words) -> Value {
    let name = &words.auth.display_name;
    json!({ "name": name, "title": name, "version": env!("CARGO_PKG_VERSION") })
}

fn list(ask: &Ask, method: &Method, words: &Words) -> Value {
    let mut result = match method {
        Method::ListTools => json!({ "tools": [words.connect_tool()] }),
        Method::ListPrompts => json!({ "prompts": [] }),
        Method::ListResources => json!({ "resources": [] }),
        _ => json!({ "resourceTemplates": [] }),
    };
    if ask.message.is_modern() {
        result["resultType"] = "complete".into();
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "private".into();
    }
    result
}
