//! Becoming known to an authorization server, in the order of MCP: as the operator registered the gateway, by the URL of
//! its document, by registering itself (RFC 7591), or not at all, and then the operator is told what to do.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{ClientAuth, ClientAuthMethod, OAuthUpstream},
    fetch::{FetchError, is_loopback},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Discovered, Flow, Registration, RegistrationKind, SetupCode, SetupError, Transcript, UpstreamOAuth, survey::BUDGET,
    transcript::plain,
};

/// What the gateway says of itself (RFC 7591 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    client_name: &'a str,
    redirect_uris: [&'a str; 1],
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
    token_endpoint_auth_method: &'static str,
    /// OpenID Connect Registration §2. Servers take redirect URIs on this machine of native applications only.
    application_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// What the server made of it (RFC 7591 §3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<SecretString>,
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
}

/// A refusal (RFC 7591 §3.2.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

const WHAT: &str = "registration";

/// How the gateway can prove to be itself, and how it likes best to: it can keep a secret, and a header is written to fewer
/// logs than a form.
const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

impl UpstreamOAuth {
    /// The gateway's registration at the server. What it registers itself should be kept: each time is another one.
    ///
    /// `client_document` is where the gateway publishes its document, and `redirect_uri` where browsers come back, which
    /// only grants without people do without.
    pub async fn register(
        &self,
        server: &Discovered,
        upstream: &OAuthUpstream,
        client_document: Option<&Url>,
        redirect_uri: Option<&Url>,
        client_name: &str,
    ) -> Result<Registration, SetupError> {
        let as_client = |client, kind, expires_at| Registration {
            issuer: server.issuer.clone(),
            client,
            kind,
            redirect_uri: redirect_uri.cloned(),
            expires_at,
        };
        if let Some(client) = &upstream.client {
            return Ok(as_client(client.clone(), RegistrationKind::Configured, None));
        }
        let mut attempt = Attempt { server, redirect_uri, transcript: server.transcript.clone() };
        let redirect_uri =
            redirect_uri.filter(|_| server.flow == Flow::Code).ok_or_else(|| attempt.is_up_to_operator())?;
        if let Some(document) = client_document.filter(|document| takes_document(server, document)) {
            let client = ClientAuth { client_id: document.to_string(), method: ClientAuthMethod::None };
            return Ok(as_client(client, RegistrationKind::Document, None));
        }
        let Some(endpoint) = &server.registration_endpoint else { return Err(attempt.is_up_to_operator()) };
        let metadata = metadata(server, redirect_uri, client_name);
        let answer = self.send_metadata(endpoint, &metadata).await;
        let answer = answer.map_err(|error| attempt.failed(endpoint, &error))?;
        let (client, expires_at) = attempt.registered(endpoint, &answer, metadata.token_endpoint_auth_method)?;
        Ok(as_client(client, RegistrationKind::Dynamic, expires_at))
    }

    async fn send_metadata(&self, endpoint: &Url, metadata: &Metadata<'_>) -> Result<Response<Bytes>, FetchError> {
        let unwritable = |_| FetchError::Forbidden("it cannot be written in a request".to_owned());
        let mut request = Request::new(serde_json::to_vec(metadata).unwrap_or_default());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.as_str().parse().map_err(unwritable)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.fetch.send(request, BUDGET).await
    }
}

/// Can the server fetch the document? Only by https, unless both it and the gateway are on this machine.
fn takes_document(server: &Discovered, document: &Url) -> bool {
    let reachable = document.scheme() == "https" || (is_loopback(document) && is_loopback(&server.token_endpoint));
    server.client_documents && reachable
}

fn metadata<'a>(server: &Discovered, redirect_uri: &'a Url, client_name: &'a str) -> Metadata<'a> {
    let known = |method: &&str| server.auth_methods.iter().any(|known| known == method);
    // RFC 8414 §2: a server that does not say knows the first.
    let method = METHODS.into_iter().find(known).unwrap_or(METHODS[0]);
    Metadata {
        client_name,
        redirect_uris: [redirect_uri.as_str()],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: method,
        application_type: if is_loopback(redirect_uri) { "native" } else { "web" },
        scope: (!server.scopes.is_empty()).then(|| server.scopes.join(&server.scope_delimiter)),
    }
}

/// A registration under way.
struct Attempt<'a> {
    server: &'a Discovered,
    redirect_uri: Option<&'a Url>,
    transcript: Transcript,
}

