//! `portcullis keys`: API keys for programs.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::Subcommand;
use portcullis_policies::kit::{
    clock::{Clock, SystemClock},
    host::Identity,
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::stored::{self, Stored, date};
use crate::{
    api::PATH as API,
    api_keys::{ApiKeyJson, Made, NewKeyJson, Wish, create as create_key},
    store::ApiKeyRecord,
};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key, and show it once.
    Create {
        /// What people call it, such as the program that uses it.
        #[arg(long)]
        name: String,
        /// Days until it is over; 0: never.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// A route that it is for, or `/api/v1` for the REST API (may be repeated). Default: all that take keys.
        #[arg(long = "route", value_name = "PATH")]
        routes: Vec<String>,
        /// A scope that it has (may be repeated). The REST API has its own, such as `approvals:read`.
        #[arg(long = "scope", value_name = "SCOPE", default_value = "mcp:tools")]
        scopes: Vec<String>,
        /// E-mail address of whoever answers for it.
        #[arg(long)]
        email: Option<String>,
        /// A group that it is in (may be repeated).
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// A role that it has (may be repeated).
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// List the keys, without their secrets.
    List,
    /// Take a key back. A running gateway knows within a second.
    Revoke {
        /// The key's id, as `list` shows it. It may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

pub(super) fn run(command: Keys, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |store| match command {
        Keys::Create { name, days, routes, scopes, email, groups, roles } => {
            let identity = Identity { email, groups, roles, ..Identity::default() };
            let routes = (!routes.is_empty()).then_some(routes);
            let lasting = (days > 0).then(|| Duration::from_hours(24 * u64::from(days)));
            create(&store, Wish { name, identity, scopes, routes, lasting }, json).await
        }
        Keys::List => list(&store, json).await,
        Keys::Revoke { id } => revoke(&store, &id).await,
    })
}

async fn create(stored: &Stored, wish: Wish, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = wish.routes.iter().flatten().find(|route| *route != API && !stored.routes.contains(route)) {
        bail!("there is no route {unknown:?} in the configuration");
    }
    let made = create_key(&stored.store, &stored.tenant, wish, SystemClock.now()).await?;
    if json {
        println!("{}", json!(NewKeyJson::from(&made)));
    } else {
        let Made { record, key } = made;
        println!("{}", key.expose_secret());
        eprintln!("\nThis is the only time that the key is shown. Programs send it as `Authorization: Bearer KEY`.");
        eprintln!("Id {}, good {}.", record.id, end(&record));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(stored: &Stored, json: bool) -> anyhow::Result<ExitCode> {
    let keys = stored.store.api_keys(&stored.tenant).await?;
    if json {
        println!("{}", json!(keys.iter().map(ApiKeyJson::from).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    if keys.is_empty() {
        eprintln!("There are no keys. `portcullis keys create --name NAME` makes one.");
    }
    let now = SystemClock.now();
    for key in &keys {
        let state = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", date(at)),
            (None, Some(at)) if at <= now => format!("expired {}", date(at)),
            _ => end(key),
        };
        let used = key.last_used_at.map_or("never used".to_owned(), |at| format!("used {}", date(at)));
        println!("{}  {:24}  {state:20}  {used}", key.id, key.name);
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(stored: &Stored, id: &str) -> anyhow::Result<ExitCode> {
    let mut work = stored.store.begin(&stored.tenant).await?;
    let revoked = work.revoke_api_key(id).await?;
    work.commit().await?;
    if !revoked {
        bail!("there is no key {id:?} that could be revoked; `portcullis keys list` shows them");
    }
    eprintln!("Revoked. A running gateway knows within a second.");
    Ok(ExitCode::SUCCESS)
}

fn end(key: &ApiKeyRecord) -> String {
    key.expires_at.map_or("until it is revoked".to_owned(), |at| format!("until {}", date(at)))
}
