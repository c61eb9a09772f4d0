use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::{memo::Parts, *};
use crate::kit::{
    bench::{Bench, Outcome, body, connectable, events, stream},
    credential::OwnAnswer,
    policy::Severity,
    reply::{Event, EventLimits, EventReader, EventSource, Reply},
};

fn filter(options: &Value) -> Bench {
    Bench::of::<CapabilityFilter>(options)
}

fn problems(options: &Value) -> Vec<Problem> {
    crate::kit::policy::PolicyKind::of::<CapabilityFilter>().layer(options, &Host::default()).expect_err("problems")
}

/// What is exposed in most of these tests.
fn some() -> Value {
    json!({
        "tools": ["get_a", { "glob": "list_*" }],
        "prompts": ["p1"],
        "resources": ["note://1", { "glob": "doc://*.md" }],
        "resourceTemplates": ["note://{id}/text", "tree://{+path}"],
    })
}

fn is_hidden(outcome: &Outcome) -> bool {
    if outcome.reason() != Some("not_exposed") {
        return false;
    }
    assert!(!outcome.got_through(), "it reached the upstream");
    assert_eq!(outcome.status, 200);
    assert_eq!((&outcome.message()["id"], &outcome.message()["error"]["code"]), (&json!(1), &json!(-32602)));
    true
}

// Requests.

#[tokio::test]
async fn tr_26_a_hidden_tool_cannot_be_called() {
    let bench = filter(&some());
    for (name, hidden) in [
        ("get_a", false),
        ("list_", false),
        ("list_everything", false),
        ("delete_b", true),
        ("GET_A", true),
        ("get_a ", true),
        ("get_", true),
        ("xlist_a", true),
        ("list", true),
        ("get_a\0", true),
        ("", true),
        ("*", true),
    ] {
        let outcome = bench.call("tools/call", json!({ "name": name })).send().await;
        assert_eq!(is_hidden(&outcome), hidden, "{name:?}");
        assert_eq!(outcome.got_through(), !hidden, "{name:?}");
    }
}

#[tokio::test]
async fn tr_31_the_tool_that_connects_people_is_never_hidden_and_no_other_is_shown_by_its_name() {
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"connect_linear"}]}}"#;
    for (is_own, shown) in [(true, 1), (false, 0)] {
        let bench = filter(&some()).upstream(move |_: &Message| {
            let mut answer = body(list);
            if is_own {
                answer.extensions_mut().insert(OwnAnswer);
            }
            answer
        });
        let outcome = bench.call("tools/list", json!({})).fact(connectable()).send().await;
        assert_eq!(outcome.message()["result"]["tools"].as_array().unwrap().len(), shown);
        for (name, hidden) in [("connect_linear", false), ("connect_line", true), ("connect_linear2", true)] {
            let call = bench.call("tools/call", json!({ "name": name }));
            assert_eq!(is_hidden(&call.fact(connectable()).send().await), hidden, "{name}");
            assert!(is_hidden(&bench.call("tools/call", json!({ "name": name })).send().await), "{name}");
        }
    }
}

#[tokio::test]
async fn sec_escapes_do_not_hide_a_name() {
    let bench = filter(&some());
    for (text, hidden) in [(r"d\u0065lete_b", true), (r"g\u0065t_a", false)] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{{"n\u0061me":"{text}"}}}}"#);
        assert_eq!(is_hidden(&bench.post(message).send().await), hidden, "{text}");
    }
}

