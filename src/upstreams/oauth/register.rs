//! Becoming known to an authorization server, in the order of MCP: as the operator registered the gateway, by the URL
//! of its document, by registering itself (RFC 7591), or not at all, and then the operator is told what to do.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use portcullis_policies::kit::{
    credential::{ClientAuth, ClientAuthMethod, OAuthUpstream},
    fetch::{FetchError, is_loopback},
};
use serde::Serialize;
use url::Url;

use super::{
    Discovered, Flow, Registration, RegistrationKind, SetupError, UpstreamOAuth, authorize::with_offline_access,
    registered::Attempt, survey::BUDGET,
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

/// How the gateway can prove to be itself, and how it likes best to: it can keep a secret, and a header is written to
/// fewer logs than a form.
const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

impl UpstreamOAuth {
    /// The gateway's registration at the server. What it registers itself should be kept: each time is another one.
    ///
    /// `client_document` is where the gateway publishes its document, and `redirect_uri` where browsers come back,
    /// which only grants without people do without.
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
        let (endpoint, redirect_uri) = match way(server, upstream, client_document, redirect_uri)? {
            Way::Configured(client) => return Ok(as_client(client.clone(), RegistrationKind::Configured, None)),
            Way::Document(document) => {
                let client = ClientAuth { client_id: document.to_string(), method: ClientAuthMethod::None };
                return Ok(as_client(client, RegistrationKind::Document, None));
            }
            Way::Dynamic { endpoint, redirect_uri } => (endpoint, redirect_uri),
        };
        let mut attempt = Attempt { server, redirect_uri: Some(redirect_uri), transcript: server.transcript.clone() };
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

/// In which way the gateway becomes known to a server.
enum Way<'a> {
    Configured(&'a ClientAuth),
    Document(&'a Url),
    Dynamic { endpoint: &'a Url, redirect_uri: &'a Url },
}

/// In which way it would become known, for who only looks: nothing is asked.
///
/// # Errors
///
/// [`SetupError`], where an operator has to do something first.
pub fn registration_kind(
    server: &Discovered,
    upstream: &OAuthUpstream,
    client_document: Option<&Url>,
    redirect_uri: Option<&Url>,
) -> Result<RegistrationKind, SetupError> {
    Ok(match way(server, upstream, client_document, redirect_uri)? {
        Way::Configured(_) => RegistrationKind::Configured,
        Way::Document(_) => RegistrationKind::Document,
        Way::Dynamic { .. } => RegistrationKind::Dynamic,
    })
}

fn way<'a>(
    server: &'a Discovered,
    upstream: &'a OAuthUpstream,
    client_document: Option<&'a Url>,
    redirect_uri: Option<&'a Url>,
) -> Result<Way<'a>, SetupError> {
    if let Some(client) = &upstream.client {
        if server.is_guess && client.has_secret() {
            return Err(nobody_in_particular(server));
        }
        return Ok(Way::Configured(client));
    }
    let mut attempt = Attempt { server, redirect_uri, transcript: server.transcript.clone() };
    let redirect_uri = redirect_uri.filter(|_| server.flow == Flow::Code).ok_or_else(|| attempt.is_up_to_operator())?;
    if let Some(document) = client_document.filter(|document| takes_document(server, document)) {
        return Ok(Way::Document(document));
    }
    let endpoint = server.registration_endpoint.as_ref().ok_or_else(|| attempt.is_up_to_operator())?;
    Ok(Way::Dynamic { endpoint, redirect_uri })
}

/// What an operator got at one server is not shown to whoever answers at a guessed address.
fn nobody_in_particular(server: &Discovered) -> SetupError {
    let words = "the upstream publishes no metadata, so nobody says whose the gateway's registration is; name the server in \
                 `authorizationServer`, or its addresses in `classicOAuth`";
    SetupError::new(super::SetupCode::NoAuthorizationServerMetadata, words, server.transcript.clone())
}

/// Can the server fetch the document? Only by https, unless both it and the gateway are on this machine.
fn takes_document(server: &Discovered, document: &Url) -> bool {
    let reachable = document.scheme() == "https" || (is_loopback(document) && is_loopback(&server.token_endpoint));
    server.client_documents && reachable
}

fn metadata<'a>(server: &Discovered, redirect_uri: &'a Url, client_name: &'a str) -> Metadata<'a> {
    let known = |method: &&str| server.auth_methods.iter().any(|known| known == method);
    let scopes = with_offline_access(server, &server.possible_scopes);
    // RFC 8414 §2: a server that does not say knows the first.
    let method = METHODS.into_iter().find(known).unwrap_or(METHODS[0]);
    Metadata {
        client_name,
        redirect_uris: [redirect_uri.as_str()],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: method,
        application_type: if is_loopback(redirect_uri) { "native" } else { "web" },
        scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
    }
}
