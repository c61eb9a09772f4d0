//! The pages for people. Text of others is escaped, and no page has a script.

use std::sync::Arc;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};

use super::denied::Denied;

/// May this client act for you?
#[derive(Template)]
#[template(path = "question.html", config = "src/upstreams/demo/oauth/pages/askama.toml")]
pub(super) struct Question {
    pub(super) client: String,
    pub(super) scope: String,
    pub(super) action: String,
    /// Where the answer goes: browsers let a form lead only where its page says.
    pub(super) origin: String,
}

/// Who is connected?
#[derive(Template)]
#[template(path = "people.html", config = "src/upstreams/demo/oauth/pages/askama.toml")]
pub(super) struct People {
    pub(super) connections: Vec<(Arc<str>, String)>,
}

/// A request that leads nowhere.
#[derive(Template)]
#[template(path = "trouble.html", config = "src/upstreams/demo/oauth/pages/askama.toml")]
pub(super) struct Trouble(pub(super) Denied);

impl Question {
    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, &self.origin)
    }
}

impl People {
    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, "")
    }
}

impl Trouble {
    pub(super) fn show(&self) -> Response {
        show(self.0.status, self, "")
    }
}

fn show(status: StatusCode, page: &impl Template, form_target: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {form_target}; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match page.render() {
        Ok(html) => (status, headers, Html(html)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response(),
    }
}
