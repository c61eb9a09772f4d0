//! The `requestState` of a call that goes on: what is known so far, signed for the tool that asked.

use std::sync::LazyLock;

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256, Key},
    rand::SystemRandom,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use rmcp::model::JsonObject;

/// Of this process: a state of another one is refused like a forged one.
static KEY: LazyLock<Option<Key>> = LazyLock::new(|| Key::generate(HMAC_SHA256, &SystemRandom::new()).ok());

pub(crate) fn seal(place: &str, answers: &JsonObject) -> Option<String> {
    let content = serde_json::to_string(&(place, answers)).ok()?;
    let tag = hmac::sign(KEY.as_ref()?, content.as_bytes());
    Some(format!("{}.{}", BASE64.encode(content), BASE64.encode(tag)))
}

/// None when the state was not made here, or not for this place.
pub(crate) fn open(place: &str, state: &str) -> Option<JsonObject> {
    let (content, tag) = state.split_once('.')?;
    let (content, tag) = (BASE64.decode(content).ok()?, BASE64.decode(tag).ok()?);
    hmac::verify(KEY.as_ref()?, &content, &tag).ok()?;
    let (sealed_for, answers): (String, JsonObject) = serde_json::from_slice(&content).ok()?;
    (sealed_for == place).then_some(answers)
}
