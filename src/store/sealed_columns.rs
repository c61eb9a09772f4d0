//! All columns that the master key seals, with the statements that sealing them anew takes.

use std::fmt;

use super::{
    Digest, StoreError, Work, seal,
    sql::{Record, Row, Value, values},
};

/// A sealed column, and the statements about it.
pub(super) struct Column {
    /// As the records name it.
    pub(super) name: &'static str,
    names: Names,
    /// How many values there are (`n`) of each key (`key_id`).
    pub(super) count: &'static str,
    /// The next values (`$3`, after `$4`) of a key (`$2`).
    find: &'static str,
    /// Puts `$2` in the place of `$3`, in the row that is named by `$4` and so on.
    pub(super) replace: &'static str,
}

/// What names a row.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// A digest.
    Digest,
    /// So many texts.
    Texts(usize),
}

macro_rules! column {
    ($table:literal $column:literal, digest $a:literal) => {
        column!(@ Names::Digest, $table, $column, concat!($a, " AS digest"), concat!($a, " = $4"))
    };
    ($table:literal $column:literal, by $a:literal) => {
        column!(@ Names::Texts(1), $table, $column, concat!($a, " AS a, '' AS b, '' AS c"), concat!($a, " = $4"))
    };
    ($table:literal $column:literal, by $a:literal $b:literal) => {
        column!(@ Names::Texts(2), $table, $column, concat!($a, " AS a, ", $b, " AS b, '' AS c"),
            concat!($a, " = $4 AND ", $b, " = $5"))
    };
    ($table:literal $column:literal, by $a:literal $b:literal $c:literal) => {
        column!(@ Names::Texts(3), $table, $column, concat!($a, " AS a, ", $b, " AS b, ", $c, " AS c"),
            concat!($a, " = $4 AND ", $b, " = $5 AND ", $c, " = $6"))
    };
    (@ $names:expr, $table:literal, $column:literal, $read:expr, $row:expr) => {
        Column {
            name: concat!($table, ".", $column),
            names: $names,
            count: concat!(
                "SELECT substr(", $column, ", 2, 4) AS key_id, count(*) AS n FROM ", $table,
                " WHERE tenant = $1 AND ", $column, " IS NOT NULL GROUP BY substr(", $column, ", 2, 4)"
            ),
            find: concat!(
                "SELECT ", $column, " AS sealed, ", $read, " FROM ", $table,
                " WHERE tenant = $1 AND substr(", $column, ", 2, 4) = $2 LIMIT $3 OFFSET $4"
            ),
            replace: concat!(
                "UPDATE ", $table, " SET ", $column, " = $2 WHERE tenant = $1 AND ", $column, " = $3 AND ", $row
            ),
        }
    };
}

/// All that is sealed under the master key itself, but for the check that tells whether it is the right one.
pub(super) const COLUMNS: &[Column] = &[
    column!("logins" "sealed_secret", digest "state_digest"),
    column!("sessions" "sealed_identity", digest "id_digest"),
    column!("accounts" "sealed_identity", by "provider" "subject"),
    column!("accounts" "sealed_refresh_token", by "provider" "subject"),
    column!("accounts" "sealed_id_token", by "provider" "subject"),
    column!("grants" "sealed_identity", by "id"),
    column!("signing_keys" "sealed_private", by "kid"),
    column!("connections" "sealed_data_key", by "upstream" "subject" "id"),
    column!("connect_flows" "sealed_secret", digest "state_digest"),
    column!("upstream_clients" "sealed_data_key", digest "key_digest"),
    column!("approvals" "sealed_call", by "id"),
    column!("audit_keys" "sealed_private", by "kid"),
];

/// The one statement that is about all tenants: who they are.
pub(super) const TENANTS: &str = "SELECT tenant AS id FROM logins WHERE $1 <> '' UNION SELECT tenant FROM sessions \
    UNION SELECT tenant FROM accounts UNION SELECT tenant FROM grants UNION SELECT tenant FROM signing_keys \
    UNION SELECT tenant FROM connections UNION SELECT tenant FROM connect_flows \
    UNION SELECT tenant FROM upstream_clients UNION SELECT tenant FROM approvals UNION SELECT tenant FROM audit_keys";

/// A sealed value, and what names the row that it stands in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) sealed: Vec<u8>,
    names: Vec<Name>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Digest(Digest),
    Text(String),
}

impl Found {
    /// The row, as its record calls it where it seals.
    pub(super) fn place(&self) -> String {
        let names: Vec<_> = self.names.iter().map(Name::to_string).collect();
        seal::row(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The values that name it in a statement.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.names.iter().map(|name| match name {
            Name::Digest(digest) => Value::from(digest),
            Name::Text(text) => Value::from(text),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

struct ByDigest(Found);

impl Record for ByDigest {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let names = vec![Name::Digest(row.digest("digest")?)];
        Ok(Self(Found { sealed: row.get("sealed")?, names }))
    }
}

struct ByTexts(Found);

impl Record for ByTexts {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let names = ["a", "b", "c"].into_iter().map(|column| row.get(column).map(Name::Text));
        Ok(Self(Found { sealed: row.get("sealed")?, names: names.collect::<Result<_, _>>()? }))
    }
}

impl Column {
    /// The next `limit` values that the key has sealed, after the first `skip`, in an order that is the same for all who look.
    pub(super) async fn find(
        &self,
        work: &mut Work,
        key: &[u8],
        limit: i64,
        skip: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let key = key.to_vec();
        let values = values![key, limit, skip];
        let mut found: Vec<Found> = match self.names {
            Names::Digest => work.all(self.find, values).await?.into_iter().map(|ByDigest(found)| found).collect(),
            Names::Texts(_) => work.all(self.find, values).await?.into_iter().map(|ByTexts(found)| found).collect(),
        };
        if let Names::Texts(count) = self.names {
            for found in &mut found {
                found.names.truncate(count);
            }
        }
        // Two nodes that seal anew at the same time wait for each other in the same order.
        found.sort();
        Ok(found)
    }
}
