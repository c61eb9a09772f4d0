//! What came of looking, as programs read it: on the command line, and by the REST API.

use schemars::JsonSchema;
use serde::Serialize;

use super::Verdict;

/// Are the rows what was written?
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditVerdict")]
pub struct VerdictJson {
    /// Rows that were looked at.
    rows: u64,
    /// Chains that they are in.
    chains: usize,
    /// What was changed. There is none in a log that nobody changed.
    findings: Vec<FindingJson>,
    /// What cannot be proved.
    notes: Vec<String>,
}

/// Something that was changed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditFinding")]
struct FindingJson {
    /// `edited`, `deleted`, `reordered` or `forged`.
    kind: &'static str,
    /// The chain.
    chain: String,
    /// The first row that is wrong.
    number: i64,
    /// In a sentence.
    why: String,
}

impl From<Verdict> for VerdictJson {
    fn from(verdict: Verdict) -> Self {
        let Verdict { rows, chains, findings, notes } = verdict;
        let findings = findings.into_iter().map(|found| FindingJson {
            kind: found.kind.name(),
            chain: found.chain,
            number: found.number,
            why: found.why,
        });
        Self { rows, chains, findings: findings.collect(), notes }
    }
}
