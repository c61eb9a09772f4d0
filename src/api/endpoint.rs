//! One endpoint: declared by a line of the table and a function whose types say what it takes and gives.

use std::{any::TypeId, fmt, pin::Pin, sync::Arc, time::Duration};

use axum::{
    RequestPartsExt,
    body::{Body, to_bytes},
    extract::{Path, Query},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::CONTENT_ENCODING, request::Parts};
use portcullis_policies::kit::{
    headers::media_type,
    refusal::{Reason, Refusal},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    door::Holder,
    office::Foundation,
    table::{Operation, Scope},
};

/// Bytes of a body at most, and how long it may take to come.
pub(super) const LARGEST: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// No parameters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A request to an endpoint: who asks, and what is said in the path, the query and the body.
#[derive(Debug)]
pub(super) struct Ask<P = Nothing, Q = Nothing, B = Nothing> {
    pub(super) house: Foundation,
    pub(super) holder: Holder,
    pub(super) path: P,
    pub(super) query: Q,
    pub(super) body: B,
}

type Running = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;
type Run = dyn Fn(Foundation, Holder, Parts, Body) -> Running + Send + Sync;

/// What an endpoint takes and gives, as schemas.
pub(super) struct Shapes {
    pub(super) path: Schema,
    pub(super) query: Schema,
    pub(super) body: Option<Schema>,
    pub(super) answer: Schema,
}

/// One endpoint.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) scope: Scope,
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) status: StatusCode,
    pub(super) shapes: fn(&mut SchemaGenerator) -> Shapes,
    run: Arc<Run>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What stands in a request.
pub(super) trait Input: DeserializeOwned + JsonSchema + Send + 'static {}
impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for T {}

/// The endpoint that `run` answers.
pub(super) fn endpoint<P: Input, Q: Input, B: Input, A: Serialize + JsonSchema, F>(
    method: Method,
    path: &'static str,
    scope: Scope,
    name: &'static str,
    summary: &'static str,
    run: fn(Ask<P, Q, B>) -> F,
) -> Endpoint
where
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    let run = move |house, holder, parts, body| -> Running {
        Box::pin(async move {
            let ask = read(house, holder, parts, body).await?;
            serde_json::to_value(run(ask).await?).map_err(|error| internal(&error))
        })
    };
    let (status, shapes) = (StatusCode::OK, shapes::<P, Q, B, A>);
    Endpoint { method, path, scope, name, summary, status, shapes, run: Arc::new(run) }
}

fn shapes<P: Input, Q: Input, B: Input, A: JsonSchema>(generator: &mut SchemaGenerator) -> Shapes {
    Shapes {
        path: P::json_schema(generator),
        query: Q::json_schema(generator),
        body: takes::<B>().then(|| generator.subschema_for::<B>()),
        answer: generator.subschema_for::<A>(),
    }
}

fn takes<B: 'static>() -> bool {
    TypeId::of::<B>() != TypeId::of::<Nothing>()
}

impl Endpoint {
    /// The same with another status for what went well.
    pub(super) fn answering(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Does it.
    pub(super) fn run(&self, house: Foundation, holder: Holder, parts: Parts, body: Body) -> Running {
        (self.run)(house, holder, parts, body)
    }

    pub(super) fn operation(&self) -> Operation {
        Operation { method: self.method.clone(), path: self.path, scope: self.scope, name: self.name }
    }
}

async fn read<P: Input, Q: Input, B: Input>(
    house: Foundation,
    holder: Holder,
    mut parts: Parts,
    body: Body,
) -> Result<Ask<P, Q, B>, Refusal> {
    let query = Query::<Q>::try_from_uri(&parts.uri).map_err(|error| invalid("query", &error.body_text()))?;
    let path = parts.extract::<Path<P>>().await.map_err(|error| invalid("path", &error.body_text()))?;
    let body = read_body(&parts.headers, body).await?;
    Ok(Ask { house, holder, path: path.0, query: query.0, body })
}

/// An empty body stands for an object without members. Where nothing is to be said, what is said does not matter.
async fn read_body<B: Input>(headers: &HeaderMap, body: Body) -> Result<B, Refusal> {
    let bytes = if takes::<B>() { received(body).await? } else { Bytes::new() };
    if bytes.is_empty() {
        return serde_json::from_str("{}").map_err(|error| invalid("body", &error));
    }
    if !media_type(headers).eq_ignore_ascii_case("application/json") {
        return Err(Reason::UnsupportedMediaType.into());
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Reason::EncodedBody.into());
    }
    serde_json::from_slice(&bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => invalid("body", &error),
        _ => Refusal::new(Reason::MalformedJson, format!("The body is not JSON: {error}."))
            .with_remedy("Send one JSON object in UTF-8."),
    })
}

async fn received(body: Body) -> Result<Bytes, Refusal> {
    let received = timeout(PATIENCE, to_bytes(body, LARGEST)).await.map_err(|_| Refusal::from(Reason::BodyTooSlow))?;
    received.map_err(|_| {
        let refusal =
            Refusal::new(Reason::BodyTooLarge, format!("The body is larger than {LARGEST} bytes, or broke off."));
        refusal.with_remedy("Send less.").closing()
    })
}

fn invalid(what: &str, why: &impl fmt::Display) -> Refusal {
    Refusal::new(Reason::InvalidParams, format!("The {what} cannot be used: {why}."))
        .with_status(StatusCode::BAD_REQUEST)
        .with_remedy("`/api/v1/openapi.json` describes what it may say.")
}

/// What nobody outside can mend.
pub(super) fn internal(error: &impl fmt::Display) -> Refusal {
    tracing::error!(%error, "the API could not answer");
    Reason::Internal.into()
}
