//! The authorization endpoint: a page that asks for a name, and the way back to the client (OAuth 2.1 §4.1).

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use url::Url;

use super::{
    ProtectedDemo,
    book::Yes,
    client::Client,
    denied::Denied,
    form::Form,
    page::{Question, Trouble},
    scope::Scope,
};

/// An authorization request whose client and redirect URI are known to belong together.
struct Asked {
    client: Client,
    redirect_uri: String,
    state: Option<String>,
    form: Form,
}

const LONGEST_NAME: usize = 64;

/// Shows the page.
pub(super) async fn ask(State(demo): State<ProtectedDemo>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let asked = match demo.asked(&query) {
        Ok(asked) => asked,
        Err(denied) => return Trouble(denied).show(),
    };
    match demo.terms(&asked) {
        Ok(terms) => Question {
            client: asked.client.name.clone(),
            scope: terms.scope.to_string(),
            action: format!("/authorize?{query}"),
            origin: Url::parse(&asked.redirect_uri).map(|url| url.origin().ascii_serialization()).unwrap_or_default(),
        }
        .show(),
        Err(denied) => demo.back(&asked, &[("error", denied.code), ("error_description", denied.words)]),
    }
}

/// The button was pressed.
pub(super) async fn decide(State(demo): State<ProtectedDemo>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let asked = match demo.asked(&query.unwrap_or_default()) {
        Ok(asked) => asked,
        Err(denied) => return Trouble(denied).show(),
    };
    match demo.code(&asked, &body) {
        Ok(code) => demo.back(&asked, &[("code", &code)]),
        Err(denied) => demo.back(&asked, &[("error", denied.code), ("error_description", denied.words)]),
    }
}

/// What is asked for besides the way back.
struct Terms {
    challenge: String,
    scope: Scope,
}

impl ProtectedDemo {
    /// Reads who asks, and where the answer goes. Until both are known, nobody is sent anywhere.
    fn asked(&self, query: &str) -> Result<Asked, Denied> {
        let form = Form::parse(query.as_bytes())?;
        let client = self.book().client(form.require("client_id", "client_id is missing")?);
        let client = client.ok_or(Denied::request(
            "no client has this client_id; it may have been registered \
            before this server was started anew",
        ))?;
        let redirect_uri = form.require("redirect_uri", "redirect_uri is missing")?.to_owned();
        if !client.redirect_uris.contains(&redirect_uri) {
            return Err(Denied::request("redirect_uri is none of the client's"));
        }
        Ok(Asked { client, redirect_uri, state: form.get("state").map(ToOwned::to_owned), form })
    }

    fn terms(&self, asked: &Asked) -> Result<Terms, Denied> {
        let form = &asked.form;
        if form.get("response_type") != Some("code") {
            return Err(Denied::response_type());
        }
        form.check_resource(&self.mcp_url())?;
        let challenge = form.require("code_challenge", "code_challenge is missing: PKCE is required")?;
        if form.get("code_challenge_method") != Some("S256") {
            return Err(Denied::request("code_challenge_method must be S256"));
        }
        Ok(Terms { challenge: challenge.to_owned(), scope: self.scope(form.get("scope")) })
    }

    fn code(&self, asked: &Asked, body: &[u8]) -> Result<String, Denied> {
        let Terms { challenge, scope } = self.terms(asked)?;
        let pressed = Form::parse(body)?;
        let name = pressed.require("person", "a name is missing")?.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(Denied::request("a name has 1 to 64 characters"));
        }
        let (client, redirect_uri) = (asked.client.id.clone(), asked.redirect_uri.clone());
        let yes = Yes { person: name.into(), client, redirect_uri, challenge, scope };
        let now = self.now();
        self.book().code(yes, now)
    }

    /// What is asked for, or what is given to those who ask for nothing.
    pub(super) fn scope(&self, asked: Option<&str>) -> Scope {
        Scope::parse(asked, if self.0.options.scopes { Scope { write: false } } else { Scope::ALL })
    }

    /// Sends the browser back to the client, with `state` as it came and who says so (RFC 9207).
    fn back(&self, asked: &Asked, parameters: &[(&str, &str)]) -> Response {
        let Ok(mut url) = Url::parse(&asked.redirect_uri) else {
            return Trouble(Denied::request("redirect_uri is no address")).show();
        };
        url.query_pairs_mut().extend_pairs(parameters).append_pair("iss", self.origin());
        if let Some(state) = &asked.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Redirect::to(url.as_str()).into_response()
    }
}
