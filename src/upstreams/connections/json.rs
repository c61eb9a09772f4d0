//! Connections as programs read them: on the command line, and by the REST API.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    store::{ConnectionKey, ConnectionSummary},
    wire::{date, id_of, parts_of},
};

/// Somebody's connection to an upstream, without its secrets.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Connection")]
pub struct ConnectionJson {
    /// Names it in the REST API.
    id: String,
    /// Whose; empty for one that all callers share.
    subject: String,
    /// The upstream's `id`.
    upstream: String,
    /// The upstream's address.
    target: String,
    /// `connected` or `reconsent_required`.
    state: &'static str,
    /// How it came into this state.
    because: String,
    /// What it may do there.
    scope: Option<String>,
    /// When the person connected (RFC 3339).
    created_at: String,
    /// When secrets or state last changed.
    changed_at: String,
    /// When the access token ends.
    expires_at: Option<String>,
}

impl From<&ConnectionSummary> for ConnectionJson {
    fn from(connection: &ConnectionSummary) -> Self {
        Self {
            id: connection.key.id(),
            subject: connection.key.subject.clone(),
            upstream: connection.key.upstream.clone(),
            target: connection.target.clone(),
            state: connection.state.name(),
            because: connection.because.clone(),
            scope: connection.scope.clone(),
            created_at: date(connection.created_at),
            changed_at: date(connection.changed_at),
            expires_at: connection.expires_at.map(date),
        }
    }
}

impl ConnectionKey {
    /// Both names in one, for URLs.
    pub fn id(&self) -> String {
        id_of(&(&self.upstream, &self.subject))
    }

    /// The key with such an id.
    pub fn of_id(id: &str) -> Option<Self> {
        parts_of(id).map(|(upstream, subject)| Self { upstream, subject })
    }
}
