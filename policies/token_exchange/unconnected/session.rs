//! Sessions of revisions up to 2025-11-25 that the gateway opens itself, because nobody is connected yet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::HeaderValue;
use serde_json::{Value, json};

use super::{Ask, catalogue::server_info, words::Words};
use crate::kit::{
    chain::Response,
    clock::Clock,
    host::Host,
    session::{OwnSession, SESSION, VERSIONS},
};

/// Opens sessions.
pub(super) struct Sessions {
    seed: u64,
    clock: Arc<dyn Clock>,
    opened: AtomicU64,
}

impl Sessions {
    pub(super) fn new(host: &Host) -> Self {
        Self { seed: host.seed, clock: Arc::clone(&host.clock), opened: AtomicU64::new(0) }
    }

    /// Answers `initialize`.
    pub(super) fn open(&self, ask: &Ask, words: &Words) -> Response {
        let params = ask.params();
        let asked = params["protocolVersion"].as_str();
        let version = VERSIONS.into_iter().find(|version| Some(*version) == asked).unwrap_or(VERSIONS[0]);
        let mut response = ask.result(&json!({
            "protocolVersion": version,
            "capabilities": {
                "tools": { "listChanged": true },
                "prompts": { "listChanged": true },
                "resources": { "listChanged": true },
            },
            "serverInfo": server_info(words),
            "instructions": words.instructions(),
        }));
        let id = self.id(ask, version, &params);
        response.headers_mut().extend(HeaderValue::try_from(id).ok().map(|id| (SESSION, id)));
        response
    }

    fn id(&self, ask: &Ask, version: &str, params: &Value) -> String {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let drawn = format!("{}|{number}|{:?}|{}", self.seed, self.clock.now(), ask.subject());
        OwnSession::id(version, params, (ask.subject(), ask.route()), &drawn)
    }
}