impl Attempt<'_> {
    fn registered(
        &mut self,
        endpoint: &Url,
        answer: &Response<Bytes>,
        asked: &str,
    ) -> Result<(ClientAuth, Option<Timestamp>), SetupError> {
        if !answer.status().is_success() {
            return Err(self.refused(endpoint, answer));
        }
        let Ok(registered) = serde_json::from_slice::<Registered>(answer.body()) else {
            return Err(self.rejected(endpoint, "the answer is no registration"));
        };
        let is_ours =
            |uris: &Vec<String>| self.redirect_uri.is_none_or(|ours| uris.iter().any(|uri| uri == ours.as_str()));
        if !registered.redirect_uris.as_ref().is_none_or(is_ours) {
            return Err(self.other_redirect_uri(endpoint));
        }
        let expires_at = registered.client_secret_expires_at.filter(|end| *end > 0).map(Timestamp::from_seconds);
        match method(registered.token_endpoint_auth_method.as_deref(), registered.client_secret, asked) {
            Ok(method) => Ok((ClientAuth { client_id: registered.client_id, method }, expires_at)),
            Err(why) => Err(self.rejected(endpoint, why)),
        }
    }

    fn refused(&mut self, endpoint: &Url, answer: &Response<Bytes>) -> SetupError {
        let status = answer.status();
        match serde_json::from_slice::<Refusal>(answer.body()) {
            Ok(refusal) if matches!(&*refusal.error, "invalid_redirect_uri" | "redirect_uri_mismatch") => {
                self.other_redirect_uri(endpoint)
            }
            Ok(Refusal { error, error_description: None }) => self.rejected(endpoint, &error),
            Ok(Refusal { error, error_description: Some(words) }) => {
                self.rejected(endpoint, &format!("{error}: {words}"))
            }
            // Nobody promised that there is an endpoint.
            Err(_)
                if self.server.is_guess && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) =>
            {
                let words = format!(
                    "{} publishes no metadata (RFC 9728) and registers nobody; if its metadata are elsewhere, \
                     `protectedResourceMetadataUrl` says where, and a vendor without any can be given by hand with \
                     `authorizationUrl` and `tokenUrl`",
                    self.server.issuer
                );
                self.fails(endpoint, SetupCode::NoProtectedResourceMetadata, &words)
            }
            Err(_) => self.rejected(endpoint, &format!("it has status {status}, and does not say why")),
        }
    }

    fn failed(&mut self, endpoint: &Url, error: &FetchError) -> SetupError {
        let code = match error {
            FetchError::Forbidden(_) => SetupCode::InsecureEndpoint,
            FetchError::Unreachable(_) | FetchError::TimedOut => SetupCode::Unreachable,
            FetchError::TooLarge | FetchError::Status(_) => SetupCode::DynamicRegistrationFailed,
        };
        self.fails(endpoint, code, &format!("the registration endpoint: {error}"))
    }

    fn rejected(&mut self, endpoint: &Url, why: &str) -> SetupError {
        self.fails(endpoint, SetupCode::DynamicRegistrationFailed, &plain(why))
    }

    fn other_redirect_uri(&mut self, endpoint: &Url) -> SetupError {
        let ours = self.redirect_uri.map(Url::as_str).unwrap_or_default();
        let words = format!(
            "{} does not take {ours} as a redirect URI; ask the vendor to allow it, or register a client there by hand \
             and name it in `clientRegistration`",
            self.server.issuer
        );
        self.fails(endpoint, SetupCode::RedirectUriMismatch, &words)
    }

    fn fails(&mut self, endpoint: &Url, code: SetupCode, words: &str) -> SetupError {
        self.transcript.asked(WHAT, endpoint, words);
        SetupError::new(code, words, std::mem::take(&mut self.transcript))
    }

    fn is_up_to_operator(&mut self) -> SetupError {
        let uri = self.redirect_uri.map(|uri| format!(" with the redirect URI {uri}")).unwrap_or_default();
        let words = format!(
            "the gateway cannot register itself at {}; register a client there{uri}, and name it in `clientRegistration`",
            self.server.issuer
        );
        self.transcript.decided(WHAT, "up to the operator");
        SetupError::new(SetupCode::NoRegistrationEndpoint, &words, std::mem::take(&mut self.transcript))
    }
}

/// How the gateway proves to be itself with what it got: as the server says, else as it was asked.
fn method(named: Option<&str>, secret: Option<SecretString>, asked: &str) -> Result<ClientAuthMethod, &'static str> {
    match (named.unwrap_or(if secret.is_some() { asked } else { "none" }), secret) {
        ("none", _) => Ok(ClientAuthMethod::None),
        ("client_secret_post", Some(secret)) => Ok(ClientAuthMethod::Post(secret)),
        // Asked for none and got a secret: the method is the one that RFC 7591 §2 has for those who do not say.
        ("client_secret_basic", Some(secret)) => Ok(ClientAuthMethod::Basic(secret)),
        ("client_secret_basic" | "client_secret_post", None) => Err("the client got no secret to prove itself with"),
        _ => Err("the client has to prove itself in a way that the gateway does not know"),
    }
}
