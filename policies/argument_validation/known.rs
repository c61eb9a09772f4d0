//! The schemas of tools that are known.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde_json::Value;

use super::{
    options::ValidationLimits,
    schema::{Schema, Unusable},
};
use crate::kit::{
    chain::{Request, RouteService},
    definitions::{Asker, Definitions},
};

/// A schema takes one place for each so many bytes.
const PLACE_BYTES: usize = 4096;

/// Schemas by their digests: tools, callers and calls that have the same share it, and it is made ready once.
type Schemas = Cache<Digest, Arc<Schema>>;
type Digest = [u8; 32];

/// Which schemas a tool has, for whom.
pub(super) struct Known {
    schemas: Schemas,
    definitions: Definitions<Digests>,
}

/// Of a definition, which may be remembered for many callers, only this is kept.
#[derive(Clone, Copy, Debug)]
struct Digests {
    input: Option<Digest>,
    output: Option<Digest>,
}

/// The schemas of one tool.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) input: Result<Arc<Schema>, Unusable>,
    pub(super) output: Option<Arc<Schema>>,
}

impl Known {
    pub(super) fn new(limits: &ValidationLimits) -> Self {
        let schemas = Cache::builder()
            .max_capacity(limits.schemas.into())
            .weigher(|_, schema: &Arc<Schema>| u32::try_from(1 + schema.bytes() / PLACE_BYTES).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let (kept, longest) = (schemas.clone(), limits.schema_bytes);
        let definitions = Definitions::new(move |definition| Digests {
            input: keep(&kept, &definition["inputSchema"], longest),
            output: keep(&kept, &definition["outputSchema"], longest),
        });
        Self { schemas, definitions }
    }

    /// What is remembered of a tool.
    pub(super) fn get(&self, asker: &Asker, tool: &str) -> Option<Tool> {
        self.schemas_of(self.definitions.get(asker, tool)?)
    }

    /// Remembers a definition that passes.
    pub(super) fn learn(&self, asker: &Asker, definition: &Value) {
        self.definitions.learn(asker, definition);
    }

    /// What the upstream says now.
    pub(super) async fn ask(&self, request: &Request, inner: &RouteService, tool: &str) -> Result<Tool, Unusable> {
        let digests = self.definitions.ask(request, inner, tool).await.ok_or(Unusable::Unknown)?;
        self.schemas_of(digests).ok_or(Unusable::NoRoom)
    }

    /// None where one of them had to make room for others.
    fn schemas_of(&self, digests: Digests) -> Option<Tool> {
        let of = |digest: Digest| self.schemas.get(&digest);
        Some(Tool {
            input: match digests.input {
                Some(digest) => Ok(of(digest)?),
                None => Err(Unusable::Missing),
            },
            output: match digests.output {
                Some(digest) => Some(of(digest)?),
                None => None,
            },
        })
    }
}

/// Of a schema that is too long only its length is kept.
fn keep(schemas: &Schemas, schema: &Value, longest: usize) -> Option<Digest> {
    if schema.is_null() {
        return None;
    }
    let text = schema.to_string();
    let name: Digest = digest(&SHA256, text.as_bytes()).as_ref().try_into().ok()?;
    if !schemas.contains_key(&name) {
        let source = if text.len() > longest { Value::Null } else { schema.clone() };
        schemas.insert(name, Arc::new(Schema::new(source, text.len())));
    }
    Some(name)
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}
