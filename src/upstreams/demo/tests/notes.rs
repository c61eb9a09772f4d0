//! The notebook through its tools, resources and prompts.

use super::*;

/// What a tool says in plain text.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("a text")
}

fn assert_mendable(result: &Value, hint: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(result).contains(hint), "{result}");
}

#[tokio::test]
async fn a_new_notebook_holds_three_notes() {
    let notes = DemoServer::new().tool("list_notes", json!({})).await;
    let titles: Vec<&Value> =
        notes["structuredContent"]["notes"].as_array().unwrap().iter().map(|note| &note["title"]).collect();
    assert_eq!(titles, ["Welcome", "Shopping list", "An idea"]);
}

#[tokio::test]
async fn structured_content_is_there_as_text_too() {
    let result = DemoServer::new().tool("read_note", json!({ "id": 2 })).await;
    assert_eq!(result["structuredContent"]["title"], "Shopping list");
    assert_eq!(serde_json::from_str::<Value>(text(&result)).unwrap(), result["structuredContent"]);
}

#[tokio::test]
async fn a_note_is_written_found_rewritten_and_deleted_and_all_clones_see_it() {
    let server = DemoServer::new();
    let written = server.tool("write_note", json!({ "title": "Ünicode", "text": "Over the MOAT" })).await;
    assert_eq!(written["structuredContent"], json!({ "id": 4, "created": true }));

    let found = server.clone().tool("search_notes", json!({ "query": "the moat" })).await;
    assert_eq!(
        found["structuredContent"]["notes"],
        json!([{ "id": 4, "title": "Ünicode", "excerpt": "Over the MOAT" }])
    );

    let replaced = server.tool("write_note", json!({ "id": 4, "title": "Moat", "text": "Dry" })).await;
    assert_eq!(replaced["structuredContent"], json!({ "id": 4, "created": false }));
    let read = server.tool("read_note", json!({ "id": 4 })).await;
    assert_eq!(read["structuredContent"], json!({ "id": 4, "title": "Moat", "text": "Dry" }));

    assert_eq!(text(&server.tool("delete_note", json!({ "id": 4 })).await), "Note 4 is deleted.");
    assert_mendable(&server.tool("read_note", json!({ "id": 4 })).await, "no note 4");
}

#[tokio::test]
async fn an_id_is_never_used_twice() {
    let server = DemoServer::new();
    assert_eq!(server.tool("delete_all_notes", json!({})).await["structuredContent"], json!({ "deleted": 3 }));
    assert_eq!(server.tool("delete_all_notes", json!({})).await["structuredContent"], json!({ "deleted": 0 }));
    let written = server.tool("write_note", json!({ "title": "t", "text": "" })).await;
    assert_eq!(written["structuredContent"]["id"], 4);
}

#[tokio::test]
async fn echo_says_back_what_it_was_told() {
    let result = DemoServer::new().tool("echo", json!({ "text": "hello\n\"you\"" })).await;
    assert_eq!(text(&result), "hello\n\"you\"");
}

#[tokio::test]
async fn what_the_model_can_mend_is_a_result_that_says_how() {
    let server = DemoServer::new();
    for (tool, arguments, hint) in [
        ("read_note", json!({}), "missing field `id`"),
        ("read_note", json!({ "id": "1" }), "invalid type"),
        ("read_note", json!({ "id": -1 }), "invalid value"),
        ("read_note", json!({ "id": 99 }), "list_notes"),
        ("delete_note", json!({ "id": 99 }), "list_notes"),
        ("list_notes", json!({ "page": 2 }), "unknown field `page`"),
        ("delete_all_notes", json!({ "really": true }), "unknown field"),
        ("write_note", json!({ "title": " ", "text": "" }), "must not be empty"),
        ("write_note", json!({ "title": "t".repeat(201), "text": "" }), "200 characters"),
        ("write_note", json!({ "title": "t", "text": "x".repeat(64 * 1024 + 1) }), "64 KiB"),
        ("write_note", json!({ "id": 99, "title": "t", "text": "" }), "no note 99"),
        ("search_notes", json!({ "query": "" }), "1 to 200"),
        ("echo", json!({ "text": "x".repeat(64 * 1024 + 1) }), "64 KiB"),
        ("count_slowly", json!({ "to": 21 }), "1 to 20"),
        ("count_slowly", json!({ "delay_ms": 9 }), "10 to 2000"),
    ] {
        assert_mendable(&server.tool(tool, arguments).await, hint);
    }
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_protocol() {
    let answer = DemoServer::new().modern("tools/call", json!({ "name": "no_such" })).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, -32602));
}

#[tokio::test]
async fn a_full_notebook_takes_no_more_but_still_lets_notes_be_rewritten() {
    let server = DemoServer::new();
    fill(&server, 997);
    let more = server.tool("write_note", json!({ "title": "one too many", "text": "" })).await;
    assert_mendable(&more, "at most 1000 notes");
    let rewritten = server.tool("write_note", json!({ "id": 1, "title": "t", "text": "" })).await;
    assert_eq!(rewritten["structuredContent"]["created"], false);
}

