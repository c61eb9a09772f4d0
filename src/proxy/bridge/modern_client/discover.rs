//! `server/discover`, from what the upstream said in `initialize`.

use portcullis_policies::kit::{
    chain::Response,
    json::Flaw,
    refusal::{Reason, Refusal},
};
use serde_json::json;

use super::{
    super::object::Object,
    Caller, answer,
    call::{Call, without_tasks},
    respond_json,
    warm::Warm,
};
use crate::proxy::{Failure, served};

/// Capabilities of a server that mean the same in both eras. `tasks` does not: in 2025-11-25 it was another protocol.
const BRIDGED: [&str; 5] = ["tools", "prompts", "resources", "completions", "logging"];

impl Caller {
    /// Says what the upstream can do, as far as it can be translated.
    pub(super) async fn discover(self, call: &Call) -> Result<Response, Failure> {
        let loan = self.rooms().sessions.lend(&self, call).await?;
        let versions = served::versions(self.forward.0.serves);
        let result = discovered(call, loan.warm(), versions).map_err(|_| Refusal::from(Reason::UpstreamInvalid))?;
        Ok(respond_json(answer::result(call, &result)))
    }
}

fn discovered(call: &Call, warm: &Warm, versions: &[&str]) -> Result<String, Flaw> {
    let hello = Object::read(&warm.hello)?;
    let all = Object::read(hello.get("capabilities").unwrap_or("{}"))?;
    let mut bridged = Object::default();
    for (key, value) in all.members().filter(|(key, _)| BRIDGED.contains(key)) {
        bridged.set(key, value);
    }
    if let Some(extensions) = all.get("extensions") {
        bridged.set("extensions", without_tasks(extensions)?);
    }
    let mut result = Object::default();
    result.set("supportedVersions", json!(versions).to_string());
    result.set("capabilities", bridged.to_json());
    if let Some(instructions) = hello.get("instructions") {
        result.set("instructions", instructions);
    }
    answer::complete(call, warm.server_info.as_deref(), &result.to_json())
}
