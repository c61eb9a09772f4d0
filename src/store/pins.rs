//! Pinned definitions of upstreams' tools.
//!
//! Each change of anything that is kept of an upstream counts its `revision` up, so that what was read before is not taken for what
//! is there now.

use std::sync::Arc;

use portcullis_policies::kit::{
    clock::Timestamp,
    pins::{Definition, GoodPin, Pinned, Standing, ToolDigest, ToolPin},
};

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Count, Record, Row, values},
};

/// Tools that are kept of one upstream.
const MOST_TOOLS: u64 = 2_000;

const PIN: &str = "SELECT * FROM tool_pins WHERE tenant = $1 AND upstream = $2 AND tool = $3";

/// What is kept of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRecord {
    /// The upstream.
    pub upstream: String,
    /// The tool's name.
    pub tool: String,
    /// The definition that is good.
    pub good: Option<Kept>,
    /// Who approved it; nobody, if it was there first.
    pub approved_by: Option<String>,
    /// Another one that was seen since.
    pub waiting: Option<Kept>,
    /// What is done about that.
    pub standing: Option<Standing>,
    /// What is suspicious in that.
    pub flags: Vec<String>,
}

/// Which tools are wanted. What is not said fits all.
#[derive(Clone, Copy, Debug, Default)]
pub struct WantedPins<'a> {
    /// Of this upstream.
    pub upstream: Option<&'a str>,
    /// Only those of which a definition waits.
    pub waiting: bool,
}

/// A definition that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its canonical text.
    pub text: String,
    /// Its digest.
    pub digest: ToolDigest,
    /// Since when.
    pub at: Timestamp,
}

/// The revision of what is kept of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedUpstream {
    /// The upstream.
    pub upstream: String,
    /// Counts changes.
    pub revision: i64,
    /// When its first list was pinned.
    pub began_at: Option<Timestamp>,
}

impl Record for PinRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let standing = row.get::<Option<String>>("standing")?;
        let standing = standing.map(|name| {
            let known = Standing::ALL.into_iter().find(|standing| standing.name() == name);
            known.ok_or_else(|| StoreError::corrupt(format!("a definition is `{name}`")))
        });
        let flags = row.get::<Option<String>>("flags")?;
        Ok(Self {
            upstream: row.get("upstream")?,
            tool: row.get("tool")?,
            good: kept(row, "definition", "digest", "pinned_at")?,
            approved_by: row.get("approved_by")?,
            waiting: kept(row, "waiting", "waiting_digest", "seen_at")?,
            standing: standing.transpose()?,
            flags: flags.iter().flat_map(|flags| flags.lines()).map(str::to_owned).collect(),
        })
    }
}

fn kept(row: &Row<'_>, text: &str, digest: &str, at: &str) -> Result<Option<Kept>, StoreError> {
    let Some(text) = row.get::<Option<String>>(text)? else { return Ok(None) };
    let at = row.maybe_at(at)?.unwrap_or_default();
    Ok(Some(Kept { text, digest: ToolDigest(*row.digest(digest)?.as_bytes()), at }))
}

impl Record for PinnedUpstream {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { upstream: row.get("upstream")?, revision: row.get("revision")?, began_at: row.maybe_at("began_at")? })
    }
}

impl PinRecord {
    fn pin(&self) -> ToolPin {
        let good = self.good.as_ref();
        ToolPin {
            good: good.map(|good| GoodPin { digest: good.digest, is_approved: self.approved_by.is_some() }),
            waiting: self.waiting.as_ref().map(|kept| kept.digest).zip(self.standing),
        }
    }
}

impl Store {
    /// What is pinned of an upstream, and the revision that it has at least.
    pub async fn pinned(&self, tenant: &Tenant, upstream: &str) -> Result<(i64, Arc<Pinned>), StoreError> {
        const READ: &str = "SELECT * FROM pinned_upstreams WHERE tenant = $1 AND upstream = $2";
        // Read first: what changes between the two is then read once more, and not missed.
        let state: Option<PinnedUpstream> = self.one(tenant, READ, values![upstream]).await?;
        let Some(state) = state else { return Ok((0, Arc::default())) };
        let tools = self.pins_of(tenant, upstream).await?;
        let tools = tools.into_iter().map(|record| (record.tool.as_str().into(), record.pin())).collect();
        Ok((state.revision, Arc::new(Pinned { has_begun: state.began_at.is_some(), tools })))
    }