#[tokio::test]
async fn hidden_prompts_and_resources_cannot_be_read() {
    let bench = filter(&some());
    let cases = [
        ("prompts/get", json!({ "name": "p1" }), false),
        ("prompts/get", json!({ "name": "p2" }), true),
        ("resources/read", json!({ "uri": "note://1" }), false),
        ("resources/read", json!({ "uri": "note://2" }), true),
        ("resources/read", json!({ "uri": "NOTE://1" }), true),
        ("resources/read", json!({ "uri": "doc://a/b.md" }), false),
        ("resources/read", json!({ "uri": "doc://a.html" }), true),
        ("resources/read", json!({ "uri": "note://7/text" }), false),
        ("resources/read", json!({ "uri": "note://7/8/text" }), true),
        ("resources/read", json!({ "uri": "tree://a/b/c" }), false),
        ("resources/read", json!({ "uri": "note://{id}/text" }), false),
        ("resources/read", json!({ "uri": "note://{id}" }), true),
        ("resources/subscribe", json!({ "uri": "note://2" }), true),
        ("resources/unsubscribe", json!({ "uri": "note://1" }), false),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "p1" } }), false),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "p2" } }), true),
        ("completion/complete", json!({ "ref": { "type": "ref/resource", "uri": "note://{id}/text" } }), false),
        ("completion/complete", json!({ "ref": { "type": "ref/resource", "uri": "file:///{+path}" } }), true),
    ];
    for (method, params, hidden) in cases {
        let outcome = bench.call(method, params.clone()).send().await;
        assert_eq!(is_hidden(&outcome), hidden, "{method} {params}");
        if hidden && params["uri"].is_string() {
            assert_eq!(outcome.message()["error"]["data"]["uri"], params["uri"], "as an upstream without it would say");
        }
    }
}

#[tokio::test]
async fn what_has_no_allow_list_passes_and_an_empty_one_lets_nothing_pass() {
    let calls = [
        ("tools/call", json!({ "name": "t" })),
        ("prompts/get", json!({ "name": "p" })),
        ("resources/read", json!({ "uri": "r://1" })),
    ];
    for (options, hidden) in [
        (json!({}), [false, false, false]),
        (json!({ "tools": [] }), [true, false, false]),
        (json!({ "prompts": [] }), [false, true, false]),
        (json!({ "resources": [] }), [false, false, true]),
        (json!({ "resources": [], "resourceTemplates": ["r://{id}"] }), [false, false, false]),
        (json!({ "resourceTemplates": [] }), [false, false, false]),
    ] {
        let bench = filter(&options);
        for ((method, params), hidden) in calls.iter().zip(hidden) {
            assert_eq!(is_hidden(&bench.call(method, params.clone()).send().await), hidden, "{options} {method}");
        }
    }
}

#[tokio::test]
async fn sec_hidden_resources_cannot_be_subscribed_to_in_whatever_shape() {
    let bench = filter(&some());
    let listen = async |params: Value| is_hidden(&bench.call("subscriptions/listen", params).send().await);
    assert!(!listen(json!({})).await);
    assert!(
        !listen(json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["note://1"] } })).await
    );
    for params in [
        json!({ "notifications": { "resourceSubscriptions": ["note://1", "secret://1"] } }),
        json!({ "notifications": { "resourceSubscriptions": "secret://1" } }),
        json!({ "notifications": { "resourceSubscriptions": [{ "uri": "secret://1" }] } }),
        json!({ "notifications": { "ResourceSubscriptions": ["secret://1"] } }),
        json!({ "notifications": { "re\u{17f}ourceSubscriptions": ["secret://1"] } }),
        json!({ "resourceSubscriptions": ["secret://1"] }),
    ] {
        assert!(listen(params.clone()).await, "{params}");
    }
}

#[tokio::test]
async fn sec_a_subscription_that_cannot_be_looked_through_is_refused() {
    let filter = Arc::new(Filter::new(Allowed::new(serde_json::from_value(some()).unwrap()).unwrap()));
    let deep = "[".repeat(200) + &"]".repeat(200);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{"resourceSubscriptions":{deep}}}}}"#
    );
    let limits = crate::kit::json::Limits { depth: 500, ..crate::kit::json::Limits::MESSAGE };
    let message = Message::read(text.into(), &limits).unwrap();
    assert_eq!(filter.judge(&message, None).unwrap_err().reason(), Reason::MessageTooComplex);
}

