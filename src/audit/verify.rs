//! Are the rows what was written? Row by row, with nothing but the rows and a public key.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{
    chain::{is_none, taken_apart},
    key::PublicKey,
    line,
};
use crate::store::{AuditRow, Digest, Store, StoreError, Tenant};

/// Findings that are kept.
const MOST: usize = 100;

/// Looks at rows, in the order of their chains.
#[derive(Debug, Default)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    /// Are the keys those that the rows name themselves?
    takes_their_word: bool,
    chains: BTreeMap<String, Progress>,
    /// Ends of chains that others name: whose, which, and how far it was.
    ends: Vec<(String, String, i64, String)>,
    verdict: Verdict,
}

/// Where a chain is.
#[derive(Debug, Default)]
struct Progress {
    first: i64,
    number: i64,
    hash: String,
    /// The last row that a checkpoint signs.
    signed: i64,
    is_closed: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Rows that were looked at.
    pub rows: u64,
    /// Chains that they are in.
    pub chains: usize,
    /// What was changed, the first one first.
    pub findings: Vec<Finding>,
    /// What cannot be proved.
    pub notes: Vec<String>,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How.
    pub kind: Kind,
    /// The chain.
    pub chain: String,
    /// The first row that is wrong.
    pub number: i64,
    /// In a sentence.
    pub why: String,
}

/// How a log was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row does not say what it said.
    Edited,
    /// Rows are not there any more.
    Deleted,
    /// Rows stand in another order, or twice.
    Reordered,
    /// A checkpoint is not signed by the key: all that it covers may be made up.
    Forged,
}

impl Kind {
    /// As shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Reordered => "reordered",
            Self::Forged => "forged",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, chain, number, why } = self;
        write!(f, "{}: chain {chain}, row {number}: {why}", kind.name())
    }
}

/// What a row says of its place.
struct Place<'a> {
    chain: &'a str,
    number: i64,
    previous: &'a str,
    kind: &'a str,
    hash: &'a str,
}

/// Rows that are read at once from the store.
const PAGE: u32 = 1000;

/// All rows of the store, chain by chain, a page at a time.
#[derive(Debug)]
pub struct AllRows<'a> {
    store: &'a Store,
    tenant: &'a Tenant,
    after: (String, i64),
}

impl<'a> AllRows<'a> {
    /// From the first one on.
    pub fn of(store: &'a Store, tenant: &'a Tenant) -> Self {
        Self { store, tenant, after: (String::new(), 0) }
    }

    /// The next ones; none, after the last.
    pub async fn next(&mut self) -> Result<Vec<AuditRow>, StoreError> {
        let (chain, number) = &self.after;
        let rows = self.store.audit_rows(self.tenant, (chain, *number), PAGE).await?;
        if let Some(last) = rows.last() {
            self.after = (last.chain.clone(), last.number);
        }
        Ok(rows)
    }
}

