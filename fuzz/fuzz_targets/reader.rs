//! A message that is accepted says the same to another parser; what is called no JSON, no other parser reads.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_policies::kit::{
    json::{FlawKind, Limits},
    message::{Message, TargetKind, Unreadable},
};
use serde_json::Value;

fuzz_target!(|data: &[u8]| match Message::read(Bytes::copy_from_slice(data), &Limits::MESSAGE) {
    Ok(message) => agree(&message, &serde_json::from_slice(data).expect("accepted, but no JSON")),
    Err(Unreadable::Flaw(flaw)) if matches!(flaw.kind, FlawKind::Syntax(_) | FlawKind::NotUtf8) => {
        assert!(serde_json::from_slice::<Value>(data).is_err(), "{flaw}, yet it is JSON");
    }
    Err(_) => {}
});

fn agree(message: &Message, value: &Value) {
    assert_eq!(message.method().map(|method| method.name()), value["method"].as_str());
    let id = message.id().map(|id| serde_json::from_str::<Value>(id).expect("the id is JSON"));
    assert_eq!(id.as_ref(), value.get("id"));
    let params = message.params().map(|params| serde_json::from_str::<Value>(params).expect("params are JSON"));
    assert_eq!(params.as_ref(), value.get("params"));
    if let Some((kind, name)) = message.target() {
        let params = &value["params"];
        let places = match kind {
            TargetKind::Tool => vec![&params["name"]],
            TargetKind::Prompt => vec![&params["name"], &params["ref"]["name"]],
            TargetKind::Resource => vec![&params["uri"], &params["ref"]["uri"]],
            TargetKind::Task => vec![&params["taskId"]],
        };
        assert!(places.iter().any(|place| place.as_str() == Some(name)), "{name:?} is not in {params}");
    }
}