#[tokio::test]
async fn notifications_responses_and_unreadable_requests_are_no_concern_of_the_filter() {
    let bench = filter(&json!({ "tools": [], "prompts": [], "resources": [] }));
    for message in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"name":"x","uri":"y","progressToken":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"name":"x"}}"#,
    ] {
        assert!(bench.post(message).send().await.got_through(), "{message}");
    }
    assert_eq!(bench.refused(Reason::BatchNotSupported).send().await.reason(), Some("batch_not_supported"));
}

#[tokio::test]
async fn a_refusal_does_not_say_whether_there_is_such_a_thing() {
    let upstream = filter(&some())
        .upstream(|message| body(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, message.id().unwrap())));
    let said = async |name: &str| {
        upstream.call("tools/call", json!({ "name": name })).send().await.message().to_string().replace(name, "…")
    };
    assert_eq!(said("delete_b").await, said("there_is_no_such_tool").await);
}

// Answers.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerVectors {
    options: Value,
    cases: Vec<AnswerVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnswerVector {
    id: String,
    what: String,
    method: String,
    #[serde(default = "no_params")]
    params: Value,
    #[serde(default = "one")]
    request_id: String,
    options: Option<Value>,
    /// One answer, and what becomes of it as a JSON body and as an event …
    answer: Option<String>,
    json: Option<Becomes>,
    sse: Option<Becomes>,
    /// … or the events of a stream, and those that are left of them.
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    expect_events: Vec<Expected>,
}

fn no_params() -> Value {
    json!({})
}

fn one() -> String {
    "1".to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Becomes {
    Kept,
    Refused,
    Dropped,
    #[serde(rename = "becomes")]
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Message(String),
    Refusal { refused: String },
}

impl AnswerVector {
    async fn send(&self, options: &Value, upstream: impl Fn() -> Response + Send + Sync + 'static) -> [Outcome; 2] {
        let bench = filter(self.options.as_ref().unwrap_or(options)).upstream(move |_| upstream());
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{}","params":{}}}"#,
            self.request_id, self.method, self.params
        );
        // Twice, because the second answer may come from memory.
        [bench.post(request.clone()).send().await, bench.post(request).send().await]
    }

    fn assert_refused(&self, message: &Value, about: &str) {
        assert_eq!(message["error"]["data"]["reason"], "upstream_invalid", "{about}");
        assert_eq!(message["id"], serde_json::from_str::<Value>(&self.request_id).unwrap(), "{about}");
        assert!(message["error"]["data"]["requestId"].is_string(), "{about}");
        assert!(!message.to_string().contains("delete_b"), "{about}");
    }

    async fn assert_json(&self, options: &Value, answer: &str, becomes: &Becomes, about: &str) {
        let upstream = answer.to_owned();
        for outcome in self.send(options, move || body(upstream.clone())).await {
            assert!(!outcome.streamed && outcome.got_through(), "{about}");
            match becomes {
                Becomes::Kept => assert_eq!(outcome.body, answer, "{about}"),
                Becomes::Text(text) => assert_eq!(outcome.body, text, "{about}"),
                Becomes::Refused => {
                    assert_eq!(outcome.status, 502, "{about}: {:?}", outcome.body);
                    self.assert_refused(outcome.message(), about);
                }
                Becomes::Dropped => panic!("{about}: a JSON answer cannot be dropped"),
            }
        }
    }

    async fn assert_events(&self, options: &Value, sent: &[String], expected: &[Expected], about: &str) {
        let sent = sent.to_vec();
        for outcome in self.send(options, move || stream(sent.clone())).await {
            assert!(outcome.streamed && outcome.status == 200, "{about}");
            assert_eq!(outcome.messages.len(), expected.len(), "{about}: {:?}", outcome.body);
            for ((expected, message), data) in expected.iter().zip(&outcome.messages).zip(wire(&outcome)) {
                match expected {
                    Expected::Message(text) => assert_eq!(data, *text, "{about}"),
                    Expected::Refusal { refused } => {
                        assert_eq!(message["error"]["data"]["reason"], refused.as_str(), "{about}");
                        self.assert_refused(message, about);
                    }
                }
            }
        }
    }
}

