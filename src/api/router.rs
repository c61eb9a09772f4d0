//! Which path goes where: made from the table.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, get, on},
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use portcullis_policies::kit::{
    chain::RequestId,
    refusal::{Addressee, Reason, Refusal},
};

use super::{
    PATH,
    door::{enter, too_many},
    endpoint::Endpoint,
    office::Foundation,
    openapi::document,
    table::table,
};
use crate::oauth::Visitor;

/// The document that describes it, for everybody.
const DOCUMENT: &str = "/openapi.json";

/// The API.
pub fn router(house: Foundation) -> Router {
    let mut paths = BTreeMap::<&str, Vec<Endpoint>>::new();
    for endpoint in table() {
        paths.entry(endpoint.path).or_default().push(endpoint);
    }
    let described: Arc<str> = document().to_string().into();
    let describe = async move || (StatusCode::OK, json_headers(), described.to_string());
    let document = get(describe).fallback(async |request: Request| not_allowed(&request, "GET, HEAD"));
    let api = Router::new().route(DOCUMENT, document);
    let api = paths.into_iter().fold(api, |api, (path, endpoints)| api.route(path, methods(endpoints)));
    let api = api.fallback(no_such_path).layer(from_fn_with_state(house.clone(), admit)).with_state(house);
    Router::new().nest(PATH, api)
}

fn methods(endpoints: Vec<Endpoint>) -> MethodRouter<Foundation> {
    let allowed = allowed(&endpoints);
    let refuse = async move |request: Request| not_allowed(&request, &allowed);
    endpoints.into_iter().fold(MethodRouter::new().fallback(refuse), |methods, endpoint| {
        // Each method of the table has a filter.
        let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else { return methods };
        let endpoint = Arc::new(endpoint);
        methods.merge(on(filter, async move |State(house): State<Foundation>, request: Request| {
            serve(&endpoint, house, request).await
        }))
    })
}

fn allowed(endpoints: &[Endpoint]) -> String {
    let names = |endpoint: &Endpoint| match endpoint.method {
        Method::GET => "GET, HEAD".to_owned(),
        ref other => other.to_string(),
    };
    endpoints.iter().map(names).collect::<Vec<_>>().join(", ")
}

/// Programs, like everybody, come only so often from one address.
async fn admit(State(house): State<Foundation>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Visitor>().map(|visitor| visitor.address);
    let admits = |address| house.tokens.authority().is_none_or(|authority| authority.admits(address));
    if address.is_none_or(admits) { next.run(request).await } else { refuse(&request, too_many()) }
}

async fn serve(endpoint: &Endpoint, house: Foundation, request: Request) -> Response {
    let id = request_id(&request);
    let (parts, body) = request.into_parts();
    let outcome = answer(endpoint, house, parts, body).await;
    outcome.unwrap_or_else(|refusal| problem(refusal, id.as_ref()))
}

async fn answer(
    endpoint: &Endpoint,
    house: Foundation,
    parts: http::request::Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let holder = enter(&house, &parts, endpoint.scope).await?;
    let (key, path, request) = (holder.id().to_owned(), parts.uri.path().to_owned(), parts.extensions.get().copied());
    let said = endpoint.run(house, holder, parts, body).await?;
    if endpoint.method != Method::GET {
        let request = request.as_ref().map(RequestId::as_str);
        tracing::info!(key, request, operation = endpoint.name, path, "changed by the API");
    }
    Ok((endpoint.status, json_headers(), said.to_string()).into_response())
}

fn json_headers() -> [(http::HeaderName, &'static str); 3] {
    [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
}

async fn no_such_path(request: Request) -> Response {
    let refusal = Refusal::new(Reason::RouteNotFound, "The API has no such path.");
    refuse(&request, refusal.with_remedy(format!("`{PATH}{DOCUMENT}` lists all of them.")))
}

fn not_allowed(request: &Request, allowed: &str) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let refusal = Refusal::new(Reason::MethodNotAllowed, format!("{method} is not for {PATH}{path}."));
    let refusal = refusal.with_remedy(format!("Use one of: {allowed}."));
    let value = HeaderValue::from_str(allowed).unwrap_or(HeaderValue::from_static("GET"));
    refuse(request, refusal.with_header(ALLOW, value))
}

fn refuse(request: &Request, refusal: Refusal) -> Response {
    problem(refusal, request_id(request).as_ref())
}

fn request_id(request: &Request) -> Option<RequestId> {
    request.extensions().get().copied()
}

fn problem(refusal: Refusal, request_id: Option<&RequestId>) -> Response {
    let mut response = refusal.problem(Addressee { id: None, request_id }).map(Body::from);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
