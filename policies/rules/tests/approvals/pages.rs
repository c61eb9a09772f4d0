//! Clients that can send people to the page of an approval.

use super::*;
use crate::kit::{
    bench::{Call, connectable},
    credential::UpstreamCredential,
    json::Limits,
    pages::Page,
    round::to_connect,
    session::OwnSession,
};

/// A call of a client of 2026-07-28 with these capabilities, and what else stands in its parameters.
async fn modern(story: &Story, capabilities: &str, more: &str) -> Outcome {
    modern_call(story, capabilities, more).send().await
}

async fn modern_with(story: &Story, more: &str, facts: impl Fn(Call<'_>) -> Call<'_>) -> Outcome {
    facts(modern_call(story, "{}", more)).send().await
}

fn modern_call<'a>(story: &'a Story, capabilities: &str, more: &str) -> Call<'a> {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"delete_note","arguments":{{"id":7}}{more},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}}}"#
    );
    story.bench.post(text).fact(caller("bob"))
}

const OPENS_PAGES: &str = r#"{"elicitation":{"form":{},"url":{}}}"#;

/// The call once more, after its client was asked to open a page.
async fn returning(story: &Story, asked: &Outcome, action: &str) -> Outcome {
    let state = &asked.message()["result"]["requestState"];
    let more = format!(r#","requestState":{state},"inputResponses":{{"approval":{{"action":"{action}"}}}}"#);
    modern(story, OPENS_PAGES, &more).await
}

#[tokio::test]
async fn tr_31_a_client_that_opens_pages_is_asked_to_open_that_of_the_approval_and_its_retry_is_the_same_call() {
    let story = Story::new(&rules());
    let asked = modern(&story, OPENS_PAGES, "").await;
    let result = &asked.message()["result"];
    assert_eq!((&result["resultType"], outcomes(&asked)), (&json!("input_required"), vec!["held"]));
    let question = &result["inputRequests"]["approval"];
    assert_eq!((&question["method"], &question["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert_eq!(question["params"]["url"], "https://gw.example/approvals/1");
    let still = returning(&story, &asked, "accept").await;
    assert!(is_pending(&still), "nobody is asked twice in one call: {still:?}");
    assert_eq!((story.desk.held().len(), story.made()), (1, 0), "and there is one approval");
    assert_eq!(story.desk.held()[0].shown, r#"{"id":7}"#, "the answer is no part of the call");
    story.desk.decide(Standing::Approved);
    let done = returning(&story, &asked, "accept").await;
    assert_eq!(done.message()["result"]["structuredContent"]["done"], true);
    let call = done.reached.last().unwrap().message.params().unwrap();
    assert!(!call.contains("requestState") && !call.contains("inputResponses"), "{call}");
    assert_eq!(story.made(), 1);
}

#[tokio::test(start_paused = true)]
async fn tr_31_a_client_that_opened_the_page_waits_for_what_is_decided_there() {
    let mut rules = rules();
    rules["rules"][0]["waitSeconds"] = 20.into();
    let story = Story::new(&rules);
    let asked = modern(&story, OPENS_PAGES, "").await;
    assert_eq!(asked.message()["result"]["resultType"], "input_required");
    let (returned, ()) = tokio::join!(returning(&story, &asked, "accept"), async {
        sleep(Duration::from_secs(5)).await;
        story.desk.decide(Standing::Approved);
    });
    let last = returned.message();
    assert_eq!(last["result"]["structuredContent"]["done"], true, "{last}");
    let began = Instant::now();
    let asked = modern(&story, OPENS_PAGES, "").await;
    assert!(is_pending(&returning(&story, &asked, "decline").await));
    assert_eq!(began.elapsed(), Duration::ZERO, "who does not want to look does not wait either");
    let decision = Decision { by: "grace".to_owned(), at: START, reason: None };
    story.desk.decide(Standing::Denied(decision));
    assert_eq!(returning(&story, &asked, "accept").await.reason(), Some("approval_denied"));
    assert_eq!(story.made(), 1);
}

#[tokio::test]
async fn tr_31_who_cannot_open_pages_is_told_in_words_and_a_state_of_others_is_part_of_the_call() {
    let story = Story::new(&rules());
    for capabilities in ["{}", r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{}}}"#] {
        assert!(is_pending(&modern(&story, capabilities, "").await), "{capabilities}");
    }
    assert_eq!(story.desk.held().len(), 1);
    modern(&story, "{}", r#","requestState":"theirs""#).await;
    let shown = &story.desk.held()[1].shown;
    assert!(shown.contains("theirs"), "what answers the upstream is shown to whoever approves: {shown}");
}

/// The `requestState` of a client that was shown where to connect, after it answered this to a question of the upstream.
fn shown_where_to_connect(upstream: &str, before: &str) -> String {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"delete_note"{before}}}}}"#);
    let call = Message::read(text.into(), &Limits::MESSAGE).unwrap();
    let page = Page { id: "e1", url: "https://gw.example/connect/1", message: "connect" };
    let state = to_connect(upstream).input_required(&call, page)["requestState"].take();
    format!(r#","requestState":{state},"inputResponses":{{"connect":{{"action":"accept"}}}}"#)
}

#[tokio::test]
async fn tr_31_a_call_whose_caller_was_shown_where_to_connect_is_still_the_same_call() {
    let story = Story::new(&rules());
    modern(&story, "{}", "").await;
    story.desk.decide(Standing::Approved);
    let returned = modern_with(&story, &shown_where_to_connect("linear", ""), |call| call.fact(connectable())).await;
    assert_eq!((returned.message()["result"]["structuredContent"]["done"] == true, story.desk.held().len()), (true, 1));
}

type Facts<'a> = &'a dyn Fn(Call<'_>) -> Call<'_>;

#[tokio::test]
async fn sec_what_nobody_takes_out_on_the_way_to_the_upstream_is_part_of_the_call() {
    let smuggled = r#","inputResponses":{"sure":{"action":"accept"}},"requestState":"s""#;
    let there = || UpstreamCredential::new("linear".to_owned(), 1, Vec::new());
    let cases: [(&str, Facts<'_>); 4] = [
        (&shown_where_to_connect("linear", ""), &|call| call),
        (&shown_where_to_connect("notion", ""), &|call| call.fact(connectable())),
        (&shown_where_to_connect("linear", smuggled), &|call| call.fact(connectable())),
        (&shown_where_to_connect("linear", ""), &|call| call.fact(connectable()).fact(there())),
    ];
    for (number, (state, facts)) in cases.into_iter().enumerate() {
        let story = Story::new(&rules());
        modern(&story, "{}", "").await;
        story.desk.decide(Standing::Approved);
        let other = modern_with(&story, state, facts).await;
        assert!(is_pending(&other), "{number}: {other:?}");
        assert_eq!((story.desk.held().len(), story.made()), (2, 0), "{number}");
    }
}

#[tokio::test]
async fn sb_04_what_a_state_says_is_not_believed() {
    let story = Story::new(&rules());
    let asked = modern(&story, OPENS_PAGES, "").await;
    story.desk.decide(Standing::Approved);
    let state = asked.message()["result"]["requestState"].clone();
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"delete_note","arguments":{{"id":8}},"requestState":{state},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let other = story.bench.post(text).fact(caller("bob")).send().await;
    assert!(is_pending(&other), "another call waits by itself, whatever it says it was asked");
    assert_eq!((story.desk.held().len(), story.made()), (2, 0));
}

/// The call of a client that has begun this session.
async fn within(story: &Story, session: &str, who: &str) -> Outcome {
    let params = json!({ "name": "delete_note", "arguments": { "id": 7 } });
    let call = story.bench.call("tools/call", params).fact(caller(who));
    call.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25").send().await
}

/// The id of a session that the gateway opened itself, for bob.
fn own_session(version: &str, capabilities: &Value) -> String {
    let params = json!({ "capabilities": capabilities, "clientInfo": { "name": "story", "version": "1" } });
    OwnSession::id(version, &params, (&caller("bob").subject, "/mcp"), "drawn")
}

#[tokio::test]
async fn tr_31_an_older_client_that_opens_pages_is_told_once_which_and_then_what_others_are_told() {
    let pages = json!({ "elicitation": { "url": {} } });
    for session in ["c2VhbGVk.pages", &own_session("2025-11-25", &pages)] {
        let story = Story::new(&rules());
        let asked = within(&story, session, "bob").await;
        let error = &asked.message()["error"];
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32042), &json!("approval_required")));
        let page = &error["data"]["elicitations"][0];
        assert_eq!((&page["mode"], &page["url"]), (&json!("url"), &json!("https://gw.example/approvals/1")));
        let (id, words) = (page["elicitationId"].as_str().unwrap(), page["message"].as_str().unwrap());
        assert!(
            !id.is_empty() && ["delete_note", "#1", "deletes", "groups ops"].iter().all(|part| words.contains(part))
        );
        assert_eq!((outcomes(&asked), asked.reason()), (vec!["held"], Some("approval_required")));
        assert!(asked.facts.get::<Reason>().is_none(), "nobody was refused");
        assert!(
            is_pending(&within(&story, session, "bob").await),
            "a client that repeats by itself does so in no circle"
        );
        story.desk.decide(Standing::Approved);
        let done = within(&story, session, "bob").await;
        assert_eq!(done.message()["result"]["structuredContent"]["done"], true);
        assert_eq!((story.desk.held().len(), story.made()), (1, 1));
        assert_eq!(within(&story, session, "bob").await.message()["error"]["code"], -32042, "the next call is another");
    }
}