/// The data of the events that the client gets.
fn wire(outcome: &Outcome) -> Vec<String> {
    let mut reader = EventReader::new(EventLimits { event: usize::MAX, line: usize::MAX });
    reader.push(outcome.body.clone());
    std::iter::from_fn(|| reader.next_event().unwrap())
        .filter_map(|event| Some(String::from_utf8(event.data()?.to_vec()).unwrap()))
        .collect()
}

/// `tr_26` of `tests/COVERAGE.md`, with names that are hidden in answers: as a JSON body and as events.
#[tokio::test]
async fn tr_26_vec_16_vec_18_no_answer_shows_what_is_hidden() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/answers.json");
    let AnswerVectors { options, cases } = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() > 90, "{}", cases.len());
    for vector in cases {
        let about = format!("{} ({})", vector.id, vector.what);
        if let (Some(answer), Some(json), Some(sse)) = (&vector.answer, &vector.json, &vector.sse) {
            vector.assert_json(&options, answer, json, &about).await;
            let expected = match sse {
                Becomes::Kept => vec![Expected::Message(answer.clone())],
                Becomes::Text(text) => vec![Expected::Message(text.clone())],
                Becomes::Refused => vec![Expected::Refusal { refused: "upstream_invalid".to_owned() }],
                Becomes::Dropped => Vec::new(),
            };
            vector
                .assert_events(&options, std::slice::from_ref(answer), &expected, &format!("{about}, in an event"))
                .await;
        } else {
            assert!(vector.answer.is_none(), "{about}: no expectation");
            vector.assert_events(&options, &vector.events, &vector.expect_events, &about).await;
        }
    }
}

/// A stream as an upstream wrote it.
struct Written(EventReader);

