use schemars::JsonSchema;
use serde::Deserialize;
use tower::Layer;

use super::*;
use crate::{
    STANDARD,
    kit::{
        json::Limits,
        policy::{Policy, PolicyKind},
    },
    rules::McpRules,
};

/// A policy of somebody who has not heard of rehearsals.
struct Careless;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl Policy for Careless {
    const NAME: &'static str = "careless";
    const SUMMARY: &'static str = "writes without being asked";
    type Options = Nothing;

    fn layer(_: Nothing, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        Ok(gate(|_| panic!("it was run")))
    }
}

fn stage() -> Stage {
    Stage { host: Host::default(), visitor: None, trace: Trace::default() }
}

/// What is seen of a call of `add` through these layers.
async fn rehearse(stage: &Stage, layers: Vec<RouteLayer>, definitions: Result<Vec<Value>, String>) -> Vec<Step> {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{ID},"method":"tools/call","params":{{"name":"add","arguments":{{"n":1}}}}}}"#
    );
    let request = Request::new(Inbound::Message(Message::read(Bytes::from(text), &Limits::MESSAGE).unwrap()));
    let end = end(stage.trace.clone(), definitions);
    let chain = layers.into_iter().rev().fold(end, |inner, layer| layer.layer(inner));
    let Ok(_) = chain.run(request).await;
    stage.trace.steps()
}

fn rules(stage: &Stage) -> RouteLayer {
    let reads = json!({ "rules": [
        { "name": "in", "action": "redact_arguments", "redact": ["/n"] },
        { "name": "reads", "match": { "annotations": { "readOnlyHint": true } }, "action": "allow" },
    ] });
    let layer = PolicyKind::of::<McpRules>().rehearse(&reads, stage).unwrap().unwrap();
    stage.trace.watch(layer)
}

#[test]
fn sec_every_standard_policy_says_how_it_is_rehearsed_and_one_that_does_not_is_never_run() {
    for kind in STANDARD {
        assert!(!matches!(kind.rehearse(&json!({}), &stage()), Ok(None)), "{} stands aside", kind.name);
    }
    assert!(matches!(PolicyKind::of::<Careless>().rehearse(&json!({}), &stage()), Ok(None)));
}

#[tokio::test]
async fn what_a_layer_makes_of_a_call_is_seen_and_what_would_be_sent() {
    let stage = stage();
    stage.trace.aside("it does not say");
    let tool = json!({ "name": "add", "annotations": { "readOnlyHint": true } });
    let steps = rehearse(&stage, vec![rules(&stage)], Ok(vec![tool])).await;
    assert!(matches!(&steps[0].verdict, Verdict::NotJudged(why) if why == "it does not say"), "{steps:?}");
    assert!(matches!(steps[1].verdict, Verdict::Passed), "{steps:?}");
    assert_eq!(steps[1].changes, ["/arguments/n"]);
    assert_eq!(&*steps[1].decided.last().unwrap().rule, "reads");
    let (sent, _) = stage.trace.sent().unwrap();
    assert!(sent.params().unwrap().contains(r#""n":"[redacted]""#), "{sent:?}");
}

#[tokio::test]
async fn a_refusal_is_told_and_ends_the_way() {
    let stage = stage();
    let (first, second) = (rules(&stage), rules(&stage));
    let steps = rehearse(&stage, vec![first, second], Ok(vec![json!({ "name": "add" })])).await;
    let Verdict::Refused(said) = &steps[0].verdict else { panic!("{steps:?}") };
    assert_eq!(said.reason, Some("denied_by_rule"));
    assert!(matches!(steps[1].verdict, Verdict::NotReached) && stage.trace.sent().is_none());
}

#[tokio::test]
async fn what_nobody_can_say_is_held_against_nobody() {
    let stage = stage();
    let steps = rehearse(&stage, vec![rules(&stage)], Err("nobody was asked".to_owned())).await;
    assert!(matches!(&steps[0].verdict, Verdict::NotJudged(why) if why == "nobody was asked"), "{steps:?}");
    assert!(stage.trace.sent().is_some());
}