#[tokio::test]
async fn tr_31_an_older_client_that_cannot_open_pages_or_whose_caller_is_a_program_is_told_in_words() {
    let pages = json!({ "elicitation": { "url": {} } });
    let others = [
        ("c2VhbGVk", "bob"),
        (&own_session("2025-06-18", &pages), "bob"),
        (&own_session("2025-11-25", &json!({ "elicitation": { "form": {} } })), "bob"),
        (&own_session("2025-11-25", &pages), "eve"),
        ("c2VhbGVk.pages", "key|7"),
    ];
    for (session, who) in others {
        let story = Story::new(&rules());
        assert!(is_pending(&within(&story, session, who).await), "{session} {who}");
    }
    let story = Story::new(&rules());
    assert!(is_pending(&story.call("bob", "{}").await), "without a session nothing is known");
}

#[tokio::test(start_paused = true)]
async fn tr_31_an_older_client_that_waits_hears_that_the_page_is_done_with_and_then_its_result() {
    let story = Story::new(&patient());
    let session = "c2VhbGVk.pages";
    let asked = within(&story, session, "bob").await;
    assert_eq!(asked.message()["error"]["code"], -32042, "the page comes first");
    let (outcome, ()) = tokio::join!(within(&story, session, "bob"), async {
        sleep(Duration::from_secs(5)).await;
        story.desk.decide(Standing::Approved);
    });
    let [done, result] = &outcome.messages[..] else { panic!("{outcome:?}") };
    assert_eq!(done["method"], "notifications/elicitation/complete");
    let page = &asked.message()["error"]["data"]["elicitations"][0];
    assert_eq!(done["params"]["elicitationId"], page["elicitationId"]);
    assert_eq!(result["result"]["structuredContent"]["done"], true);
    let vain = within(&story, session, "bob").await;
    assert_eq!(vain.message()["error"]["code"], -32042);
    let vain = within(&story, session, "bob").await;
    assert!(is_pending(&vain) && vain.messages.len() == 1, "nothing was decided: {vain:?}");
}
