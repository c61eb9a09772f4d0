//! What an upstream of 2026-07-28 answers, as a client of before takes it.

use bytes::Bytes;
use portcullis_policies::kit::{
    json::{Flaw, Limits, Reader},
    message::Method,
    refusal::{Addressee, Reason, Refusal, code},
    reply::{Answer, AnswerKind},
};
use serde_json::{Value, json};

use super::mirrored::{self, Mirrored};
use crate::proxy::bridge::{common, object::Object};

/// Codes that the specification keeps for itself since 2026-07-28. Clients of before know none of them.
const RESERVED: std::ops::RangeInclusive<i64> = -32099..=-32020;
const LACKS_CAPABILITY: i64 = -32021;

/// What an upstream said to a request.
#[derive(Debug)]
pub(super) enum Said {
    /// An answer, as the client may see it.
    Answer(Bytes),
    /// It wants to know something before it answers.
    InputRequired(InputRequired),
    /// Headers and body differ in its eyes, so it did nothing.
    HeadersDiffer,
}

/// What an upstream wants to know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct InputRequired {
    /// Its name for each question, and the question.
    pub(super) questions: Vec<(String, Question)>,
    /// What it wants back, as JSON text.
    pub(super) state: Option<String>,
}

/// A request to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) params: Value,
}

/// A request of the client, as far as its answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Its id, as JSON text. The answer gets it, also where the upstream was asked again under another one.
    pub(super) to: Addressee<'a>,
}

impl Asked<'_> {
    /// Reads an answer. `learn` is told the parameters of each listed tool that must stand in headers.
    pub(super) fn read(&self, bytes: &[u8], learn: impl FnMut(&str, Vec<Mirrored>)) -> Result<Said, Refusal> {
        let answer = Answer::read(bytes).map_err(|flaw| unclear(&flaw))?;
        let payload = answer.payload().map(|span| span.of(bytes)).unwrap_or_default();
        let payload = std::str::from_utf8(payload).unwrap_or_default();
        match answer.kind() {
            AnswerKind::Result => self.result(payload, learn),
            AnswerKind::Error => self.error(payload),
            AnswerKind::Request | AnswerKind::Notification => Err(Reason::UpstreamInvalid.into()),
        }
    }

    fn result(&self, payload: &str, learn: impl FnMut(&str, Vec<Mirrored>)) -> Result<Said, Refusal> {
        let mut result = Object::read(payload).map_err(|flaw| unclear(&flaw))?;
        match result.parse::<String>("resultType").as_deref() {
            Some("input_required") if self.may_be_asked() => return Ok(Said::InputRequired(questions(&result)?)),
            Some("complete") => {}
            None if result.get("resultType").is_none() => {}
            other => {
                let why = format!("The upstream answered with a result of the kind {:?}.", other.unwrap_or("?"));
                return Err(Refusal::new(Reason::UpstreamInvalid, why));
            }
        }
        for key in ["resultType", "ttlMs", "cacheScope"] {
            result.take(key);
        }
        match self.method {
            Method::ListTools => tools(&mut result, learn).map_err(|flaw| unclear(&flaw))?,
            Method::CallTool => keep_objects(&mut result, "structuredContent"),
            _ => {}
        }
        Ok(Said::Answer(self.message("result", &result.to_json())))
    }

    fn error(&self, payload: &str) -> Result<Said, Refusal> {
        let error = Object::read(payload).map_err(|flaw| unclear(&flaw))?;
        let said = error.parse::<String>("message").unwrap_or_default();
        match error.parse::<i64>("code") {
            Some(code) if code == i64::from(code::HEADER_MISMATCH) => Ok(Said::HeadersDiffer),
            Some(LACKS_CAPABILITY) => {
                let data = error.parse::<Value>("data").unwrap_or_default();
                let needed = data["requiredCapabilities"].as_object();
                let names = needed.map(|needed| needed.keys().cloned().collect::<Vec<_>>().join(", "));
                Err(lacking(&names.unwrap_or(said)))
            }
            Some(code) if RESERVED.contains(&code) => {
                let why = format!("The upstream refused the request: {said}");
                let data = error.parse::<Value>("data").unwrap_or_default();
                let told = json!({ "code": code, "data": data });
                Err(Refusal::new(Reason::UpstreamInvalid, why).with_data("upstreamError", told))
            }
            _ => Ok(Said::Answer(self.message("error", payload))),
        }
    }

    /// Only these may ask back (MCP 2026-07-28, "Multi Round-Trip Requests").
    fn may_be_asked(&self) -> bool {
        common::may_ask_back(self.method)
    }

    fn message(&self, member: &str, payload: &str) -> Bytes {
        let id = self.to.id.unwrap_or("null");
        format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{payload}}}"#).into()
    }

    /// Does a model get to read it, as the result of its call?
    pub(super) fn is_for_models(&self, refusal: &Refusal) -> bool {
        *self.method == Method::CallTool && matches!(refusal.reason(), Reason::ClientLacks | Reason::NoInput)
    }

    /// The answer where there is none. What a person or a model could do about, a model gets to read.
    pub(super) fn refused(&self, refusal: &Refusal) -> Bytes {
        if self.is_for_models(refusal) {
            let text = format!("{} {}", refusal.message(), refusal.reason().remedy());
            let result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            return self.message("result", &result.to_string());
        }
        refusal.body(self.to)
    }
}

