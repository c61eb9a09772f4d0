//! Pages for people, and what all of them are made with, those of the console too. Text of others is text: it is escaped, never a link, and no page has a script.

mod trouble;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use portcullis_policies::kit::{
    host::Identity,
    sign_in::{Provider, SignIn},
    words,
};

pub(crate) use self::trouble::{Back, Notice, Trouble, or_trouble, trouble};
use super::{
    browser::SetCookie,
    client::{Client, ClientOrigin},
    origin::Origin,
    redirect_uri::RedirectUri,
    request::AuthorizationRequest,
    scope::Scopes,
};
use crate::store::SessionRecord;

/// May this client act for you?
#[derive(Template)]
#[template(path = "consent.html", config = "src/oauth/pages/askama.toml")]
pub(super) struct Consent {
    host: String,
    name: String,
    route: String,
    client_host: Option<String>,
    vouched: &'static str,
    redirect_host: String,
    scopes: Vec<String>,
    resource: String,
    account: Option<String>,
    /// None: the gateway itself asks for a name.
    provider: Option<String>,
    on_this_machine: bool,
    /// Where its form leads besides https sites.
    targets: String,
    sealed: String,
    client_id: String,
    redirect_uri: String,
}

impl Consent {
    pub(super) fn new(
        client: &Client,
        request: &AuthorizationRequest,
        sign_in: &SignIn,
        session: Option<&SessionRecord>,
        origin: &Origin,
        sealed: String,
    ) -> Self {
        let scopes = Scopes::parse(&request.scope).unwrap_or_default();
        Self {
            host: host_of(origin.as_str()),
            name: client.shown_name(),
            route: request.route.clone(),
            client_host: client.shown_host(),
            vouched: match client.origin {
                ClientOrigin::Configured => "the operator of this gateway",
                _ => "nobody: it registered itself",
            },
            redirect_host: RedirectUri::shown(&request.redirect_uri),
            scopes: scopes.iter().map(ToOwned::to_owned).collect(),
            resource: origin.resource(&request.route),
            account: session.map(account),
            provider: match &sign_in.provider {
                Provider::Dev => None,
                Provider::OpenId(provider) => Some(host_of(&provider.issuer)),
            },
            on_this_machine: !request.redirect_uri.starts_with("https:"),
            targets: form_targets(origin, &request.redirect_uri),
            sealed,
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
        }
    }

    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, Some(self.targets.clone()))
    }
}

/// The sign-in that asks for no password.
#[derive(Template)]
#[template(path = "dev_login.html", config = "src/oauth/pages/askama.toml")]
pub(super) struct DevLogin {
    pub(super) host: String,
    pub(super) state: String,
    /// Where it may lead: the client is only known from the state.
    pub(super) target: String,
}

impl DevLogin {
    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, Some(self.target.clone()))
    }
}

/// The end of a browser's session.
#[derive(Template)]
#[template(path = "logout.html", config = "src/oauth/pages/askama.toml")]
pub(super) struct Logout {
    pub(super) host: String,
    pub(super) done: bool,
}

impl Logout {
    pub(super) fn show(&self) -> Response {
        show(StatusCode::OK, self, None)
    }
}

pub(super) fn account(session: &SessionRecord) -> String {
    let identity: Identity = serde_json::from_slice(&session.identity).unwrap_or_default();
    plain(&identity.email.or(identity.name).unwrap_or_else(|| session.subject.clone()))
}

/// Where a form may lead: to the client, and, where the gateway itself does without TLS, to a provider that does too.
fn form_targets(origin: &Origin, redirect_uri: &str) -> String {
    let plain = if origin.is_secure() { "" } else { "http: " };
    format!("{plain}{}", RedirectUri::form_target(redirect_uri).unwrap_or_default())
}

/// Letters of one text of others at most.
const LONGEST_TEXT: usize = 300;

/// Text of others, short, and without what is not seen or hides something else.
pub(crate) fn plain(text: &str) -> String {
    words::plain(text, LONGEST_TEXT)
}

/// The host of an origin or issuer, for people to look at.
pub(crate) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// A page with the headers that every page has. `target` is where its forms lead besides ourselves and https sites:
/// browsers apply `form-action` to every redirect that follows a form, through the provider's pages to the client.
pub(crate) fn show(status: StatusCode, page: &impl Template, target: Option<String>) -> Response {
    let Ok(html) = page.render() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made").into_response();
    };
    let target = target.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self' https: {target}"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, browsers do not say where a form was.
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(policy.trim_end()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Sends the browser on; 303, so that what was posted is not posted again elsewhere.
pub(crate) fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => {
            let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

pub(super) fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = SetCookie>) -> Response {
    for line in cookies.into_iter().flat_map(|SetCookie(lines)| lines) {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}

/// The style of all pages.
pub(super) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("style.css")).into_response()
}
