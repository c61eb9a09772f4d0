//! Which of the console's paths goes where.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Extension, FromRequestParts, Path, RawQuery},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE, request::Parts};
use portcullis_policies::kit::approval::Approver;
use serde_json::json;

use super::{approvals, audit, callback, connect, connections, pins, sign_in, trouble::or_trouble};
use crate::{
    approvals::{self as waiting, ApprovalDesk},
    oauth::{Authority, LARGEST_FORM, Opened, TokenJudge, Visitor, admit_visitor, cors, public_document},
    store::{self, Store, Tenant},
    upstreams::connections::{self as kept, ConnectionBook},
};

/// What the pages stand on.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Signs people in.
    pub tokens: TokenJudge,
    /// People's connections.
    pub connections: kept::Handle,
    /// Calls that wait.
    pub approvals: waiting::Handle,
    /// Where everything is kept.
    pub store: store::Handle,
    /// Who may see the audit log and approve tools.
    pub operators: Arc<[Approver]>,
}

/// The console, once the gateway has a store; before, its paths lead nowhere.
pub(super) struct Console {
    pub(super) authority: Arc<Authority>,
    pub(super) book: ConnectionBook,
    pub(super) desk: ApprovalDesk,
    pub(super) store: Store,
    pub(super) tenant: Tenant,
    pub(super) operators: Arc<[Approver]>,
}

impl FromRequestParts<Foundation> for Console {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, house: &Foundation) -> Result<Self, Response> {
        let Opened(authority) = Opened::from_request_parts(parts, &house.tokens).await?;
        let book = house.connections.book().cloned().ok_or_else(|| public_document(None))?;
        let desk = house.approvals.desk().cloned().ok_or_else(|| public_document(None))?;
        let (store, tenant) = house.store.store().cloned().ok_or_else(|| public_document(None))?;
        Ok(Self { authority, book, desk, store, tenant, operators: Arc::clone(&house.operators) })
    }
}

/// The pages, and the documents by which upstreams know the gateway.
pub fn router(house: Foundation) -> Router {
    let for_people = Router::new()
        .route("/connect/{token}", get(connect_page).post(connect))
        .route("/connect/callback/{upstream}", get(callback))
        .route("/connections", get(connections_page).post(change_connections))
        .route("/approvals", get(approvals_page).post(change_approvals))
        .route("/approvals/{number}", get(approval_page).post(decide_approval))
        .route("/audit", get(audit_page).post(sign_in_operator))
        .route("/audit/{chain}/{number}", get(audit_row).post(sign_in_operator))
        .route("/pins", get(pins_page).post(sign_in_operator))
        .route("/pins/{id}", get(pin_page).post(decide_pin))
        .layer(from_fn_with_state(house.tokens.clone(), admit_visitor))
        .layer(DefaultBodyLimit::max(LARGEST_FORM));
    let for_programs = Router::new().route("/.well-known/oauth-client/{upstream}", get(client_document)).layer(cors());
    for_people.merge(for_programs).with_state(house)
}

async fn connect_page(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, connect::page(&console, &visitor, &token, &headers).await)
}

async fn connect(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, connect::decide(&console, &visitor, &token, &headers, &body).await)
}

async fn callback(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(upstream): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    or_trouble(&visitor, callback::come_back(&console, &visitor, &upstream, &query, &headers).await)
}

async fn connections_page(console: Console, Extension(visitor): Extension<Visitor>, headers: HeaderMap) -> Response {
    or_trouble(&visitor, connections::page(&console, &headers).await)
}

async fn change_connections(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, connections::change(&console, &headers, &body).await)
}

async fn approvals_page(console: Console, Extension(visitor): Extension<Visitor>, headers: HeaderMap) -> Response {
    or_trouble(&visitor, approvals::list(&console, &headers).await)
}

async fn change_approvals(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, sign_in::change(&console, waiting::PAGE, &headers, &body).await)
}

async fn approval_page(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, approvals::page(&console, numbered(&number), &headers).await)
}

async fn decide_approval(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, approvals::decide(&console, numbered(&number), &headers, &body).await)
}

async fn audit_page(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, audit::list(&console, &query.unwrap_or_default(), &headers).await)
}

async fn audit_row(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path((chain, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, audit::row(&console, (&chain, numbered(&number)), &headers).await)
}

async fn pins_page(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, pins::list(&console, &query.unwrap_or_default(), &headers).await)
}

async fn pin_page(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    or_trouble(&visitor, pins::page(&console, &id, &headers).await)
}

async fn decide_pin(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, pins::decide(&console, &id, &headers, &body).await)
}

async fn sign_in_operator(
    console: Console,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    or_trouble(&visitor, sign_in::change(&console, uri.path(), &headers, &body).await)
}

/// What is no number names no call.
fn numbered(number: &str) -> i64 {
    number.parse().unwrap_or(0)
}

/// The gateway's client-id metadata document for one upstream: its id there is the address of this document.
async fn client_document(console: Console, Path(upstream): Path<String>) -> Response {
    match console.book.client_document(&upstream) {
        Some(document) => public_document(Some(document)),
        None => {
            let why = json!({ "error": "not_found", "error_description": "no upstream of this gateway has this id" });
            (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "application/json")], why.to_string()).into_response()
        }
    }
}
