//! What callers are told.
//!
//! Arguments that do not fit are the model's to mend, so they are answered as MCP has it since 2025-11-25 ("Error Handling" of
//! tools): a result with `isError`, which clients show to the model, where a JSON-RPC error would often end the turn. All revisions
//! have such results. Everything else is nobody's in the conversation to mend, and is a JSON-RPC error.

use http::{HeaderValue, header::CONTENT_TYPE};
use serde_json::json;

use super::{
    misfit::Misfit,
    schema::{Fault, Unusable},
};
use crate::kit::{
    chain::{Arrival, Request, Response, refuse},
    credential::Connectable,
    message::speaks_modern,
    refusal::{Reason, Refusal},
    reply::Reply,
};

/// The member of a result's `_meta` that programs read.
const META: &str = "portcullis/refusal";

/// The answer to a call whose arguments do not fit.
pub(super) fn misfitting_arguments(request: &Request, misfits: &[Misfit]) -> Response {
    let reason = Reason::InvalidArguments;
    let message = request.body().message();
    let tool = message.and_then(|message| message.tool()).unwrap_or_default();
    let said = format!("The arguments do not fit the inputSchema of {tool:?}, so nothing was sent.{}", list(misfits));
    let Some((message, id)) = message.and_then(|message| Some((message, message.id()?))) else {
        return refuse(request, Refusal::new(reason, said));
    };
    let request_id = request.extensions().get::<Arrival>().map(|arrival| arrival.request_id.as_str());
    let mut meta = json!({ "reason": reason.code(), "remedy": reason.remedy(), "misfits": pointers(misfits) });
    if let Some(request_id) = request_id {
        meta["requestId"] = request_id.into();
    }
    let content = json!([{ "type": "text", "text": said }]);
    let mut result = json!({ "content": content, "isError": true, "_meta": { META: meta } });
    if speaks_modern(message, request.headers()) {
        result["resultType"] = "complete".into();
    }
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut response = Response::new(Reply::Full(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(reason);
    response
}

/// No to a call that cannot be compared with a schema of its tool (`inputSchema` or `outputSchema`).
pub(super) fn uncomparable(request: &Request, schema: &str, why: &Unusable) -> Refusal {
    let tool = request.body().message().and_then(|message| message.tool()).unwrap_or_default();
    let refusal = Refusal::new(
        Reason::SchemaUnusable,
        format!("This call of {tool:?} cannot be compared with its {schema}: {why}."),
    );
    match (why, request.extensions().get::<Connectable>()) {
        (Unusable::Unknown, Some(Connectable(auth))) => {
            let connect = auth.connect_tool();
            refusal.with_remedy(format!("List the tools. If {connect:?} is among them, call that first."))
        }
        (Unusable::Unknown, None) => refusal.with_remedy("List the tools, and call one of them."),
        (Unusable::Value(_) | Unusable::TooCostly, _) => {
            refusal.with_remedy("Send shorter or simpler arguments, or ask the operator to raise `limits`.")
        }
        _ => refusal,
    }
}

/// No to a result.
pub(super) fn bad_result(tool: &str, fault: &Fault) -> Refusal {
    let message = match fault {
        Fault::Misfits(misfits) => {
            format!("The call of {tool:?} was made. Its result does not fit its outputSchema.{}", list(misfits))
        }
        Fault::Uncomparable(why) => {
            format!("The call of {tool:?} was made. Its result cannot be compared with its outputSchema: {why}.")
        }
    };
    Refusal::new(Reason::InvalidResult, message)
}

/// For the log.
pub(super) fn why(fault: &Fault) -> String {
    match fault {
        Fault::Misfits(misfits) => format!("it does not fit{}", list(misfits).replace('\n', " ")),
        Fault::Uncomparable(why) => why.to_string(),
    }
}

fn list(misfits: &[Misfit]) -> String {
    misfits.iter().fold(String::new(), |list, misfit| list + &format!("\n- {misfit}"))
}

fn pointers(misfits: &[Misfit]) -> Vec<&str> {
    misfits.iter().map(|misfit| misfit.at.as_str()).collect()
}