/// The client did not declare what the upstream needs of it.
pub(super) fn lacking(what: &str) -> Refusal {
    let why =
        format!("The upstream needs something of the client that it did not declare: {}.", what.trim_end_matches('.'));
    Refusal::new(Reason::ClientLacks, why)
}

fn unclear(flaw: &Flaw) -> Refusal {
    Refusal::new(Reason::UpstreamInvalid, format!("The upstream's answer cannot be read: {flaw}."))
}

fn questions(result: &Object<'_>) -> Result<InputRequired, Refusal> {
    let asked = Object::read(result.get("inputRequests").unwrap_or_default()).map_err(|flaw| unclear(&flaw))?;
    let state = result.get("requestState").map(ToOwned::to_owned);
    let mut questions = Vec::new();
    for (name, question) in asked.members() {
        let mut question: Value = serde_json::from_str(question).unwrap_or_default();
        let Some(method) = question["method"].as_str().map(ToOwned::to_owned) else {
            return Err(Refusal::new(
                Reason::UpstreamInvalid,
                "The upstream asks the client something without a method.",
            ));
        };
        questions.push((name.to_owned(), Question { method, params: question["params"].take() }));
    }
    if questions.is_empty() && state.is_none() {
        return Err(Refusal::new(Reason::UpstreamInvalid, "The upstream needs input and does not say which."));
    }
    Ok(InputRequired { questions, state })
}

/// Tools that break the rules of annotations are taken out, as clients of 2026-07-28 do it; output that is no object,
/// which older revisions do not have, is not promised.
fn tools(result: &mut Object<'_>, mut learn: impl FnMut(&str, Vec<Mirrored>)) -> Result<(), Flaw> {
    let Some(list) = result.get("tools") else { return Ok(()) };
    let has = |word: &str| list.contains(word);
    if !has("x-mcp-header") && !has("outputSchema") {
        return Ok(());
    }
    let mut kept = Vec::new();
    for item in items(list)? {
        let tool: Value = serde_json::from_str(item).unwrap_or_default();
        let name = tool["name"].as_str().unwrap_or_default();
        match mirrored::of_tool(&tool) {
            Ok(parameters) => learn(name, parameters),
            Err(why) => {
                tracing::warn!(tool = name, "the upstream's tool is left out of its list: {why}");
                continue;
            }
        }
        let mut item = Object::read(item)?;
        if tool["outputSchema"]["type"] != "object" {
            item.take("outputSchema");
        }
        kept.push(item.to_json());
    }
    let kept = format!("[{}]", kept.join(","));
    result.set("tools", kept);
    Ok(())
}

/// The items of an array, as JSON text.
fn items(list: &str) -> Result<Vec<&str>, Flaw> {
    let mut items = Vec::new();
    let mut reader = Reader::new(list, &Limits::ANSWER);
    reader.array(|reader| {
        let item = reader.value()?;
        items.push(list.get(item.range()).unwrap_or_default());
        Ok(())
    })?;
    Ok(items)
}