fn fill(server: &DemoServer, count: usize) {
    for number in 0..count {
        server.notebook.write(None, &format!("note {number}"), "").expect("there is room");
    }
}

#[tokio::test]
async fn every_tool_is_described_honestly_and_in_full() {
    let listed = DemoServer::new().modern("tools/list", json!({})).await.result();
    let hints = |name: &str| {
        let tools = listed["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["inputSchema"]["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(tool["title"].is_string() && tool["description"].is_string());
        let hint = |key: &str| tool["annotations"][key].as_bool().unwrap();
        (hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint"), hint("openWorldHint"))
    };
    for name in ["list_notes", "read_note", "search_notes", "count_slowly", "echo"] {
        assert_eq!(hints(name), (true, false, true, false), "{name}");
    }
    assert_eq!(hints("write_note"), (false, true, false, false));
    assert_eq!(hints("delete_note"), (false, true, true, false));
    assert_eq!(hints("delete_all_notes"), (false, true, true, false));
}

#[tokio::test]
async fn resources_come_in_pages_of_fifty() {
    let server = DemoServer::new();
    fill(&server, 100);
    let mut sizes = Vec::new();
    let mut params = json!({});
    loop {
        let page = server.modern("resources/list", params).await.result();
        sizes.push(page["resources"].as_array().unwrap().len());
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 3]);
}

#[tokio::test]
async fn a_cursor_that_was_never_given_out_is_refused() {
    let server = DemoServer::new();
    for method in ["resources/list", "resources/templates/list", "tools/list", "prompts/list"] {
        let answer = server.legacy(method, json!({ "cursor": "elsewhere" })).await;
        assert_eq!(answer.code(), -32602, "{method}");
    }
}

#[tokio::test]
async fn a_note_is_a_markdown_document() {
    let server = DemoServer::new();
    let listed = server.modern("resources/list", json!({})).await.result();
    let entry = &listed["resources"][1];
    let read = server.modern("resources/read", json!({ "uri": entry["uri"] })).await.result();
    let content = &read["contents"][0];
    assert_eq!(content["mimeType"], "text/markdown");
    let document = content["text"].as_str().unwrap();
    assert!(document.starts_with("# Shopping list\n\n- apples\n"));
    assert_eq!(entry["size"], document.len());
}

#[tokio::test]
async fn a_note_has_one_uri() {
    let server = DemoServer::new();
    for uri in
        ["note://01", "note://+1", "note://1/", "NOTE://1", "note://", "note://99999999999999999999", "file:///1"]
    {
        assert_eq!(server.modern("resources/read", json!({ "uri": uri })).await.code(), -32602, "{uri}");
    }
}

#[tokio::test]
async fn prompts_are_listed_and_filled_in() {
    let server = DemoServer::new();
    let listed = server.legacy("prompts/list", json!({})).await.result();
    assert_eq!(listed["prompts"][1]["arguments"][0]["name"], "topic");

    let summary = server.legacy("prompts/get", json!({ "name": "summarize_notes" })).await.result();
    let asked = summary["messages"][0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(asked.contains("- note 2: Shopping list"), "{asked}");

    let params = json!({ "name": "write_a_note", "arguments": { "topic": "gates" } });
    let note = server.legacy("prompts/get", params).await.result();
    assert!(note["messages"][0]["content"]["text"].as_str().unwrap().contains("about gates"));
}

#[tokio::test]
async fn a_prompt_that_is_unknown_or_lacks_its_topic_is_refused() {
    for params in [
        json!({ "name": "no_such" }),
        json!({ "name": "write_a_note" }),
        json!({ "name": "write_a_note", "arguments": { "topic": " " } }),
        json!({ "name": "write_a_note", "arguments": { "topic": "x".repeat(1001) } }),
    ] {
        assert_eq!(DemoServer::new().legacy("prompts/get", params).await.code(), -32602);
    }
}

#[tokio::test]
async fn ids_and_topics_are_completed() {
    let server = DemoServer::new();
    fill(&server, 200);
    let complete = async |target: Value, name: &str, value: &str| {
        let params = json!({ "ref": target, "argument": { "name": name, "value": value } });
        server.legacy("completion/complete", params).await
    };
    let template = || json!({ "type": "ref/resource", "uri": "note://{id}" });
    let prompt = || json!({ "type": "ref/prompt", "name": "write_a_note" });

    let all = complete(template(), "id", "").await.result()["completion"].clone();
    assert_eq!(all["values"].as_array().map(Vec::len), Some(100));
    assert_eq!((&all["total"], &all["hasMore"]), (&json!(203), &json!(true)));

    let some = complete(template(), "id", "20").await.result()["completion"].clone();
    assert_eq!(some["values"], json!(["20", "200", "201", "202", "203"]));
    assert_eq!(some["hasMore"], false);

    let topics = complete(prompt(), "topic", "shop").await.result()["completion"].clone();
    assert_eq!(topics["values"], json!(["Shopping list"]));

    assert_eq!(complete(template(), "title", "").await.code(), -32602);
    assert_eq!(complete(json!({ "type": "ref/else" }), "id", "").await.code(), -32602);
}
