//! Which of the authorization server's paths goes where.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Extension, FromRequestParts, Path, RawQuery, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    HeaderMap, HeaderName, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    request::Parts,
};
use tower_http::cors::{Any, CorsLayer};

use super::{Authority, Resources, TokenJudge, metadata::public_document, pages, register};

/// Who sent a request. The server puts it into the request's extensions.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address, as far as trusted proxies tell it.
    pub address: IpAddr,
    /// The gateway's id of the request.
    pub request_id: String,
}

/// Bytes of a form at most.
pub(crate) const LARGEST_FORM: usize = 64 << 10;

/// The authorization server, if it is open. Where no route asks for a sign-in there is none, and its paths lead nowhere.
pub(crate) struct Opened(pub(crate) Arc<Authority>);

impl FromRequestParts<TokenJudge> for Opened {
    type Rejection = Response;

    async fn from_request_parts(_: &mut Parts, judge: &TokenJudge) -> Result<Self, Response> {
        judge.authority().cloned().map(Self).ok_or_else(|| public_document(None))
    }
}

/// The endpoints. Those for programs may be called by web pages of any origin (MCP clients in browsers); those for people
/// may not.
pub fn router(judge: TokenJudge) -> Router {
    let for_programs = Router::new()
        .route("/.well-known/oauth-protected-resource", get(only_protected_resource))
        .route("/.well-known/oauth-protected-resource/{*route}", get(protected_resource))
        .route("/.well-known/oauth-authorization-server", get(authorization_server))
        .route("/.well-known/oauth-authorization-server/{*route}", get(authorization_server_of))
        .route("/.well-known/openid-configuration", get(authorization_server))
        .route("/.well-known/openid-configuration/{*route}", get(authorization_server_of))
        .route("/oauth/jwks", get(jwks))
        .route("/oauth/register", post(register).layer(DefaultBodyLimit::max(register::LARGEST)))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .layer(cors());
    let for_people = Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize_by_form))
        .route("/oauth/authorize/{*route}", get(authorize_at).post(authorize_at_by_form))
        .route("/oauth/consent", post(consent))
        .route("/oauth/callback", get(callback))
        .route("/oauth/dev-login", get(dev_login_page).post(dev_login))
        .route("/oauth/logout", get(logout_page).post(logout))
        .layer(from_fn_with_state(judge.clone(), admit_visitor))
        .route("/oauth/style.css", get(pages::style));
    for_programs
        .merge(for_people)
        .route("/oauth/introspect", post(introspect))
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .with_state(judge)
}

/// People, and whoever pretends to be one, come only so often from one address.
pub(crate) async fn admit_visitor(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    if authority.throttle.admits_request(visitor.address) {
        next.run(request).await
    } else {
        pages::trouble(&visitor, &pages::Trouble::TooMany)
    }
}

/// For endpoints that web pages of any origin may call.
pub(crate) fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, ACCEPT, HeaderName::from_static("mcp-protocol-version")])
        .expose_headers([WWW_AUTHENTICATE])
        .max_age(std::time::Duration::from_hours(1))
}

/// A path below a well-known one, as a route's path.
fn route_of(path: &str) -> String {
    format!("/{path}")
}

async fn only_protected_resource(State(judge): State<TokenJudge>) -> Response {
    public_document(judge.resources().and_then(Resources::only_protected_resource))
}

async fn protected_resource(State(judge): State<TokenJudge>, Path(route): Path<String>) -> Response {
    public_document(judge.resources().and_then(|resources| resources.protected_resource(&route_of(&route))))
}

async fn authorization_server(Opened(authority): Opened) -> Response {
    public_document(authority.authorization_server(None))
}

async fn authorization_server_of(Opened(authority): Opened, Path(route): Path<String>) -> Response {
    public_document(authority.authorization_server(Some(&route_of(&route))))
}

/// The document of a route's own issuer where OpenID Connect Discovery §4 puts it: behind the issuer's path. No pattern
/// of the router can say that.
pub fn openid_configuration_below(judge: &TokenJudge, path: &str) -> Option<Response> {
    let route = path.strip_suffix("/.well-known/openid-configuration")?;
    let document = judge.authority()?.authorization_server(Some(route))?;
    Some(public_document(Some(document)))
}

async fn jwks(Opened(authority): Opened) -> Response {
    public_document(Some(authority.jwks()))
}

async fn register(Opened(authority): Opened, Extension(visitor): Extension<Visitor>, body: Bytes) -> Response {
    authority.register(&visitor, &body).await.into_response()
}

async fn token(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.token(&visitor, query.as_deref(), &headers, &body).await.into_response()
}

async fn revoke(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.revoke(&visitor, &headers, &body).await.into_response()
}

async fn introspect(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.introspect(&visitor, &headers, &body).await.into_response()
}

async fn authorize(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    authority.authorize(&visitor, None, query.as_deref().unwrap_or_default(), &headers).await
}

async fn authorize_at(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    Path(route): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    authority.authorize(&visitor, Some(route_of(&route)), query.as_deref().unwrap_or_default(), &headers).await
}

async fn authorize_by_form(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: String,
) -> Response {
    authority.authorize(&visitor, None, &body, &headers).await
}

async fn authorize_at_by_form(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    Path(route): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    authority.authorize(&visitor, Some(route_of(&route)), &body, &headers).await
}

async fn consent(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.consent(&visitor, &headers, &body).await
}

async fn callback(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    authority.callback(&visitor, query.as_deref().unwrap_or_default(), &headers).await
}

async fn dev_login_page(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    authority.dev_login_page(&visitor, query.as_deref().unwrap_or_default())
}

async fn dev_login(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.dev_login(&visitor, &headers, &body).await
}

async fn logout_page(Opened(authority): Opened) -> Response {
    authority.logout_page()
}

async fn logout(
    Opened(authority): Opened,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authority.logout(&visitor, &headers, &body).await
}
