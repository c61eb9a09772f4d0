//! Pins as programs read them: on the command line, and by the REST API.

use portcullis_policies::kit::pins::Standing;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Difference;
use crate::{
    store::{Kept, PinRecord},
    wire::{date, id_of, parts_of},
};

/// What is kept of a tool.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Pin")]
pub struct PinJson {
    /// Names it in the REST API.
    id: String,
    /// The upstream.
    upstream: String,
    /// The tool's name.
    tool: String,
    /// The definition that is good.
    pinned: Option<DefinitionJson>,
    /// Who approved it; nobody, if it was there first.
    approved_by: Option<String>,
    /// Another one that was seen since.
    waiting: Option<DefinitionJson>,
    /// What is done about that: `blocked`, `held` or `logged`.
    standing: Option<&'static str>,
    /// May somebody approve it?
    can_be_approved: bool,
    /// What is suspicious in it.
    flags: Vec<String>,
    /// Where it differs from the one that is good.
    differences: Vec<Difference>,
}

/// A definition of a tool.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Definition")]
pub struct DefinitionJson {
    /// Its digest, in hexadecimal.
    digest: String,
    /// Since when (RFC 3339).
    at: String,
    /// All of it, as the upstream lists it; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<Value>,
}

impl From<&PinRecord> for PinJson {
    fn from(record: &PinRecord) -> Self {
        Self {
            id: record.id(),
            upstream: record.upstream.clone(),
            tool: record.tool.clone(),
            pinned: record.good.as_ref().map(DefinitionJson::from),
            approved_by: record.approved_by.clone(),
            waiting: record.waiting.as_ref().map(DefinitionJson::from),
            standing: record.standing.map(Standing::name),
            can_be_approved: record.can_be_approved(),
            flags: record.flags.clone(),
            differences: record.differences(),
        }
    }
}

impl From<&Kept> for DefinitionJson {
    fn from(kept: &Kept) -> Self {
        let definition = Some(serde_json::from_str(&kept.text).unwrap_or_default());
        Self { digest: format!("{:?}", kept.digest), at: date(kept.at), definition }
    }
}

impl PinJson {
    /// The same without the definitions, for a list.
    #[must_use]
    pub fn in_short(mut self) -> Self {
        for kept in [&mut self.pinned, &mut self.waiting].into_iter().flatten() {
            kept.definition = None;
        }
        self
    }
}

impl PinRecord {
    /// Both names in one, for URLs.
    pub fn id(&self) -> String {
        id_of(&(&self.upstream, &self.tool))
    }
}

/// The upstream and the tool with such an id.
pub fn of_id(id: &str) -> Option<(String, String)> {
    parts_of(id)
}
