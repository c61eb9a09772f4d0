//! What the console's pages show. Text of others is text: escaped, never a link.

mod approvals;
mod audit;
mod pins;

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, ConnectState, KeyField},
};

pub(super) use self::{
    approvals::{Approval, Approvals},
    audit::{Audit, AuditEntry, AuditRow, Filter},
    pins::{Pin, PinEntry, Pins},
};
use super::connect::input;
use crate::{
    oauth::{
        SEAL,
        pages::{plain, show},
    },
    store::ConnectionStage,
    upstreams::connections::{Connected, ConnectionView, LinkView},
};

/// What a field of a key is called, and what it is for.
pub(super) struct Field {
    name: String,
    label: String,
    help: Option<String>,
}

/// Connect to this upstream?
#[derive(Template)]
#[template(path = "connect.html", config = "src/console/pages/askama.toml")]
pub(super) struct Connect {
    host: String,
    name: String,
    summary: Option<String>,
    target_host: String,
    route: String,
    scopes: Vec<String>,
    again: bool,
    /// All callers share what is connected.
    shared: bool,
    /// What to type in; empty where the upstream has a sign-in.
    fields: Vec<Field>,
    account: Option<String>,
    /// Somebody must sign in first.
    asks: bool,
    action: String,
    sealed: String,
}

impl Connect {
    pub(super) fn new(host: String, link: &LinkView, action: String, sealed: String) -> Self {
        let auth = &*link.auth;
        let (scopes, fields) = match &auth.mode {
            AuthMode::UserOAuth(oauth) | AuthMode::SharedOAuth(oauth) => (&*oauth.scopes, &[][..]),
            AuthMode::UserKey(fields) => (&[][..], &**fields),
            _ => (&[][..], &[][..]),
        };
        let field = |field: &KeyField| Field {
            name: input(field),
            label: plain(&field.label),
            help: field.help.as_deref().map(plain),
        };
        Self {
            host,
            name: plain(&auth.display_name),
            summary: auth.summary.as_deref().map(plain),
            target_host: plain(&link.target_host),
            route: link.route.clone(),
            scopes: scopes.iter().chain(&link.scopes).map(|scope| plain(scope)).collect(),
            again: link.state == ConnectState::ReconsentRequired,
            shared: !auth.mode.is_personal(),
            fields: fields.iter().map(field).collect(),
            account: None,
            asks: false,
            action,
            sealed,
        }
    }

    /// Its person is there.
    pub(super) fn signed_in(self, account: String) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Nobody knows yet who is there.
    pub(super) fn asking(self) -> Self {
        Self { asks: true, ..self }
    }

    pub(super) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::OK, self, target)
    }
}

/// The link was made for somebody else; whom, the page does not say.
#[derive(Template)]
#[template(path = "not_yours.html", config = "src/console/pages/askama.toml")]
pub(super) struct NotYours {
    pub(super) host: String,
    pub(super) account: String,
    pub(super) action: String,
    pub(super) sealed: String,
    pub(super) request_id: String,
}

impl NotYours {
    pub(super) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::FORBIDDEN, self, target)
    }
}

/// Somebody has connected.
#[derive(Template)]
#[template(path = "done.html", config = "src/console/pages/askama.toml")]
pub(super) struct Done {
    host: String,
    name: String,
}

impl Done {
    pub(super) fn new(host: String, connected: &Connected) -> Self {
        Self { host, name: plain(&connected.display_name) }
    }

    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, None)
    }
}

/// Who are you? Asked before anybody sees what is theirs.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/console/pages/askama.toml")]
pub(super) struct SignIn {
    pub(super) host: String,
    /// A route for each way to sign in.
    pub(super) ways: Vec<String>,
    pub(super) sealed: String,
    /// Where they come back to.
    pub(super) page: String,
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
}

impl SignIn {
    pub(super) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::OK, self, target)
    }
}

/// Somebody's connections.
#[derive(Template)]
#[template(path = "connections.html", config = "src/console/pages/askama.toml")]
pub(super) struct Connections {
    pub(super) host: String,
    pub(super) account: String,
    pub(super) rows: Vec<Row>,
    /// The route by whose sign-in they are signed in.
    pub(super) way: String,
    pub(super) sealed: String,
}

impl Connections {
    pub(super) fn show(&self, target: Option<String>) -> Response {
        show(StatusCode::OK, self, target)
    }
}

/// One of them.
pub(super) struct Row {
    upstream: String,
    name: String,
    summary: Option<String>,
    target_host: String,
    state: &'static str,
    /// Why it must be connected once more.
    because: Option<String>,
    since: Option<String>,
    scope: Option<String>,
    is_connected: bool,
    /// Something is kept that can be ended.
    is_kept: bool,
    /// What the button is called that leads to the page for connecting, if there is one.
    connect: Option<&'static str>,
}

impl From<ConnectionView> for Row {
    fn from(view: ConnectionView) -> Self {
        let (state, connect) = match view.standing {
            ConnectionStage::None => ("not connected", "Connect"),
            ConnectionStage::Authenticating => ("not finished yet", "Connect"),
            ConnectionStage::Connected => ("connected", "Connect anew"),
            ConnectionStage::ReconsentRequired => ("must be connected once more", "Connect once more"),
        };
        Self {
            name: plain(&view.display_name),
            summary: view.summary.as_deref().map(plain),
            target_host: plain(&view.target_host),
            state,
            because: (view.standing == ConnectionStage::ReconsentRequired).then(|| plain(&view.because)),
            since: view.connected_at.map(day),
            scope: view.scope.as_deref().map(plain).filter(|scope| !scope.is_empty()),
            is_connected: view.standing == ConnectionStage::Connected,
            is_kept: matches!(view.standing, ConnectionStage::Connected | ConnectionStage::ReconsentRequired),
            connect: view.route.is_some().then_some(connect),
            upstream: view.upstream,
        }
    }
}

/// A moment as people read it, in UTC.
fn day(at: Timestamp) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.as_seconds()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests;
