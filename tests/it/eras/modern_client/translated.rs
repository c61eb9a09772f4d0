//! Answers of the older revisions, as clients of 2026-07-28 know them.

use serde_json::{Value, json};

use super::{Asking, asking, calling, count, last, with_sessions};
use crate::{
    eras::{alone, error},
    harness::{Answer, Gateway, Upstream, notification},
};

async fn answering(result: Value) -> (Upstream, Gateway) {
    let upstream = with_sessions(move |request| Answer::json(&request.result(&result))).await;
    let gateway = Gateway::before(&upstream).await;
    (upstream, gateway)
}

#[tokio::test]
async fn tr_25_results_have_what_the_new_revision_asks_for() {
    let (_upstream, gateway) = answering(json!({ "tools": [], "nextCursor": "2", "_meta": { "x": 1 } })).await;
    let result = last(&asking(1, "tools/list", &json!({})).of(&gateway).await)["result"].clone();
    let server = json!({ "name": "scripted", "version": "1" });
    assert_eq!(
        result,
        json!({
            "tools": [], "nextCursor": "2", "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "_meta": { "x": 1, "io.modelcontextprotocol/serverInfo": server },
        })
    );
    let result = last(&calling(1, "look").of(&gateway).await)["result"].clone();
    assert_eq!((&result["resultType"], result.get("ttlMs")), (&json!("complete"), None));
    for (method, params) in [("resources/read", json!({ "uri": "a:b" })), ("prompts/list", json!({}))] {
        let result = last(&asking(1, method, &params).of(&gateway).await)["result"].clone();
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")), "{method}");
    }
}

#[tokio::test]
async fn tr_24_a_server_is_discovered_from_what_it_says_in_initialize() {
    let (upstream, gateway) = answering(json!({})).await;
    let served = json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]);
    for id in 1..4 {
        let reply = asking(id, "server/discover", &json!({})).of(&gateway).await;
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(id)));
        let result = reply.json()["result"].clone();
        assert_eq!(result["supportedVersions"], served);
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "scripted");
    }
    assert_eq!((count(&upstream, "initialize"), count(&upstream, "server/discover")), (1, 0));
}

async fn refused(code: i64, call: &Asking) -> (u16, Value) {
    let upstream = with_sessions(move |request| {
        let mut error = error(request, code);
        let page = json!({ "mode": "url", "url": "https://pages.test", "elicitationId": "e", "message": "Open" });
        error["error"]["data"] = json!({ "elicitations": [page] });
        Answer::json(&error)
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let reply = call.of(&gateway).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn tr_25_errors_have_the_codes_of_the_new_revision() {
    let (status, unknown) = refused(-32601, &calling(1, "look")).await;
    assert_eq!((status, &unknown["error"]["code"]), (404, &json!(-32601)));
    let (status, nowhere) = refused(-32002, &asking(1, "resources/read", &json!({ "uri": "a:b" }))).await;
    assert_eq!((status, &nowhere["error"]["code"]), (200, &json!(-32602)));
    let (_, own) = refused(-32005, &calling(1, "look")).await;
    assert_eq!(own["error"]["code"], -32005);
}

#[tokio::test]
async fn tr_25_a_page_that_must_be_opened_first_is_input_that_is_needed() {
    let able = calling(1, "look").able(json!({ "elicitation": { "url": {} } }));
    let (status, needed) = refused(-32042, &able).await;
    assert_eq!((status, &needed["result"]["resultType"]), (200, &json!("input_required")));
    let asked = needed["result"]["inputRequests"].as_object().unwrap().values().next().unwrap();
    assert_eq!(
        (&asked["method"], &asked["params"]["url"]),
        (&json!("elicitation/create"), &json!("https://pages.test"))
    );
    assert!(needed["result"].get("requestState").is_none(), "the call has ended, so its retry is a new one");

    let (_, error) = refused(-32042, &calling(1, "look")).await;
    assert_eq!(error["error"]["code"], -32603);
    assert_eq!(error["error"]["data"]["elicitations"][0]["url"], "https://pages.test");
}

#[tokio::test]
async fn tr_25_tr_22_progress_passes_and_log_messages_only_if_they_were_asked_for() {
    let upstream = with_sessions(|request| match request.message()["method"].as_str() {
        Some("tools/call") => {
            let progress = json!({ "progressToken": 5, "progress": 1 });
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress });
            let log = json!({ "level": "info", "data": "x" });
            let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": log });
            let changed = notification("notifications/tools/list_changed");
            Answer::events().event(&progress).event(&log).event(&changed).event(&request.says("done"))
        }
        _ => Answer::json(&request.result(&json!({}))),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let call = calling(1, "look").meta("progressToken", json!(5));
    let seen = |messages: Vec<Value>| messages.iter().map(|message| message["method"].clone()).collect::<Vec<_>>();
    let quiet = seen(call.of(&gateway).await.messages());
    assert_eq!(quiet, [json!("notifications/progress"), Value::Null]);
    let loud = call.meta("io.modelcontextprotocol/logLevel", json!("info"));
    let loud = seen(loud.of(&gateway).await.messages());
    assert_eq!(loud, [json!("notifications/progress"), json!("notifications/message"), Value::Null]);
}

#[tokio::test]
async fn tr_25_what_cannot_be_translated_is_refused_by_its_name() {
    let (upstream, gateway) = answering(json!({})).await;
    let reply = asking(4, "tasks/get", &json!({ "taskId": "t" })).of(&gateway).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "not_bridged"));
    assert_eq!((&reply.json()["error"]["code"], &reply.json()["id"]), (&json!(-32601), &json!(4)));
    assert!(reply.text().contains("`tasks/get`"), "{reply:?}");
    assert_eq!(count(&upstream, "tasks/get"), 0);
}

#[tokio::test]
async fn tr_24_tr_30_a_request_says_a_known_revision_and_what_its_client_can_do() {
    let (_upstream, gateway) = answering(json!({ "tools": [] })).await;
    asking(1, "tools/list", &json!({})).of(&gateway).await;
    let mut silent = asking(1, "tools/list", &json!({}));
    silent.message["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/clientCapabilities");
    let reply = silent.of(&gateway).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)));
    for version in ["2027-01-01", "v999.0.0"] {
        let reply = gateway.ask(&alone(version, "tools/list")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32022)));
        let data = &reply.json()["error"]["data"];
        assert_eq!((&data["requested"], &data["supported"][0]), (&json!(version), &json!("2026-07-28")));
    }
}