impl EventSource for Written {
    fn poll_event(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Event>> {
        std::task::Poll::Ready(self.0.next_event().unwrap())
    }
}

fn written(text: &'static str) -> Response {
    let mut reader = EventReader::new(EventLimits { event: 1 << 20, line: 1 << 20 });
    reader.push(text.into());
    events(Written(reader))
}

#[tokio::test]
async fn vec_17_a_list_over_several_data_lines_is_filtered_as_the_one_message_that_it_is() {
    let bench = filter(&some()).upstream(|_| {
        written("data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"tools\":[{\"name\":\ndata:\"delete_b\"},\ndata: {\"name\":\"get_a\"}]}}\n\n")
    });
    let outcome = bench.call("tools/list", json!({})).send().await;
    assert_eq!(outcome.message()["result"], json!({ "tools": [{ "name": "get_a" }] }));
    assert_eq!(wire(&outcome).len(), 1);
}

#[tokio::test]
async fn comments_and_events_without_data_pass() {
    let bench = filter(&some()).upstream(|_| {
        written(
            ": hello\n\nid: 1\ndata:\n\nevent: x\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\n\n",
        )
    });
    let outcome = bench.call("tools/list", json!({})).send().await;
    assert!(outcome.body.starts_with(b": hello\n\nid: 1\ndata:\n\nevent: x\n\nevent: message\n"), "{:?}", outcome.body);
    assert_eq!(outcome.messages.len(), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_stays_without_one() {
    let bench = filter(&some()).upstream(|_| http::Response::new(Reply::Empty));
    let outcome = bench.call("tools/list", json!({})).send().await;
    assert!(outcome.body.is_empty() && outcome.got_through());
}

#[tokio::test]
async fn the_headers_of_a_filtered_answer_stay() {
    let bench = filter(&some()).upstream(|message| {
        let mut response = crate::kit::bench::result(message, &json!({ "tools": [{ "name": "x" }] }));
        response.headers_mut().insert("mcp-session-id", "s".parse().unwrap());
        response
    });
    let outcome = bench.call("tools/list", json!({})).send().await;
    assert_eq!((outcome.header("mcp-session-id"), &outcome.message()["result"]), (Some("s"), &json!({ "tools": [] })));
}

/// What a server says of itself, in either era.
const TOLD: &str = r#"{ "capabilities" : {"tools":{"listChanged":true} , "completions":{},"prompts":{},"resources":{"subscribe":true},"extensions":{"com.example/x":{"n":1.50}},"logging":{}},"serverInfo":{"name":"x"} ,"x":[1 ,2]}"#;

#[tokio::test]
async fn tr_24_initialize_and_discover_are_narrowed_together() {
    let cases = [
        (json!({ "tools": [] }), &["prompts", "resources"][..]),
        (json!({ "prompts": [], "tools": ["a"] }), &["tools", "resources"]),
        (json!({ "resources": [] }), &["tools", "prompts"]),
        (json!({ "resources": [], "resourceTemplates": ["r://{id}"] }), &["tools", "prompts", "resources"]),
        (json!({ "tools": [{ "glob": "a*" }], "prompts": [{ "glob": "*" }] }), &["tools", "prompts", "resources"]),
        (json!({ "tools": [], "prompts": [], "resources": [], "resourceTemplates": [] }), &[]),
        (json!({}), &["tools", "prompts", "resources"]),
    ];
    for (options, left) in cases {
        let bench = filter(&options).upstream(|_| body(answer("1", TOLD)));
        let initialize = bench.call("initialize", json!({})).send().await;
        let discover = bench.call("server/discover", json!({})).send().await;
        assert_eq!(initialize.body, discover.body, "{options}");
        let capabilities = &initialize.message()["result"]["capabilities"];
        let of_the_filter = ["tools", "prompts", "resources"].into_iter();
        let found: Vec<_> = of_the_filter.filter(|name| capabilities.get(name).is_some()).collect();
        assert_eq!(found, left, "{options}");
        for other in ["completions", "extensions", "logging"] {
            assert_eq!(capabilities[other], serde_json::from_str::<Value>(TOLD).unwrap()["capabilities"][other]);
        }
        assert!(left.len() < 3 || initialize.body == answer("1", TOLD), "nothing was taken out, so it is as it was");
    }
}

#[tokio::test]
async fn tr_24_tr_30_what_stays_of_a_server_s_words_stays_as_it_was_written() {
    let bench = filter(&json!({ "tools": [], "resources": [] })).upstream(|_| stream([answer("1", TOLD)]));
    let outcome = bench.call("initialize", json!({})).send().await;
    let narrowed = r#"{ "capabilities" : {"completions":{},"prompts":{},"extensions":{"com.example/x":{"n":1.50}},"logging":{}},"serverInfo":{"name":"x"} ,"x":[1 ,2]}"#;
    assert_eq!(wire(&outcome), [answer("1", narrowed)]);
}

#[tokio::test]
async fn tr_24_capabilities_that_could_be_read_in_two_ways_are_not_passed_on() {
    for told in [
        r#"{"capabilities":{"Tools":{}}}"#,
        r#"{"Capabilities":{"tools":{}},"capabilities":{}}"#,
        r#"{"capabilities":{"tools":{},"tools":{}}}"#,
        "[]",
    ] {
        let bench = filter(&json!({ "tools": [] })).upstream(move |_| body(answer("1", told)));
        let outcome = bench.call("server/discover", json!({})).send().await;
        assert_eq!(outcome.reason(), Some("upstream_invalid"), "{told}");
    }
    for (told, left) in [
        (r#"{"capabilities":{"tools":{"a":1},"x":{}}}"#, r#"{"capabilities":{"x":{}}}"#),
        (
            r#"{"capabilities":{"tools":{}},"cacheScope":"public","ttlMs":5}"#,
            r#"{"capabilities":{},"cacheScope":"private","ttlMs":5}"#,
        ),
        (r#"{"capabilities":null}"#, r#"{"capabilities":null}"#),
        ("{}", "{}"),
    ] {
        let bench = filter(&json!({ "tools": [] })).upstream(move |_| body(answer("1", told)));
        assert_eq!(bench.call("server/discover", json!({})).send().await.body, answer("1", left), "{told}");
    }
}

#[tokio::test]
async fn tr_26_tr_29_what_one_caller_may_read_is_for_no_cache_of_others() {
    let public = r#"{"contents":[{"uri":"note://1","text":"cacheScope"}],"ttlMs":60000,"cacheScope":"public"}"#;
    let read = json!({ "uri": "note://1" });
    let kept = filter(&json!({ "tools": ["a"] })).upstream(move |_| body(answer("1", public)));
    assert_eq!(kept.call("resources/read", read.clone()).send().await.body, answer("1", public));
    let filtered = filter(&some()).upstream(move |_| body(answer("1", public)));
    let outcome = filtered.call("resources/read", read.clone()).send().await;
    assert_eq!(outcome.body, answer("1", &public.replace(r#""public""#, r#""private""#)));
    let older = r#"{"contents":[]}"#;
    let bench = filter(&some()).upstream(move |_| body(answer("1", older)));
    assert_eq!(bench.call("resources/read", read).send().await.body, answer("1", older), "nothing is added");
}

// Memory.

const LIST: &str = r#"{"tools":[{"name":"get_a"},{"name":"delete_b"}]}"#;

fn answer(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn shared() -> Arc<Filter> {
    Arc::new(Filter::new(Allowed::new(serde_json::from_value(some()).unwrap()).unwrap()))
}

fn filtered(filter: &Arc<Filter>, id: &str, body: &str) -> Option<String> {
    let editor = Editor { filter: Arc::clone(filter), concern: Concern::List(ListKind::Tools) };
    let response = Response::new(Bytes::copy_from_slice(body.as_bytes()).into());
    let response = Edit::new(id, None, Some(editor)).response(response);
    let is_refused = response.extensions().get::<Reason>().is_some();
    match response.into_body() {
        Reply::Full(bytes) if !is_refused => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        _ => None,
    }
}

#[test]
fn the_second_list_comes_from_memory_with_its_own_id() {
    let filter = shared();
    for id in ["1", "22", r#""a""#, r#""\u0061""#, "123456789012345678901234567890"] {
        let body = answer(id, LIST);
        let memory = filter.memo.recall(ListKind::Tools, body.as_bytes(), id);
        assert_eq!(memory.is_some(), id != "1", "{id}");
        assert_eq!(filtered(&filter, id, &body), Some(answer(id, r#"{"tools":[{"name":"get_a"}]}"#)), "{id}");
    }
}

#[test]
fn sec_an_answer_that_is_only_nearly_known_is_read_afresh() {
    let filter = shared();
    let known = answer("1", LIST);
    assert!(filtered(&filter, "1", &known).is_some());
    let recalled = |body: &str, id: &str| filter.memo.recall(ListKind::Tools, body.as_bytes(), id).is_some();
    assert!(recalled(&known, "1"));
    // One byte at a time.
    for at in 0..known.len() {
        let mut near = known.clone().into_bytes();
        near[at] ^= 1;
        assert!(!recalled(&String::from_utf8(near).unwrap(), "1"), "byte {at}");
    }
    for near in [
        answer("2", LIST),
        answer("1 ", LIST),
        format!("{known} "),
        format!(" {known}"),
        known.replace("get_a", "get_b"),
        known.replace("delete_b", "list_xyz"),
        format!("{known}{known}"),
        known.replace("\"result\"", "\"error\""),
    ] {
        assert!(!recalled(&near, "1"), "{near}");
    }
    assert!(filter.memo.recall(ListKind::Prompts, known.as_bytes(), "1").is_none(), "a list of another kind");
    assert_eq!(filtered(&filter, "1", &answer("2", LIST)), None, "a foreign id");
}

#[test]
fn sec_an_id_cannot_be_chosen_so_that_memory_answers_something_else() {
    let filter = shared();
    assert!(filtered(&filter, "1", &answer("1", LIST)).is_some());
    // The whole rest of another answer as an id: whatever is recalled must be what reading would give.
    for id in [r#""x\",\"result\":{\"tools\":[]},\"y\":\"""#, r#""""#, "11", "-1"] {
        let fresh = shared();
        let body = answer(id, LIST);
        assert_eq!(filtered(&filter, id, &body), filtered(&fresh, id, &body), "{id}");
    }
}

#[test]
fn memory_holds_a_few_pages_and_no_long_ones() {
    let filter = shared();
    let page = |n: usize| answer("1", &format!(r#"{{"tools":[{{"name":"list_{n}"}}]}}"#));
    for n in 0..20 {
        filtered(&filter, "1", &page(n)).unwrap();
    }
    let recalled = |body: &str| filter.memo.recall(ListKind::Tools, body.as_bytes(), "1").is_some();
    assert!(recalled(&page(19)) && recalled(&page(12)) && !recalled(&page(11)));
    let long = answer("1", &format!(r#"{{"tools":[{{"name":"list_x","description":"{}"}}]}}"#, "x".repeat(256 << 10)));
    assert!(filtered(&filter, "1", &long).is_some());
    assert!(!recalled(&long));
}

#[test]
fn parts_are_put_together_whichever_comes_first() {
    for body in [r#"{"id":1,"result":{"tools":[]},"z":1}"#, r#"{"result":{"tools":[]},"z":1,"id":1}"#] {
        let read = Answer::read(body.as_bytes()).unwrap();
        let parts = Parts::new(body.as_bytes(), &read, b"{}");
        assert_eq!(
            parts.with_id("\"new\""),
            body.replace(r#"{"tools":[]}"#, "{}").replace("\"id\":1", "\"id\":\"new\"")
        );
    }
}

// Options.

#[test]
fn a_pattern_without_glob_is_a_mistake_and_said_to_be() {
    let problems = problems(&json!({ "tools": ["a", "get_*"], "prompts": ["x*"], "resources": ["note://*"] }));
    let at: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(at, ["/tools/1", "/prompts/0", "/resources/0"]);
    assert!(problems[0].hint.as_deref().unwrap().contains(r#"{ "glob": "get_*" }"#), "{:?}", problems[0]);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
    // In a URI template an asterisk is an operator.
    let options = json!({ "resourceTemplates": ["tree://{path*}"] });
    assert!(crate::kit::policy::PolicyKind::of::<CapabilityFilter>().layer(&options, &Host::default()).is_ok());
}

#[test]
fn an_entry_that_is_there_twice_is_said_to_be() {
    let problems = problems(&json!({ "tools": ["a", { "name": "a", "description": "x" }, "b"] }));
    assert_eq!((problems.len(), problems[0].at.as_str()), (1, "/tools/1"));
}

#[test]
fn entries_with_unknown_members_are_refused() {
    for entry in
        [json!({ "glob": "a", "description": "x" }), json!({ "name": "a", "inputSchema": {} }), json!(1), json!({})]
    {
        assert_eq!(problems(&json!({ "tools": [entry.clone()] })).len(), 1, "{entry}");
    }
}

fn review(options: &Value, upstream: &Catalogue) -> Vec<Problem> {
    crate::kit::policy::PolicyKind::of::<CapabilityFilter>().review(options, upstream)
}

#[test]
fn a_typo_is_reported_with_the_nearest_name() {
    let strings = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let upstream = Catalogue {
        tools: strings(&["list_issues", "get_issue"]),
        prompts: strings(&[]),
        resources: None,
        resource_templates: strings(&["note://{id}"]),
    };
    let options = json!({
        "tools": ["list_isues", "get_issue", { "glob": "send_*" }, { "glob": "list_*" }, { "name": "zzz", "description": "x" }],
        "prompts": ["p"], "resources": ["unknown://x"], "resourceTemplates": ["note://{ID}"],
    });
    let found: Vec<_> = review(&options, &upstream)
        .into_iter()
        .map(|problem| {
            assert_eq!(problem.severity, Severity::Warning);
            (problem.at, problem.hint.unwrap())
        })
        .collect();
    let expected = [
        ("/tools/0", "did you mean \"list_issues\"?"),
        ("/tools/2", "the upstream has list_issues, get_issue"),
        ("/tools/4", "the upstream has list_issues, get_issue"),
        ("/prompts/0", "the upstream has none"),
        ("/resourceTemplates/0", "did you mean \"note://{id}\"?"),
    ];
    assert_eq!(found, expected.map(|(at, hint)| (at.to_owned(), hint.to_owned())));
}

#[test]
fn what_the_upstream_did_not_say_is_not_compared() {
    assert!(review(&some(), &Catalogue::default()).is_empty());
}

#[test]
fn a_long_catalogue_is_not_repeated_whole() {
    let upstream = Catalogue { tools: Some((0..50).map(|n| format!("tool_{n}")).collect()), ..Catalogue::default() };
    let [problem] = &review(&json!({ "tools": ["zzz"] }), &upstream)[..] else { panic!() };
    assert!(problem.hint.as_deref().unwrap().ends_with("tool_9 and 40 more"), "{problem:?}");
}

#[test]
fn a_catalogue_over_several_pages_is_compared_when_it_is_complete() {
    let filter = shared();
    let list = |filter: &Filter| filter.allowed.list(ListKind::Tools).unwrap().reported();
    filtered(&filter, "1", &answer("1", r#"{"tools":[{"name":"other"}],"nextCursor":"2"}"#)).unwrap();
    assert!(!filter.seen.lock().unwrap().is_empty());
    filtered(&filter, "2", &answer("2", r#"{"tools":[{"name":"get_a"}]}"#)).unwrap();
    assert!(list(&filter), "reported with the last page, once");
}

#[tokio::test]
async fn a_hidden_template_cannot_be_completed_either() {
    let complete =
        |uri: &str| json!({ "ref": { "type": "ref/resource", "uri": uri }, "argument": { "name": "id", "value": "" } });
    let none = filter(&json!({ "resourceTemplates": [] }));
    assert!(is_hidden(&none.call("completion/complete", complete("note://{id}")).send().await));
    let one = filter(&json!({ "resourceTemplates": ["note://{id}"] }));
    assert!(one.call("completion/complete", complete("note://{id}")).send().await.got_through());
}

#[tokio::test]
async fn a_uri_that_climbs_is_read_only_if_it_is_listed_itself() {
    let bench = filter(&json!({
        "resources": ["file:///a/../listed", { "glob": "file:///docs/*" }],
        "resourceTemplates": ["tree://{+path}"],
    }));
    let read = |uri: &str| json!({ "uri": uri });
    for climbing in
        ["file:///docs/../etc/passwd", "tree://a/%2e%2e/b", "tree://a/..%2Fb", "tree://a%252f..%252fb", "tree://.."]
    {
        assert!(is_hidden(&bench.call("resources/read", read(climbing)).send().await), "{climbing}");
    }
    for plain in ["file:///a/../listed", "file:///docs/a..b", "tree://a/b"] {
        assert!(bench.call("resources/read", read(plain)).send().await.got_through(), "{plain}");
    }
}