    /// All that is kept of an upstream's tools, by name.
    pub async fn pins_of(&self, tenant: &Tenant, upstream: &str) -> Result<Vec<PinRecord>, StoreError> {
        const OF: &str = "SELECT * FROM tool_pins WHERE tenant = $1 AND upstream = $2 ORDER BY tool";
        self.all(tenant, OF, values![upstream]).await
    }

    /// The next `limit` tools after this one by upstream and name, of those that are wanted; the first ones, after `("", "")`.
    pub async fn pins(
        &self,
        tenant: &Tenant,
        wanted: WantedPins<'_>,
        (upstream, tool): (&str, &str),
        limit: u32,
    ) -> Result<Vec<PinRecord>, StoreError> {
        const NEXT: &str = "SELECT * FROM tool_pins WHERE tenant = $1 AND (upstream, tool) > ($2, $3) \
             AND ($4 = '' OR upstream = $4) AND ($5 = 0 OR waiting IS NOT NULL) ORDER BY upstream, tool LIMIT $6";
        let (of, waiting, limit) = (wanted.upstream.unwrap_or_default(), i64::from(wanted.waiting), i64::from(limit));
        self.all(tenant, NEXT, values![upstream, tool, of, waiting, limit]).await
    }

    /// What is kept of a tool.
    pub async fn pin(&self, tenant: &Tenant, upstream: &str, tool: &str) -> Result<Option<PinRecord>, StoreError> {
        self.one(tenant, PIN, values![upstream, tool]).await
    }

    /// All upstreams of which something is kept.
    pub async fn pinned_upstreams(&self, tenant: &Tenant) -> Result<Vec<PinnedUpstream>, StoreError> {
        self.all(tenant, "SELECT * FROM pinned_upstreams WHERE tenant = $1 ORDER BY upstream", values![]).await
    }

    /// Upstreams of which something has changed at `since` or later: how other nodes learn of it.
    pub async fn changed_pins(&self, tenant: &Tenant, since: Timestamp) -> Result<Vec<PinnedUpstream>, StoreError> {
        const SINCE: &str = "SELECT * FROM pinned_upstreams WHERE tenant = $1 AND changed_at >= $2 ORDER BY changed_at";
        self.all(tenant, SINCE, values![since]).await
    }
}

impl Work {
    /// Something changes of an upstream. Whoever else changes it waits until this work is done.
    pub async fn touch_pins(&mut self, upstream: &str) -> Result<(), StoreError> {
        const TOUCH: &str = "INSERT INTO pinned_upstreams (tenant, upstream, revision, changed_at) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (tenant, upstream) DO UPDATE SET revision = pinned_upstreams.revision + 1, \
             changed_at = excluded.changed_at";
        let now = self.clock.now();
        self.run(TOUCH, values![upstream, now]).await?;
        Ok(())
    }

    /// The first list of an upstream is being pinned; `false` if one was before.
    pub async fn begin_pins(&mut self, upstream: &str) -> Result<bool, StoreError> {
        const BEGIN: &str = "UPDATE pinned_upstreams SET began_at = $3 \
                             WHERE tenant = $1 AND upstream = $2 AND began_at IS NULL";
        self.touch_pins(upstream).await?;
        let now = self.clock.now();
        Ok(self.run(BEGIN, values![upstream, now]).await? > 0)
    }

    /// Pins a definition that was there first, unless the tool has a pin.
    pub async fn pin_first(&mut self, upstream: &str, first: &Definition) -> Result<(), StoreError> {
        const PIN: &str = "INSERT INTO tool_pins (tenant, upstream, tool, definition, digest, pinned_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, upstream, tool) DO UPDATE SET \
             definition = excluded.definition, digest = excluded.digest, pinned_at = excluded.pinned_at, \
             waiting = NULL, waiting_digest = NULL, standing = NULL, flags = NULL, seen_at = NULL \
             WHERE tool_pins.digest IS NULL";
        if !self.has_room(upstream, &first.tool).await? {
            return Ok(());
        }
        let (now, digest) = (self.clock.now(), Digest::from_bytes(first.digest.0));
        self.run(PIN, values![upstream, first.tool, first.text, digest, now]).await?;
        Ok(())
    }

