//! A client in its session, as far as the gateway knows it.

use std::sync::Arc;

use portcullis_policies::kit::message::FIRST_MODERN;
use serde_json::{Map, Value, json};

use super::super::common::{Level, TASKS};
use crate::proxy::session::Declared;

/// The revisions with sessions, newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// Bytes of JSON that a session's id carries of what the client declared; of clients that say more, only the gist is kept.
const MOST: usize = 1 << 10;

/// What stands in `_meta` of each request of 2026-07-28.
pub(super) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The session's id, as the client knows it; empty before there is one.
    pub(super) session: Arc<str>,
    /// Whose session it is; empty where nobody signs in.
    pub(super) subject: Arc<str>,
    /// The revision that was agreed on.
    pub(super) version: Arc<str>,
    pub(super) declared: Arc<Declared>,
    /// Does the upstream say when its lists change?
    pub(super) listens: bool,
    /// From which level on it wants log messages; without one it gets none.
    pub(super) log_level: Option<Level>,
}

/// The revision that a client is answered in which asks for this one.
pub(super) fn negotiate(asked: Option<&str>) -> &'static str {
    VERSIONS.into_iter().find(|version| Some(*version) == asked).unwrap_or(VERSIONS[0])
}

/// What a client said in `initialize`, as far as it is told to the upstream.
pub(super) fn declared(capabilities: Value, info: Value) -> Declared {
    let capabilities = carried(capabilities);
    let info = if info["name"].is_string() { info } else { gist_of_info(&info) };
    let length = |value: &Value| value.to_string().len();
    if length(&capabilities) + length(&info) <= MOST {
        return Declared { capabilities, info };
    }
    Declared { capabilities: gist_of_capabilities(&capabilities), info: gist_of_info(&info) }
}

/// Without what cannot be kept across the eras: tasks of either kind.
fn carried(capabilities: Value) -> Value {
    let Value::Object(mut capabilities) = capabilities else { return json!({}) };
    capabilities.retain(|name, declared| name != "tasks" && declared.is_object());
    if let Some(Value::Object(extensions)) = capabilities.get_mut("extensions") {
        extensions.remove(TASKS);
    }
    capabilities.into()
}

fn gist_of_capabilities(capabilities: &Value) -> Value {
    let mut gist = Map::new();
    for name in ["roots", "sampling", "elicitation"] {
        let Some(declared) = capabilities.get(name) else { continue };
        let short = declared.to_string().len() <= MOST / 8;
        gist.insert(name.to_owned(), if short { declared.clone() } else { json!({}) });
    }
    gist.into()
}

fn gist_of_info(info: &Value) -> Value {
    let text = |key: &str| info[key].as_str().unwrap_or("unknown").chars().take(40).collect::<String>();
    json!({ "name": text("name"), "version": text("version") })
}

impl Client {
    /// The members of `_meta` that the session stands for.
    pub(super) fn meta(&self) -> impl Iterator<Item = (&'static str, String)> {
        let members = [
            (META_VERSION, Some(Value::from(FIRST_MODERN))),
            (META_CLIENT, Some(self.declared.info.clone())),
            (META_CAPABILITIES, Some(self.declared.capabilities.clone())),
            (META_LOG_LEVEL, self.log_level.map(Value::from)),
        ];
        members.into_iter().filter_map(|(key, value)| Some((key, value?.to_string())))
    }

    /// The capability that the client would need to be asked this, if it did not declare it.
    pub(super) fn lacks(&self, method: &str, params: &Value) -> Option<&'static str> {
        let has = |pointer: &str| self.declared.capabilities.pointer(pointer).is_some();
        let (needed, declared) = match method {
            "roots/list" => ("roots", has("/roots")),
            "sampling/createMessage" if !params["tools"].is_null() => ("sampling.tools", has("/sampling/tools")),
            "sampling/createMessage" => ("sampling", has("/sampling")),
            "elicitation/create" if params["mode"] == "url" => {
                ("elicitation.url", self.knows_pages() && has("/elicitation/url"))
            }
            // Forms are what elicitation was before there were pages.
            "elicitation/create" => {
                ("elicitation.form", has("/elicitation/form") || (has("/elicitation") && !has("/elicitation/url")))
            }
            _ => ("a method of a later revision", false),
        };
        (!declared).then_some(needed)
    }

    /// Has its revision elicitation by pages, and modes?
    pub(super) fn knows_pages(&self) -> bool {
        *self.version == *VERSIONS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(version: &str, capabilities: Value) -> Client {
        let declared = declared(capabilities, json!({ "name": "story", "version": "1" }));
        Client {
            session: "s".into(),
            subject: "ada".into(),
            version: version.into(),
            declared: declared.into(),
            listens: false,
            log_level: None,
        }
    }

    #[test]
    fn tr_24_a_client_is_answered_in_its_revision_or_in_the_newest_that_has_sessions() {
        assert_eq!(negotiate(Some("2025-06-18")), "2025-06-18");
        assert_eq!(negotiate(Some("2026-07-28")), "2025-11-25");
        assert_eq!(negotiate(Some("2024-11-05")), "2025-11-25");
        assert_eq!(negotiate(None), "2025-11-25");
    }

    #[test]
    fn tr_30_capabilities_are_told_as_declared_without_what_is_not_carried() {
        let said = json!({
            "roots": { "listChanged": true }, "elicitation": {}, "tasks": { "list": {} }, "sampling": null,
            "extensions": { TASKS: {}, "io.modelcontextprotocol/ui": { "mimeTypes": [] } },
        });
        let kept = declared(said, json!({ "name": "story" })).capabilities;
        let extensions = json!({ "io.modelcontextprotocol/ui": { "mimeTypes": [] } });
        assert_eq!(kept, json!({ "roots": { "listChanged": true }, "elicitation": {}, "extensions": extensions }));
        assert_eq!(declared(Value::Null, Value::Null).capabilities, json!({}));
    }

    #[test]
    fn a_session_carries_the_gist_of_a_client_that_says_much() {
        let noise = "x".repeat(4 * MOST);
        let said = json!({ "elicitation": { "form": {}, "url": {} }, "experimental": { "noise": { "n": noise } } });
        let gist = declared(said, json!({ "name": noise, "version": "1" }));
        assert_eq!(gist.capabilities, json!({ "elicitation": { "form": {}, "url": {} } }));
        assert_eq!(gist.info, json!({ "name": "x".repeat(40), "version": "1" }));
    }

    #[test]
    fn tr_30_sb_13_a_client_is_asked_only_what_it_declared() {
        let asked = |client: &Client, params: Value| client.lacks("elicitation/create", &params);
        let forms = client("2025-06-18", json!({ "elicitation": {} }));
        assert_eq!(asked(&forms, json!({})), None);
        assert_eq!(asked(&forms, json!({ "mode": "url" })), Some("elicitation.url"));
        let pages = client("2025-11-25", json!({ "elicitation": { "url": {} } }));
        assert_eq!(asked(&pages, json!({ "mode": "url" })), None);
        assert_eq!(asked(&pages, json!({ "mode": "form" })), Some("elicitation.form"));
        let early = client("2025-06-18", json!({ "elicitation": { "url": {} } }));
        assert_eq!(asked(&early, json!({ "mode": "url" })), Some("elicitation.url"), "its revision has no pages");
        assert_eq!(pages.lacks("sampling/createMessage", &json!({})), Some("sampling"));
        assert_eq!(pages.lacks("roots/list", &Value::Null), Some("roots"));
        assert!(pages.lacks("tea/make", &Value::Null).is_some());
    }
}