fn keep_objects(result: &mut Object<'_>, key: &str) {
    if result.get(key).is_some_and(|value| !value.starts_with('{')) {
        result.take(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, message: &Value) -> Result<Said, Refusal> {
        let to = Addressee { id: Some("\"mine\""), request_id: None };
        Asked { method, to }.read(message.to_string().as_bytes(), |_, _| {})
    }

    fn answer(method: &Method, message: &Value) -> Value {
        let Said::Answer(answer) = read(method, message).unwrap() else { panic!("no answer") };
        serde_json::from_slice(&answer).unwrap()
    }

    fn result(result: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": "again", "result": result })
    }

    fn error(code: i64, data: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": "again", "error": { "code": code, "message": "No.", "data": data } })
    }

    #[test]
    fn tr_22_an_answer_has_the_clients_id_and_nothing_that_its_revision_does_not_have() {
        let listed = result(&json!({ "resultType": "complete", "ttlMs": 1, "cacheScope": "public", "prompts": [] }));
        let shown = json!({ "jsonrpc": "2.0", "id": "mine", "result": { "prompts": [] } });
        assert_eq!(answer(&Method::ListPrompts, &listed), shown);
        assert_eq!(answer(&Method::ListPrompts, &result(&json!({ "prompts": [] }))), shown, "absent means complete");
    }

    #[test]
    fn a_result_of_another_kind_is_an_error() {
        for kind in [json!("task"), json!("input_required"), json!(7)] {
            let refusal = read(&Method::ListTools, &result(&json!({ "resultType": kind, "tools": [] }))).unwrap_err();
            assert_eq!(refusal.reason(), Reason::UpstreamInvalid, "{kind}");
        }
    }

    #[test]
    fn tr_25_errors_of_2026_are_not_shown_to_clients_of_before() {
        for code in [-32022, -32050, -32099] {
            let refusal = read(&Method::CallTool, &error(code, &json!({ "why": "tea" }))).unwrap_err();
            assert_eq!(refusal.reason(), Reason::UpstreamInvalid);
            let told: Value = serde_json::from_slice(&refusal.body(Addressee::default())).unwrap();
            assert_eq!(told["error"]["code"], -32603, "programs read the code of their own era");
            let upstream = json!({ "code": code, "data": { "why": "tea" } });
            assert_eq!(told["error"]["data"]["upstreamError"], upstream, "people and logs find what it was");
        }
        assert!(matches!(read(&Method::CallTool, &error(-32020, &Value::Null)), Ok(Said::HeadersDiffer)));
        let plain = error(-32602, &json!({ "uri": "a" }));
        assert_eq!(answer(&Method::ReadResource, &plain)["error"], plain["error"]);
    }

    #[test]
    fn tr_30_a_model_reads_which_capability_is_missing() {
        let lacks = error(-32021, &json!({ "requiredCapabilities": { "sampling": {} } }));
        let refusal = read(&Method::CallTool, &lacks).unwrap_err();
        let asked = |method| Asked { method, to: Addressee { id: Some("1"), request_id: None } };
        let call: Value = serde_json::from_slice(&asked(&Method::CallTool).refused(&refusal)).unwrap();
        assert_eq!(call["result"]["isError"], true);
        assert!(call["result"]["content"][0]["text"].as_str().unwrap().contains("sampling"));
        let prompt: Value = serde_json::from_slice(&asked(&Method::GetPrompt).refused(&refusal)).unwrap();
        assert_eq!(prompt["error"]["data"]["reason"], "client_lacks_capability");
    }

    #[test]
    fn fault_an_upstream_that_needs_something_may_say_it_in_any_shape() {
        let shapes = [
            json!("sampling"),
            json!(["sampling"]),
            json!(7),
            json!(true),
            Value::Null,
            json!({ "requiredCapabilities": "sampling" }),
        ];
        for data in shapes {
            let refusal = read(&Method::CallTool, &error(-32021, &data)).unwrap_err();
            assert_eq!(refusal.reason(), Reason::ClientLacks, "{data}");
            assert!(refusal.message().ends_with("declare: No."), "{}", refusal.message());
        }
    }

    #[test]
    fn what_is_asked_is_read_with_its_state() {
        let asks = json!({ "resultType": "input_required", "requestState": "a\"b",
            "inputRequests": { "who": { "method": "roots/list" } } });
        let Ok(Said::InputRequired(input)) = read(&Method::CallTool, &result(&asks)) else { panic!() };
        let roots = Question { method: "roots/list".into(), params: Value::Null };
        let state = Some(r#""a\"b""#.to_owned());
        assert_eq!(input, InputRequired { questions: vec![("who".into(), roots)], state });
        assert!(read(&Method::CallTool, &result(&json!({ "resultType": "input_required" }))).is_err());
    }

    #[test]
    fn tr_28_a_tool_that_breaks_the_rules_leaves_the_list_and_what_is_learnt_is_told() {
        let tool = |name: &str, kind: &str| {
            let annotated = json!({ "type": kind, "x-mcp-header": "Region" });
            json!({ "name": name, "inputSchema": { "type": "object", "properties": { "r": annotated } } })
        };
        let mut arrays = tool("arrays", "string");
        arrays["outputSchema"] = json!({ "type": "array" });
        let list = result(&json!({ "tools": [tool("good", "string"), tool("bad", "number"), arrays] }));
        let mut learnt = Vec::new();
        let to = Addressee { id: Some("1"), request_id: None };
        let asked = Asked { method: &Method::ListTools, to };
        let said = asked.read(list.to_string().as_bytes(), |name, found| learnt.push((name.to_owned(), found.len())));
        let Ok(Said::Answer(answer)) = said else { panic!() };
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["result"]["tools"], json!([tool("good", "string"), tool("arrays", "string")]));
        assert_eq!(learnt, [("good".to_owned(), 1), ("arrays".to_owned(), 1)]);
    }

    #[test]
    fn structured_content_that_is_no_object_is_left_to_the_text() {
        let called = |content: Value| result(&json!({ "content": [], "structuredContent": content }));
        assert_eq!(answer(&Method::CallTool, &called(json!([1])))["result"], json!({ "content": [] }));
        let object = answer(&Method::CallTool, &called(json!({ "n": 1 })));
        assert_eq!(object["result"]["structuredContent"], json!({ "n": 1 }));
    }
}
