//! One request on its way through a method.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::{id::Id, message::Params, notebook::Notebook, reply, result, version::Era, visitor::Visitor};

/// A request that was judged, and what it may touch.
pub(super) struct Call {
    pub(super) era: Era,
    pub(super) id: Id,
    pub(super) method: String,
    pub(super) params: Params,
    pub(super) notebook: Notebook,
    pub(super) visitor: Option<Arc<Visitor>>,
}

impl Call {
    /// The answer as one JSON object.
    pub(super) fn respond(&self, result: Value) -> Response<Body> {
        reply::result(&self.id, &self.complete(result))
    }

    /// Adds what each complete result carries in this era; in the legacy era that is nothing.
    pub(super) fn complete(&self, mut result: Value) -> Value {
        if let (Era::Modern, Value::Object(members)) = (self.era, &mut result) {
            result::complete(members, &self.method);
        }
        result
    }
}
