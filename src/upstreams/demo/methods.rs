//! Which method goes where: the whole surface of the server in one match.

use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

use super::{call::Call, completion, fault::Fault, hello, listen, prompts, resources, tools, version::Era};

/// Answers a judged request.
pub(super) async fn answer(call: Call) -> Result<Response<Body>, Fault> {
    let result = match (call.era, call.method.as_str()) {
        (Era::Legacy, "initialize") => hello::initialize(&call)?,
        (Era::Legacy, "ping") => json!({}),

        (Era::Modern, "server/discover") => hello::discover(),
        (Era::Modern, "subscriptions/listen") => return listen::open(call, listen::KEEP_ALIVE),

        (_, "tools/list") => only_page(&call, json!({ "tools": tools::list(call.visitor.as_deref()) }))?,
        (_, "tools/call") => return tools::call(call).await,
        (_, "resources/list") => resources::list(&call)?,
        (_, "resources/templates/list") => only_page(&call, resources::templates())?,
        (_, "resources/read") => resources::read(&call)?,
        (_, "prompts/list") => only_page(&call, prompts::list())?,
        (_, "prompts/get") => prompts::get(&call)?,
        (_, "completion/complete") => completion::complete(&call)?,

        (era, unknown) => return Err(Fault::unknown_method(era, unknown)),
    };
    Ok(call.respond(result))
}

/// The one place where a client may continue a list.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) cursor: Option<String>,
}

/// A list that fits on one page. We never handed out a cursor for it, so any cursor is invalid.
fn only_page(call: &Call, list: serde_json::Value) -> Result<serde_json::Value, Fault> {
    match call.params.parse::<Page>()?.cursor {
        None => Ok(list),
        Some(_) => Err(Fault::invalid_params("unknown cursor")),
    }
}
