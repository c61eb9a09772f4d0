//! What an upstream with sessions answers, as an answer of 2026-07-28.

use http::StatusCode;
use portcullis_policies::kit::{json::Flaw, message::Method, refusal::code};

use super::{
    super::object::{Object, quoted},
    ask,
    call::Call,
    warm::Warm,
};

/// "Resource not found" before 2026-07-28.
const RESOURCE_NOT_FOUND: i32 = -32002;
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// An answer for the client.
pub(super) struct Answered {
    pub(super) message: String,
    /// If not the one that came.
    pub(super) status: Option<StatusCode>,
}

impl Answered {
    /// Translates the answer to `call`.
    pub(super) fn to(call: &Call, warm: &Warm, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        // What is no message is for policies and clients to refuse, as it would be from any other upstream.
        translate(call, warm, &text).unwrap_or_else(|_| Self { message: text.clone().into_owned(), status: None })
    }
}

fn translate(call: &Call, warm: &Warm, text: &str) -> Result<Answered, Flaw> {
    let mut message = Object::read(text)?;
    if message.get("id").is_some() {
        // The answer to a retry is that of the call which it goes on with.
        message.set("id", &*call.id);
    }
    let mut status = None;
    if let Some(result) = message.take("result") {
        message.set("result", complete(call, warm.server_info.as_deref(), &result)?);
    } else if let Some(error) = message.take("error") {
        match ask::required(call, &error)? {
            Some(result) => message.set("result", result),
            None => {
                let mut error = Object::read(&error)?;
                let code = translated(error.parse("code").unwrap_or(code::INTERNAL_ERROR));
                status = (code == code::METHOD_NOT_FOUND).then_some(StatusCode::NOT_FOUND);
                error.set("code", code.to_string());
                message.set("error", error.to_json());
            }
        }
    }
    Ok(Answered { message: message.to_json(), status })
}

/// The code of the same error since 2026-07-28. Whoever declared no way to open a page is told which one in the error's text.
fn translated(code: i32) -> i32 {
    match code {
        RESOURCE_NOT_FOUND => code::INVALID_PARAMS,
        code::URL_ELICITATION_REQUIRED => code::INTERNAL_ERROR,
        other => other,
    }
}

/// A result with what every result has since 2026-07-28.
pub(super) fn complete(call: &Call, server_info: Option<&str>, result: &str) -> Result<String, Flaw> {
    let mut result = Object::read(result)?;
    set_if_missing(&mut result, "resultType", r#""complete""#);
    if is_cacheable(&call.method) {
        // An upstream that says nothing of it has not said that others may see it, or that it stays as it is.
        set_if_missing(&mut result, "ttlMs", "0");
        set_if_missing(&mut result, "cacheScope", r#""private""#);
    }
    if let Some(server_info) = server_info {
        let meta = result.take("_meta").unwrap_or_default();
        let mut meta = Object::read(&meta)?;
        set_if_missing(&mut meta, SERVER_INFO, server_info);
        let meta = meta.to_json();
        result.set("_meta", meta);
    }
    Ok(result.to_json())
}

fn set_if_missing<'a>(object: &mut Object<'a>, key: &'a str, value: &'a str) {
    if object.get(key).is_none() {
        object.set(key, value);
    }
}

/// Must the result say for how long and for whom it is good (MCP 2026-07-28, "Caching")?
fn is_cacheable(method: &Method) -> bool {
    method.is_list() || matches!(method, Method::Discover | Method::ReadResource)
}

/// The answer to `call` with this result, as JSON text.
pub(super) fn result(call: &Call, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, call.id)
}

/// An error for the upstream, whose request `id` is.
pub(super) fn refuse(id: &str, code: i32, why: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}}}}}"#, quoted(why))
}