    /// Keeps a definition that is not the pinned one, for somebody to look at.
    pub async fn put_waiting(
        &mut self,
        upstream: &str,
        seen: &Definition,
        standing: Standing,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO tool_pins (tenant, upstream, tool, waiting, waiting_digest, standing, flags, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, upstream, tool) DO UPDATE SET \
             waiting = excluded.waiting, waiting_digest = excluded.waiting_digest, standing = excluded.standing, \
             flags = excluded.flags, seen_at = excluded.seen_at";
        let there = self.pin(upstream, &seen.tool).await?;
        let known = there.and_then(|there| there.waiting.map(|waiting| waiting.digest).zip(there.standing));
        let is_known = known.is_some_and(|(digest, known)| digest == seen.digest && known >= standing);
        if is_known || !self.has_room(upstream, &seen.tool).await? {
            return Ok(());
        }
        let (now, digest) = (self.clock.now(), Digest::from_bytes(seen.digest.0));
        let (standing, flags) = (standing.name(), seen.flags.join("\n"));
        self.run(PUT, values![upstream, seen.tool, seen.text, digest, standing, flags, now]).await?;
        Ok(())
    }

    /// Nothing waits any more of a tool: its pinned definition is there again.
    pub async fn clear_waiting(&mut self, upstream: &str, tool: &str) -> Result<(), StoreError> {
        const CLEAR: &str = "UPDATE tool_pins SET waiting = NULL, waiting_digest = NULL, standing = NULL, flags = NULL, \
             seen_at = NULL WHERE tenant = $1 AND upstream = $2 AND tool = $3 AND digest IS NOT NULL";
        self.run(CLEAR, values![upstream, tool]).await?;
        Ok(())
    }

    /// What is kept of a tool.
    pub async fn pin(&mut self, upstream: &str, tool: &str) -> Result<Option<PinRecord>, StoreError> {
        self.one(PIN, values![upstream, tool]).await
    }

    /// What waits becomes what is good, if it is still this very definition; was it so?
    pub async fn approve_pin(
        &mut self,
        upstream: &str,
        tool: &str,
        digest: ToolDigest,
        by: &str,
    ) -> Result<bool, StoreError> {
        const WAITING: &str = "UPDATE tool_pins SET definition = waiting, digest = waiting_digest, approved_by = $5, \
             pinned_at = $6, waiting = NULL, waiting_digest = NULL, standing = NULL, flags = NULL, seen_at = NULL \
             WHERE tenant = $1 AND upstream = $2 AND tool = $3 AND waiting_digest = $4 AND standing <> 'blocked'";
        const FIRST: &str = "UPDATE tool_pins SET approved_by = $5, pinned_at = $6 \
             WHERE tenant = $1 AND upstream = $2 AND tool = $3 AND digest = $4 AND approved_by IS NULL";
        self.touch_pins(upstream).await?;
        let (now, digest) = (self.clock.now(), Digest::from_bytes(digest.0));
        let values = values![upstream, tool, digest, by, now];
        Ok(self.run(WAITING, values).await? > 0 || self.run(FIRST, values).await? > 0)
    }

    /// Forgets a tool; `false` if nothing was kept of it. It is a new one when it is seen next.
    pub async fn forget_pin(&mut self, upstream: &str, tool: &str) -> Result<bool, StoreError> {
        const FORGET: &str = "DELETE FROM tool_pins WHERE tenant = $1 AND upstream = $2 AND tool = $3";
        self.touch_pins(upstream).await?;
        Ok(self.run(FORGET, values![upstream, tool]).await? > 0)
    }

    /// Forgets all tools of an upstream: its next list is the first one. How many there were.
    pub async fn forget_pins(&mut self, upstream: &str) -> Result<u64, StoreError> {
        const FORGET: &str = "DELETE FROM tool_pins WHERE tenant = $1 AND upstream = $2";
        const END: &str = "UPDATE pinned_upstreams SET began_at = NULL WHERE tenant = $1 AND upstream = $2";
        self.touch_pins(upstream).await?;
        self.run(END, values![upstream]).await?;
        self.run(FORGET, values![upstream]).await
    }

    async fn has_room(&mut self, upstream: &str, tool: &str) -> Result<bool, StoreError> {
        const OTHERS: &str = "SELECT count(*) AS n FROM tool_pins WHERE tenant = $1 AND upstream = $2 AND tool <> $3";
        let count = self.one(OTHERS, values![upstream, tool]).await?;
        Ok(count.is_none_or(|Count(others)| others < MOST_TOOLS))
    }
}
