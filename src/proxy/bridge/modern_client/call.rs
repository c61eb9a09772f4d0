//! What a client of 2026-07-28 asks, and how that is said in a session.

use portcullis_policies::kit::{
    json::Flaw,
    message::{Message, Method},
    refusal::{Reason, Refusal},
};

use super::super::{
    common::{self, Level},
    object::{Object, quoted},
};

/// What `_meta` has only since 2026-07-28. Everything else in it crosses.
const MODERN: &str = "io.modelcontextprotocol/";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Bytes of what a client declares.
const MOST: usize = 1024;
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const ELICIT: &str = "elicitation/create";

/// One request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The tool, prompt or resource, if the method has one.
    pub(super) target: Box<str>,
    /// As JSON text.
    pub(super) id: Box<str>,
    /// The progress token, as JSON text.
    pub(super) token: Option<Box<str>>,
    /// The least severe log messages that the client wants; none if it wants none.
    pub(super) log_level: Option<Level>,
    pub(super) declared: Declared,
    /// `clientInfo`, as JSON text.
    pub(super) info: Option<Box<str>>,
    /// `params` as they are in a session, as JSON text.
    pub(super) params: String,
    /// `inputResponses` and `requestState` of a retry, as JSON text.
    pub(super) responses: Option<Box<str>>,
    pub(super) state: Option<Box<str>>,
}

impl Call {
    /// Takes a request apart.
    pub(super) fn read(method: &Method, message: &Message) -> Result<Self, Refusal> {
        let wrong = |_| Refusal::from(Reason::InvalidParams);
        let mut params = Object::read(message.params().unwrap_or("{}")).map_err(wrong)?;
        let responses = params.take("inputResponses").map(Into::into);
        let state = params.take("requestState").map(Into::into);
        let meta = params.take("_meta").unwrap_or_default();
        let meta = Object::read(&meta).map_err(wrong)?;
        let capabilities = meta.get(CAPABILITIES).filter(|capabilities| capabilities.starts_with('{'));
        let Some(capabilities) = capabilities else {
            return Err(Refusal::new(Reason::InvalidParams, format!("`params._meta` must have `{CAPABILITIES}`.")));
        };
        let wanted: Option<String> = meta.parse(LOG_LEVEL);
        if let Some(meta) = without_modern(&meta) {
            params.set("_meta", meta);
        }
        Ok(Self {
            method: method.clone(),
            target: message.target().map(|(_, target)| target).unwrap_or_default().into(),
            id: message.id().unwrap_or_default().into(),
            token: meta.get("progressToken").map(Into::into),
            log_level: wanted.as_deref().and_then(common::level),
            declared: Declared::read(capabilities).map_err(wrong)?,
            info: meta.get(INFO).map(Into::into),
            params: params.to_json(),
            responses,
            state,
        })
    }

    /// The request as it is in a session.
    pub(super) fn message(&self) -> String {
        let Self { id, method, params, .. } = self;
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quoted(method.name()))
    }

    /// May its answer be that something is needed first?
    pub(super) fn may_wait(&self) -> bool {
        common::may_ask_back(&self.method)
    }
}

/// Extensions mean the same in both eras, but for tasks: those of 2025-11-25 have other rules.
pub(super) fn without_tasks(extensions: &str) -> Result<String, Flaw> {
    let mut extensions = Object::read(extensions)?;
    extensions.take(common::TASKS);
    Ok(extensions.to_json())
}

/// In which ways a client says that its person can be asked.
fn modes(askable: &[(&str, &str)]) -> &'static str {
    match (askable.contains(&(ELICIT, "form")), askable.contains(&(ELICIT, "url"))) {
        (true, true) => r#"{"form":{},"url":{}}"#,
        (false, true) => r#"{"url":{}}"#,
        _ => "{}",
    }
}

fn without_modern(meta: &Object<'_>) -> Option<String> {
    let mut left = Object::default();
    for (key, value) in meta.members().filter(|(key, _)| !key.starts_with(MODERN)) {
        left.set(key, value);
    }
    left.members().next().is_some().then(|| left.to_json())
}

/// What a client can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// As `capabilities` of `initialize`, as JSON text.
    pub(super) capabilities: Box<str>,
    /// Methods, with the mode of an elicitation.
    askable: Vec<(&'static str, &'static str)>,
}

