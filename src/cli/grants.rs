//! `portcullis grants`: what people allowed programs to do, and taking it back.

use std::{path::Path, process::ExitCode};

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use super::stored::{self, Stored, date};
use crate::store::GrantRecord;

#[derive(Debug, Subcommand)]
pub(super) enum Grants {
    /// List the grants of a person or program.
    List {
        /// Whose, such as `https://idp.example|00u1` or `dev|ada`: the `sub` of their tokens.
        subject: String,
    },
    /// Take grants back. Running gateways know within a second.
    Revoke {
        /// A grant's id; or a subject, and all of theirs goes, their signed-in browsers too.
        #[arg(allow_hyphen_values = true)]
        what: String,
    },
}

pub(super) fn run(command: Grants, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |stored| match command {
        Grants::List { subject } => list(&stored, &subject, json).await,
        Grants::Revoke { what } => revoke(&stored, &what).await,
    })
}

async fn list(stored: &Stored, subject: &str, json: bool) -> anyhow::Result<ExitCode> {
    let grants = stored.store.grants_of(&stored.tenant, subject).await?;
    if json {
        println!("{}", Value::Array(grants.iter().map(value).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    if grants.is_empty() {
        eprintln!("Nothing was granted to {subject:?}.");
    }
    for grant in &grants {
        let state = match grant.revoked_at {
            Some(at) => format!("revoked {}", date(at)),
            None => format!("until {}", date(grant.expires_at)),
        };
        println!("{}  {}  {}  {state}", grant.id, grant.client_id, grant.resource);
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(stored: &Stored, what: &str) -> anyhow::Result<ExitCode> {
    const WHY: &str = "the operator took it back";
    let mut work = stored.store.begin(&stored.tenant).await?;
    let one = work.revoke_grant(what, WHY).await?;
    let sessions = work.delete_sessions_of(what).await?;
    let many = work.revoke_grants_of(what, WHY).await?.len();
    work.commit().await?;
    let revoked = many + usize::from(one);
    if revoked == 0 && sessions == 0 {
        bail!("{what:?} is neither a grant nor somebody who has one");
    }
    eprintln!("{revoked} grants revoked. Running gateways know within a second.");
    Ok(ExitCode::SUCCESS)
}

fn value(grant: &GrantRecord) -> Value {
    json!({
        "id": grant.id, "subject": grant.subject, "client": grant.client_id, "resource": grant.resource,
        "scope": grant.scope, "createdAt": date(grant.created_at), "refreshedAt": date(grant.refreshed_at),
        "expiresAt": date(grant.expires_at), "revokedAt": grant.revoked_at.map(date),
    })
}
