//! The rows of the audit log, and the keys that sign its checkpoints.

use std::{fmt, fmt::Write, sync::LazyLock};

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Store, StoreError, Tenant, Work,
    sql::{Record, Row, Value, values},
};

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// The chain that it is in.
    pub chain: String,
    /// Its place there, from 1.
    pub number: i64,
    /// When it was made.
    pub at: Timestamp,
    /// All of it, as JSON on one line.
    pub line: String,
}

/// How far a chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The chain.
    pub chain: String,
    /// The number of its last row.
    pub number: i64,
    /// The hash of that, in hexadecimal.
    pub hash: String,
    /// When it was made.
    pub at: Timestamp,
}

/// A key that signs checkpoints. Printing it shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditKeyRecord {
    /// Names it.
    pub kid: String,
    /// The private key; sealed at rest.
    pub private: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for AuditKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

const PRIVATE: &str = "audit_keys.sealed_private";

/// Rows of one statement, the most first: a statement costs about as much as all the rows in it.
static INSERTS: LazyLock<[(usize, String); 3]> = LazyLock::new(|| [64, 8, 1].map(|rows| (rows, insert(rows))));

fn insert(rows: usize) -> String {
    let mut sql = "INSERT INTO audit_rows (tenant, chain, number, at, line) VALUES ".to_owned();
    for row in 0..rows {
        let (comma, first) = (if row == 0 { "" } else { ", " }, 3 + 3 * row);
        let _ = write!(sql, "{comma}($1, $2, ${first}, ${}, ${})", first + 1, first + 2);
    }
    sql
}

impl AuditRow {
    fn values(&self) -> [Value<'_>; 3] {
        [Value::from(&self.number), Value::from(&self.at), Value::from(&self.line)]
    }
}

impl Record for AuditRow {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { chain: row.get("chain")?, number: row.get("number")?, at: row.at("at")?, line: row.get("line")? })
    }
}

impl Record for AuditHead {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { chain: row.get("chain")?, number: row.get("number")?, hash: row.get("hash")?, at: row.at("at")? })
    }
}

impl Record for AuditKeyRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let kid: String = row.get("kid")?;
        Ok(Self { private: row.open(PRIVATE, &kid)?, kid, created_at: row.at("created_at")? })
    }
}

impl Store {
    /// The next `limit` rows after this place, by chain and number; the first ones, after `("", 0)`.
    pub async fn audit_rows(
        &self,
        tenant: &Tenant,
        after: (&str, i64),
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const NEXT: &str = "SELECT * FROM audit_rows WHERE tenant = $1 AND (chain, number) > ($2, $3) \
                            ORDER BY chain, number LIMIT $4";
        let ((chain, number), limit) = (after, i64::from(limit));
        self.all(tenant, NEXT, values![chain, number, limit]).await
    }

    /// The next `limit` rows from the newest on: those before this one, and not older than `since`.
    pub async fn audit_rows_back(
        &self,
        tenant: &Tenant,
        before: (Timestamp, &str, i64),
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const BACK: &str = "SELECT * FROM audit_rows WHERE tenant = $1 AND at >= $5 AND at <= $2 \
                            AND (at, chain, number) < ($2, $3, $4) ORDER BY at DESC, chain DESC, number DESC LIMIT $6";
        let ((at, chain, number), limit) = (before, i64::from(limit));
        self.all(tenant, BACK, values![at, chain, number, since, limit]).await
    }

    /// How far a chain is, if it is there.
    pub async fn audit_head(&self, tenant: &Tenant, chain: &str) -> Result<Option<AuditHead>, StoreError> {
        const READ: &str = "SELECT * FROM audit_chains WHERE tenant = $1 AND chain = $2";
        self.one(tenant, READ, values![chain]).await
    }

    /// How far the `limit` chains are that were written to last.
    pub async fn audit_heads(&self, tenant: &Tenant, limit: u32) -> Result<Vec<AuditHead>, StoreError> {
        const LATEST: &str = "SELECT * FROM audit_chains WHERE tenant = $1 ORDER BY at DESC, chain LIMIT $2";
        let limit = i64::from(limit);
        self.all(tenant, LATEST, values![limit]).await
    }

    /// Deletes up to `limit` rows that are older, the oldest first; how many it were. No row of a chain is older than the one
    /// before it, so each chain loses its beginning.
    pub async fn sweep_audit(&self, tenant: &Tenant, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SWEEP: &str = "DELETE FROM audit_rows WHERE tenant = $1 AND (chain, number) IN (SELECT chain, number \
             FROM audit_rows WHERE tenant = $1 AND at < $2 ORDER BY at, chain, number LIMIT $3)";
        let limit = i64::from(limit);
        let mut work = self.begin(tenant).await?;
        let swept = work.run(SWEEP, values![before, limit]).await?;
        work.commit().await?;
        Ok(swept)
    }

    /// The keys that sign checkpoints, or did; the newest last.
    pub async fn audit_keys(&self, tenant: &Tenant) -> Result<Vec<AuditKeyRecord>, StoreError> {
        const ALL: &str = "SELECT * FROM audit_keys WHERE tenant = $1 ORDER BY created_at, kid";
        self.all(tenant, ALL, values![]).await
    }
}

impl Work {
    /// Adds rows to a chain; fails if there is one with such a number already.
    pub async fn insert_audit_rows(&mut self, chain: &str, mut rows: &[AuditRow]) -> Result<(), StoreError> {
        for (most, sql) in &*INSERTS {
            while let Some((some, rest)) = rows.split_at_checked(*most) {
                let mut values = vec![Value::from(&chain)];
                values.extend(some.iter().flat_map(AuditRow::values));
                self.run(sql, &values).await?;
                rows = rest;
            }
        }
        Ok(())
    }

    /// Says how far a chain is.
    pub async fn put_audit_head(&mut self, head: &AuditHead) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO audit_chains (tenant, chain, number, hash, at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, chain) DO UPDATE SET number = excluded.number, hash = excluded.hash, at = excluded.at";
        let AuditHead { chain, number, hash, at } = head;
        self.run(PUT, values![*chain, *number, *hash, *at]).await?;
        Ok(())
    }

    /// Keeps a new key.
    pub async fn insert_audit_key(&mut self, key: &AuditKeyRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO audit_keys (tenant, kid, sealed_private, created_at) VALUES ($1, $2, $3, $4)";
        let private = self.owner.seal(PRIVATE, &key.kid, &key.private);
        self.run(INSERT, values![key.kid, private, key.created_at]).await?;
        Ok(())
    }
}
