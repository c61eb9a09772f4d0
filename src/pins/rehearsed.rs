//! Pins for calls that are only rehearsed: what is pinned counts, and nothing is.

use std::sync::Arc;

use portcullis_policies::kit::{
    pins::{Definition, GoodPin, NoPins, Pinned, Pins, Recalling, Sighting, ToolPin},
    rehearsal::Trace,
};

use super::unavailable;
use crate::store::{Store, Tenant};

/// Reads what is pinned. Where there is no store yet, that is nothing.
#[derive(Debug)]
pub struct Rehearsed {
    store: Option<Store>,
    tenant: Tenant,
    trace: Trace,
}

impl Rehearsed {
    /// What `store` says, to whoever looks at `trace`.
    pub fn new(store: Option<Store>, tenant: Tenant, trace: Trace) -> Self {
        Self { store, tenant, trace }
    }

    async fn read(&self, upstream: &str) -> Result<Arc<Pinned>, NoPins> {
        let Some(store) = &self.store else { return Ok(Arc::default()) };
        let pinned = store.pinned(&self.tenant, upstream).await.map_err(|error| unavailable(&error))?;
        Ok(pinned.1)
    }
}

impl Pins for Rehearsed {
    fn recall<'a>(&'a self, upstream: &'a str) -> Recalling<'a> {
        Recalling::Pending(Box::pin(self.read(upstream)))
    }

    fn begin<'a>(&'a self, _: &'a str, first: Vec<Definition>) -> Recalling<'a> {
        self.trace.note("nothing is pinned yet: the first list would be");
        let pin = |digest| ToolPin { good: Some(GoodPin { digest, is_approved: false }), waiting: None };
        let tools = first.into_iter().map(|definition| (definition.tool.into(), pin(definition.digest)));
        Recalling::Ready(Ok(Arc::new(Pinned { has_begun: true, tools: tools.collect() })))
    }

    fn note(&self, _: &str, _: Vec<Sighting>) {}
}
