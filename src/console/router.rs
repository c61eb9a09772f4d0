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
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts};
use serde_json::json;

use super::{approvals, callback, connect, connections, trouble::or_trouble};
use crate::{
    approvals::{ApprovalDesk, Handle as Desk},
    oauth::{Authority, LARGEST_FORM, Opened, TokenJudge, Visitor, admit_visitor, cors, public_document},
    upstreams::connections::{ConnectionBook, Handle},
};

/// What the pages stand on.
#[derive(Clone)]
struct Parlour {
    tokens: TokenJudge,
    book: Handle,
    desk: Desk,
}

/// The console, once the gateway has a store; before, its paths lead nowhere.
pub(super) struct Console {
    pub(super) authority: Arc<Authority>,
    pub(super) book: ConnectionBook,
    pub(super) desk: ApprovalDesk,
}

impl FromRequestParts<Parlour> for Console {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, parlour: &Parlour) -> Result<Self, Response> {
        let Opened(authority) = Opened::from_request_parts(parts, &parlour.tokens).await?;
        let book = parlour.book.book().cloned().ok_or_else(|| public_document(None))?;
        let desk = parlour.desk.desk().cloned().ok_or_else(|| public_document(None))?;
        Ok(Self { authority, book, desk })
    }
}

/// The pages, and the documents by which upstreams know the gateway.
pub fn router(tokens: TokenJudge, book: Handle, desk: Desk) -> Router {
    let for_people = Router::new()
        .route("/connect/{token}", get(connect_page).post(connect))
        .route("/connect/callback/{upstream}", get(callback))
        .route("/connections", get(connections_page).post(change_connections))
        .route("/approvals", get(approvals_page).post(change_approvals))
        .route("/approvals/{number}", get(approval_page).post(decide_approval))
        .layer(from_fn_with_state(tokens.clone(), admit_visitor))
        .layer(DefaultBodyLimit::max(LARGEST_FORM));
    let for_programs = Router::new().route("/.well-known/oauth-client/{upstream}", get(client_document)).layer(cors());
    for_people.merge(for_programs).with_state(Parlour { tokens, book, desk })
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
    or_trouble(&visitor, approvals::change(&console, &headers, &body).await)
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