impl Declared {
    /// Keeps what can be carried, and of what is very long only that it is there: sessions are kept by it.
    fn read(capabilities: &str) -> Result<Self, Flaw> {
        let all = Object::read(capabilities)?;
        let (mut carried, mut askable) = (Object::default(), Vec::new());
        if let Some(elicitation) = all.get("elicitation") {
            carried.set("elicitation", elicitation);
            let modes = Object::read(elicitation)?;
            let url = modes.get("url").is_some();
            // What does not say how people are asked means forms: before 2025-11-25 there was no other way.
            if modes.get("form").is_some() || !url {
                askable.push((ELICIT, "form"));
            }
            askable.extend(url.then_some((ELICIT, "url")));
        }
        if let Some(sampling) = all.get("sampling") {
            carried.set("sampling", sampling);
            askable.push(("sampling/createMessage", ""));
        }
        if all.get("roots").is_some() {
            // Whether they change is not told any more.
            carried.set("roots", "{}");
            askable.push(("roots/list", ""));
        }
        if let Some(extensions) = all.get("extensions") {
            carried.set("extensions", without_tasks(extensions)?);
        }
        let mut capabilities = carried.to_json();
        if capabilities.len() > MOST {
            let mut gist = Object::default();
            for name in carried.members().map(|(name, _)| name).filter(|name| *name != "extensions") {
                gist.set(name, if name == "elicitation" { modes(&askable) } else { "{}" });
            }
            capabilities = gist.to_json();
        }
        Ok(Self { capabilities: capabilities.into(), askable })
    }

    /// Is there anything that the client may be asked?
    pub(super) fn can_be_asked(&self) -> bool {
        !self.askable.is_empty()
    }

    /// May the client be asked this? `mode` is that of an elicitation.
    pub(super) fn allows(&self, method: &str, mode: Option<&str>) -> bool {
        let mode = if method == ELICIT { mode.unwrap_or("form") } else { "" };
        self.askable.contains(&(method, mode))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portcullis_policies::kit::json::Limits;

    use super::*;

    fn read(params: &str) -> Result<Call, Refusal> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{params}}}"#);
        let message = Message::read(Bytes::from(text), &Limits::MESSAGE).unwrap();
        Call::read(&Method::CallTool, &message)
    }

    #[test]
    fn tr_25_what_only_the_new_revision_knows_is_taken_out_and_everything_else_keeps_its_bytes() {
        let call = read(
            r#"{"name":"sum","arguments":{ "x" : 1.50 },"requestState":"s","inputResponses":{},"_meta":{
                "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
                "io.modelcontextprotocol/logLevel":"info","progressToken":7,"traceparent":"00-1-2-01"}}"#,
        );
        let call = call.unwrap();
        let params =
            r#"{"name":"sum","arguments":{ "x" : 1.50 },"_meta":{"progressToken":7,"traceparent":"00-1-2-01"}}"#;
        let message = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{params}}}"#);
        assert_eq!(call.message(), message);
        assert_eq!((call.token.as_deref(), call.log_level), (Some("7"), Some("info")));
        assert_eq!((call.state.as_deref(), call.responses.as_deref()), (Some(r#""s""#), Some("{}")));
    }

    #[test]
    fn tr_30_a_request_must_say_what_its_client_can_do() {
        let refusal = read(r#"{"name":"sum"}"#).unwrap_err();
        assert_eq!((refusal.reason(), refusal.reason().json_rpc_code()), (Reason::InvalidParams, -32602));
        assert!(refusal.message().contains("clientCapabilities"), "{}", refusal.message());
    }

    #[test]
    fn tr_30_only_what_can_be_carried_is_declared_and_nobody_is_asked_for_more() {
        let declared = |text| Declared::read(text).unwrap();
        let all = declared(
            r#"{"elicitation":{"url":{}},"roots":{"listChanged":true},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}}"#,
        );
        assert_eq!(
            &*all.capabilities,
            r#"{"elicitation":{"url":{}},"roots":{},"extensions":{"io.modelcontextprotocol/ui":{}}}"#
        );
        assert!(all.allows("elicitation/create", Some("url")) && all.allows("roots/list", None));
        assert!(!all.allows("elicitation/create", None) && !all.allows("sampling/createMessage", None));
        let forms = declared(r#"{"elicitation":{}}"#);
        assert!(forms.allows("elicitation/create", None) && !forms.allows("elicitation/create", Some("url")));
        assert!(!declared("{}").allows("elicitation/create", None));
        let long = |with: &str| {
            let (pad, sampling) = ("x".repeat(MOST), r#""sampling":{"tools":{},"pad":"#);
            Declared::read(&format!(r#"{{"elicitation":{with},{sampling}"{pad}"}},"extensions":{{"x":{{}}}}}}"#))
                .unwrap()
        };
        let gist = |with: &str| long(with).capabilities.to_string();
        assert_eq!(gist(r#"{"form":{},"url":{}}"#), r#"{"elicitation":{"form":{},"url":{}},"sampling":{}}"#);
        assert_eq!(gist(r#"{"url":{}}"#), r#"{"elicitation":{"url":{}},"sampling":{}}"#);
        assert_eq!(gist("{}"), r#"{"elicitation":{},"sampling":{}}"#);
        assert!(long("{}").allows("sampling/createMessage", None));
    }
}