impl Verifier {
    /// With these keys; without any, with those that the rows name.
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { takes_their_word: keys.is_empty(), keys, ..Self::default() }
    }

    /// A row of the store, of which the columns must say what its line does.
    pub fn row(&mut self, row: &AuditRow) {
        let AuditRow { chain, number, at, line } = row;
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        let (said_chain, said_number) = (value["chain"].as_str(), value["number"].as_i64());
        if said_chain.is_some_and(|said| said != chain) || said_number.is_some_and(|said| said != *number) {
            let why = format!(
                "the row of chain {}, number {} stands in its place",
                said_chain.unwrap_or_default(),
                said_number.unwrap_or_default()
            );
            self.verdict.rows += 1;
            self.find(Kind::Reordered, chain, *number, why);
            return self.skip_to(chain, *number, line);
        }
        if taken_apart(line).is_some() && value["at"].as_str() != Some(&*line::date(*at)) {
            self.find(Kind::Edited, chain, *number, "its column `at` is not what its line says".to_owned());
        }
        self.look(line, &value, Some((chain, *number)));
    }

    /// A line of an exported file; `number` is the line's.
    pub fn line(&mut self, line: &str, number: u64) {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        if value["kind"] == "key" && value["chain"].is_null() {
            return self.hear_of_key(&value["key"]);
        }
        let at = i64::try_from(number).unwrap_or(i64::MAX);
        let place = value["chain"].as_str().zip(value["number"].as_i64()).unwrap_or(("(line of the file)", at));
        self.look(line, &value, Some(place));
    }

    /// What came of all of it.
    pub fn finish(mut self) -> Verdict {
        for (by, chain, number, hash) in std::mem::take(&mut self.ends) {
            self.check_end(&by, &chain, number, &hash);
        }
        let notes: Vec<_> = self.chains.iter().flat_map(|(chain, progress)| progress.notes(chain)).collect();
        self.verdict.notes.extend(notes);
        if self.takes_their_word && self.verdict.rows > 0 {
            self.verdict.notes.push(
                "the key is the one that the rows name themselves: give the gateway's own with --key \
                 (`portcullis audit key` prints it) to prove that nobody has made up the whole"
                    .to_owned(),
            );
        }
        self.verdict.chains = self.chains.len();
        self.verdict
    }

    fn look(&mut self, line: &str, value: &Value, place: Option<(&str, i64)>) {
        self.verdict.rows += 1;
        let (chain, number) = place.unwrap_or_default();
        let Some(read) = read(line, value) else {
            self.find(Kind::Edited, chain, number, "it is no row of an audit log".to_owned());
            return self.skip_to(chain, number, line);
        };
        let (body, hash) = taken_apart(line).unwrap_or_default();
        let sum = Digest::of(body.as_bytes()).to_string();
        if sum != hash {
            self.find(Kind::Edited, chain, number, "its hash is not that of its content".to_owned());
            return self.skip_to(chain, number, line);
        }
        if self.follows(&read) {
            match read.kind {
                "began" => self.began(&read, value),
                "checkpoint" => self.checkpoint(&read, value),
                _ => {}
            }
        }
    }

    /// Does the row stand where it stood? What comes after it is compared with it, whether or not.
    fn follows(&mut self, row: &Place<'_>) -> bool {
        let Some(last) = self.chains.get(row.chain) else {
            let progress =
                Progress { first: row.number, number: row.number, hash: row.hash.to_owned(), ..Progress::default() };
            let is_first = row.number == 1;
            self.chains.insert(row.chain.to_owned(), progress);
            if is_first != is_none(row.previous) {
                let why = "the hash of the row before it does not fit its number".to_owned();
                self.find(Kind::Edited, row.chain, row.number, why);
            }
            return true;
        };
        let (number, is_linked) = (last.number, last.hash.is_empty() || last.hash == row.previous);
        let next = number + 1;
        if row.number <= number {
            let why = format!("it stands after row {number}");
            self.find(Kind::Reordered, row.chain, row.number, why);
            return false;
        }
        if row.number > next {
            let why = match row.number - next {
                1 => "it is not there any more".to_owned(),
                more => format!("it and the {} after it are not there any more", more - 1),
            };
            self.find(Kind::Deleted, row.chain, next, why);
        } else if !is_linked {
            let why = "its hash is not the one that the row after it names: it was changed and hashed anew, or the row \
                       after it was";
            self.find(Kind::Edited, row.chain, number, why.to_owned());
        }
        if let Some(progress) = self.chains.get_mut(row.chain) {
            (progress.number, progress.hash) = (row.number, row.hash.to_owned());
        }
        true
    }

    fn began(&mut self, row: &Place<'_>, value: &Value) {
        self.hear_of_key(&value["key"]);
        for end in value["after"].as_array().into_iter().flatten() {
            if let (Some(chain), Some(number), Some(hash)) =
                (end["chain"].as_str(), end["number"].as_i64(), end["hash"].as_str())
            {
                self.ends.push((row.chain.to_owned(), chain.to_owned(), number, hash.to_owned()));
            }
        }
    }

    fn hear_of_key(&mut self, jwk: &Value) {
        if self.takes_their_word
            && let Some(key) = PublicKey::from_jwk(jwk)
            && !self.keys.contains(&key)
        {
            self.keys.push(key);
        }
    }

    fn checkpoint(&mut self, row: &Place<'_>, value: &Value) {
        let (kid, signature) =
            (value["kid"].as_str().unwrap_or_default(), value["signature"].as_str().unwrap_or_default());
        let Some(key) = self.keys.iter().find(|key| key.kid == kid) else {
            let why = format!("it is signed with the key {kid:?}, which is not one of those that were given");
            return self.find(Kind::Forged, row.chain, row.number, why);
        };
        if !key.verifies(row.chain, row.number, row.previous, signature) {
            let why =
                "its signature does not fit: a row before it was changed, and what follows was hashed anew".to_owned();
            return self.find(Kind::Forged, row.chain, row.number, why);
        }
        if let Some(progress) = self.chains.get_mut(row.chain) {
            progress.signed = row.number;
            progress.is_closed = value["last"] == true;
        }
    }

    /// A chain must be as long at least as another one saw it.
    fn check_end(&mut self, by: &str, chain: &str, number: i64, hash: &str) {
        match self.chains.get(chain) {
            None => self.verdict.notes.push(format!(
                "chain {chain} (rows 1 to {number}), which chain {by} names, is not here: it was removed when its time was \
                 over, or deleted"
            )),
            Some(last) if last.number < number => {
                let (first, why) = (last.number + 1, format!("chain {by} names {number} rows of this chain, and the last ones are gone"));
                self.find(Kind::Deleted, chain, first, why);
            }
            Some(last) if last.number == number && !last.hash.is_empty() && last.hash != hash => {
                let why = format!("chain {by} names another hash for it");
                self.find(Kind::Edited, chain, number, why);
            }
            Some(_) => {}
        }
    }

    /// Goes on after a row that says nothing of itself.
    fn skip_to(&mut self, chain: &str, number: i64, line: &str) {
        let hash = taken_apart(line).map(|(_, hash)| hash.to_owned()).unwrap_or_default();
        let progress =
            self.chains.entry(chain.to_owned()).or_insert_with(|| Progress { first: number, ..Progress::default() });
        if number > progress.number {
            (progress.number, progress.hash) = (number, hash);
        }
    }

    fn find(&mut self, kind: Kind, chain: &str, number: i64, why: String) {
        if self.verdict.findings.len() < MOST {
            self.verdict.findings.push(Finding { kind, chain: chain.to_owned(), number, why });
        }
    }
}

impl Progress {
    /// What nobody can prove of this chain.
    fn notes(&self, chain: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.first > 1 {
            notes.push(format!(
                "chain {chain} begins with row {}: those before it were removed when their time was over, or deleted",
                self.first
            ));
        }
        let unsigned = self.number - self.signed;
        if unsigned > 0 {
            notes.push(format!("chain {chain}: the last {unsigned} rows are not signed yet"));
        }
        if !self.is_closed {
            notes.push(format!(
                "chain {chain} has no end: whether rows after {} were cut off cannot be proved before the next chain names it",
                self.number
            ));
        }
        notes
    }
}

fn read<'a>(line: &'a str, value: &'a Value) -> Option<Place<'a>> {
    Some(Place {
        chain: value["chain"].as_str()?,
        number: value["number"].as_i64()?,
        previous: value["previous"].as_str()?,
        kind: value["kind"].as_str()?,
        hash: taken_apart(line)?.1,
    })
}
