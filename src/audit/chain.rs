//! One chain of rows: each has its number, the hash of the row before it, and its own.

use portcullis_policies::kit::clock::Timestamp;
use serde_json::{Value, json};

use super::{key::AuditKey, line};
use crate::store::{AuditHead, AuditRow, Digest};

/// What the first row has in the place of the hash of one before it.
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a chain is.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) id: String,
    /// The number of its last row.
    pub(super) number: i64,
    /// The hash of its last row.
    pub(super) hash: String,
    pub(super) at: Timestamp,
    /// Rows since the last checkpoint.
    pub(super) unsigned: u64,
    /// Is its last row the one that says so?
    pub(super) is_closed: bool,
}

impl Chain {
    pub(super) fn new(id: String) -> Self {
        Self { id, number: 0, hash: NONE.to_owned(), at: Timestamp::default(), unsigned: 0, is_closed: false }
    }

    /// The next row. `rest` is what stands in it besides its place: a JSON object. No row is older than the one before it, so
    /// that what is older than some moment is the beginning of the chain.
    pub(super) fn link(&mut self, at: Timestamp, kind: &str, rest: &str) -> AuditRow {
        let at = at.max(self.at);
        let (chain, number, previous) = (&self.id, self.number + 1, &self.hash);
        let date = line::date(at);
        let rest = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let comma = if rest.is_empty() { "" } else { "," };
        let mut line = format!(
            r#"{{"chain":"{chain}","number":{number},"previous":"{previous}","at":"{date}","kind":"{kind}"{comma}{rest}"#
        );
        self.hash = Digest::of(line.as_bytes()).to_string();
        line.push_str(r#","hash":""#);
        line.push_str(&self.hash);
        line.push_str("\"}");
        self.number = number;
        self.at = at;
        self.unsigned += 1;
        self.is_closed = false;
        AuditRow { chain: self.id.clone(), number, at, line }
    }

    /// The first row, which names the ends of other chains: that they were cut off shows here.
    pub(super) fn begin(&mut self, at: Timestamp, key: &AuditKey, others: &[AuditHead]) -> AuditRow {
        let end = |head: &AuditHead| json!({ "chain": head.chain, "number": head.number, "hash": head.hash });
        let others: Vec<Value> = others.iter().filter(|head| head.chain != self.id).map(end).collect();
        let rest = json!({ "key": key.public().to_jwk(), "after": others });
        self.link(at, "began", &rest.to_string())
    }

    /// A row in which `key` signs all those before it.
    pub(super) fn checkpoint(&mut self, at: Timestamp, key: &AuditKey, is_last: bool) -> AuditRow {
        let signature = key.sign(&self.id, self.number + 1, &self.hash);
        let rest = json!({ "kid": key.public().kid, "signature": signature, "last": is_last });
        let row = self.link(at, "checkpoint", &rest.to_string());
        self.unsigned = 0;
        self.is_closed = is_last;
        row
    }

    pub(super) fn head(&self) -> AuditHead {
        AuditHead { chain: self.id.clone(), number: self.number, hash: self.hash.clone(), at: self.at }
    }
}

/// The part of a line that its hash is of, and the hash that it names.
pub(super) fn taken_apart(line: &str) -> Option<(&str, &str)> {
    const MARK: &str = r#","hash":""#;
    let (body, hash) = line.strip_suffix("\"}")?.rsplit_once(MARK)?;
    (hash.len() == NONE.len()).then_some((body, hash))
}

/// Is it the first of its chain, by what it says of the one before?
pub(super) fn is_none(previous: &str) -> bool {
    previous == NONE
}
