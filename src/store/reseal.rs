//! Rotating the master key: what an earlier key has sealed is sealed anew under the current one.
//!
//! It goes on beside everything else, in small units of work. A value is replaced only if it is still what was read, so
//! whoever writes at the same time wins; and it can be killed and begun again at any time, for a value tells which key opens
//! it. Where a record has a data key, only that one is sealed anew.

use std::time::Duration;

use super::{
    Store, StoreError, Tenant, every,
    seal::KeyId,
    sealed_columns::{COLUMNS, Column, Found, TENANTS},
    sql::{Id, Record, Row, Value, values},
    work::Work,
};

/// Values of one transaction: others wait while it runs.
const BATCH: i64 = 100;
/// How often to look for what another node has sealed with an earlier key meanwhile.
const PAUSE: Duration = Duration::from_hours(1);

/// What came of sealing anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values that are sealed under the current key now.
    pub values: u64,
    /// Values that do not open, though their key is at hand. They were left as they are.
    pub unreadable: u64,
}

/// How much in the store needs a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Names the key; says nothing about it. In hexadecimal.
    pub id: String,
    /// What it is for at present.
    pub role: KeyRole,
    /// Values that are sealed with it.
    pub values: u64,
}

/// What a master key is for at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Seals and opens.
    Current,
    /// Opens what it has sealed.
    Earlier,
    /// Is not at hand.
    Missing,
}

struct Counted(KeyId, u64);

impl Record for Counted {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = KeyId::try_from(row.get::<Vec<u8>>("key_id")?.as_slice());
        let id = id.map_err(|_| StoreError::corrupt("a sealed value is too short"))?;
        u64::try_from(row.get::<i64>("n")?).map(|n| Self(id, n)).map_err(StoreError::corrupt)
    }
}

impl Store {
    /// How much is sealed with which master key, over all tenants; the keys that are at hand first.
    pub async fn key_uses(&self) -> Result<Vec<KeyUse>, StoreError> {
        let mut uses: Vec<(KeyId, u64)> = self.sealer.key_ids().map(|id| (id, 0)).collect();
        for tenant in self.tenants().await? {
            for column in COLUMNS {
                for Counted(id, values) in self.all(&tenant, column.count, values![]).await? {
                    match uses.iter_mut().find(|(known, _)| *known == id) {
                        Some((_, sum)) => *sum += values,
                        None => uses.push((id, values)),
                    }
                }
            }
        }
        let at_hand: Vec<_> = self.sealer.key_ids().collect();
        let role = |id| match at_hand.iter().position(|known| *known == id) {
            Some(0) => KeyRole::Current,
            Some(_) => KeyRole::Earlier,
            None => KeyRole::Missing,
        };
        let shown = |(id, values)| KeyUse { id: format!("{:08x}", u32::from_be_bytes(id)), role: role(id), values };
        Ok(uses.into_iter().map(shown).collect())
    }

    /// Seals anew, under the current master key, all that the earlier ones at hand have sealed. `progress` is told after each
    /// step how far it is.
    pub async fn reseal(&self, mut progress: impl FnMut(Resealed)) -> Result<Resealed, StoreError> {
        let mut sum = Resealed::default();
        for tenant in self.tenants().await? {
            for key in self.sealer.key_ids().skip(1) {
                for column in COLUMNS {
                    let mut skip = 0;
                    while let Some(step) = self.reseal_some(&tenant, column, key, skip).await? {
                        skip += i64::try_from(step.unreadable).unwrap_or(i64::MAX);
                        sum = sum.and(step);
                        progress(sum);
                    }
                }
            }
        }
        Ok(sum)
    }

    /// One step; `None`, if there was nothing left.
    async fn reseal_some(
        &self,
        tenant: &Tenant,
        column: &Column,
        key: KeyId,
        skip: i64,
    ) -> Result<Option<Resealed>, StoreError> {
        let mut work = self.begin(tenant).await?;
        let found = column.find(&mut work, &key, BATCH, skip).await?;
        if found.is_empty() {
            return Ok(None);
        }
        let mut step = Resealed::default();
        for found in &found {
            match work.reseal(column, found).await? {
                Some(replaced) => step.values += replaced,
                None => step.unreadable += 1,
            }
        }
        work.commit().await?;
        Ok(Some(step))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let names = self.all(&Tenant::DEFAULT, TENANTS, values![]).await?;
        Ok(names.into_iter().map(|Id(name)| Tenant::new(name)).collect())
    }

    /// Seals anew in the background, for as long as earlier keys are at hand; the log says when they may go.
    pub async fn keep_resealing(self) {
        if self.sealer.key_ids().nth(1).is_none() {
            return;
        }
        every(PAUSE, "some values stay sealed with an earlier key, which must be kept", async || {
            let resealed = self.reseal(|_| {}).await?;
            resealed.log();
            Ok(())
        })
        .await;
    }
}

impl Work {
    /// Seals one value anew, unless somebody else has just changed it; `None`, if it does not open.
    async fn reseal(&mut self, column: &Column, found: &Found) -> Result<Option<u64>, StoreError> {
        let context = self.owner.context(&found.place());
        let sealer = &self.owner.sealer;
        let Ok(plain) = sealer.open(column.name, &context, &found.sealed) else { return Ok(None) };
        let fresh = sealer.seal(column.name, &context, &plain);
        let values: Vec<_> =
            [Value::from(&fresh), Value::from(&found.sealed)].into_iter().chain(found.values()).collect();
        self.run(column.replace, &values).await.map(Some)
    }
}

impl Resealed {
    fn and(self, other: Self) -> Self {
        Self { values: self.values + other.values, unreadable: self.unreadable + other.unreadable }
    }

    fn log(self) {
        let Self { values, unreadable } = self;
        if unreadable > 0 {
            tracing::error!(
                values,
                unreadable,
                "some values of the store do not open with the key that has sealed them"
            );
        } else {
            tracing::info!(
                values,
                "all that the store holds is sealed with the current key; the earlier ones may be taken out of the configuration"
            );
        }
    }
}
