//! `whoami`: whose access token the call carried. There only where the server has a sign-in of its own.

use serde_json::json;

use super::{super::visitor::Visitor, Arguments, Effect, NoArguments, Outcome, Run, Said, Tool};

pub(super) const WHOAMI: Tool = Tool {
    name: "whoami",
    title: "Who am I?",
    description: "Says whose access token this call carried.",
    effect: Effect::Reads,
    input: || json!({ "properties": {} }),
    output: Some(|| {
        json!({
            "properties": {
                "name": { "type": "string" },
                "client": { "type": "string" },
                "scope": { "type": "string" },
                "token": { "type": "integer", "description": "Each new token has another number." },
            },
            "required": ["name", "client", "scope", "token"],
        })
    }),
    run: Run::WhoAmI,
};

pub(super) fn whoami(visitor: &Visitor, arguments: Arguments) -> Outcome {
    arguments.parse::<NoArguments>()?;
    Ok(Said::structured(visitor.describe()))
}
