//! `portcullis connections`: who is connected to which upstream, and ending it.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::stored::{self, Stored, date};
use crate::{
    pipeline::Toolbox,
    server::book_beside,
    store::{ConnectionEvent, ConnectionKey, ConnectionSummary},
    upstreams::connections::ConnectionJson,
};

#[derive(Debug, Subcommand)]
pub(super) enum Connections {
    /// List connections, without their secrets.
    List {
        /// Only this person's, such as `https://idp.example|00u1`: the `sub` of their tokens.
        #[arg(long)]
        subject: Option<String>,
    },
    /// Show what became of connections and why, the latest change first.
    History {
        /// Changes at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// End somebody's connection. It is revoked at the upstream, and running gateways know within a second.
    Disconnect {
        /// Whose; empty for the one that all callers share.
        subject: String,
        /// The upstream's `id`.
        upstream: String,
    },
    /// Print a link on which you connect the upstream that all callers share (`shared-oauth`).
    Connect {
        /// The upstream's `id`.
        upstream: String,
    },
}

/// Read at once from the store.
const PAGE: u32 = 500;

pub(super) fn run(command: Connections, config: &Path, tools: &Toolbox, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |stored| match command {
        Connections::List { subject } => list(&stored, subject.as_deref(), json).await,
        Connections::History { limit } => history(&stored, limit, json).await,
        Connections::Disconnect { subject, upstream } => disconnect(&stored, config, tools, &subject, &upstream).await,
        Connections::Connect { upstream } => connect(&stored, config, tools, &upstream).await,
    })
}

async fn list(stored: &Stored, subject: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let connections = match subject {
        Some(subject) => stored.store.connections_of(&stored.tenant, subject).await?,
        None => all(stored).await?,
    };
    if json {
        println!("{}", json!(connections.iter().map(ConnectionJson::from).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    if connections.is_empty() {
        eprintln!("Nobody is connected to anything.");
    }
    for connection in &connections {
        let ConnectionKey { upstream, subject } = &connection.key;
        let whose = if subject.is_empty() { "(shared by all)" } else { subject };
        let (state, because) = (connection.state.name(), &connection.because);
        println!("{upstream}  {whose}  {state} since {}: {because}", date(connection.changed_at));
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(stored: &Stored) -> anyhow::Result<Vec<ConnectionSummary>> {
    let mut connections = Vec::<ConnectionSummary>::new();
    loop {
        let after = connections.last().map(|connection| connection.key.clone());
        let page = stored.store.connections(&stored.tenant, after.as_ref(), PAGE).await?;
        if page.is_empty() {
            return Ok(connections);
        }
        connections.extend(page);
    }
}

async fn history(stored: &Stored, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let events = stored.store.connection_events(&stored.tenant, None, limit).await?;
    if json {
        println!("{}", Value::Array(events.iter().map(event_value).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    for ConnectionEvent { at, key, from, to, because, .. } in &events {
        println!("{}  {}  {}  {} → {}: {because}", date(*at), key.upstream, key.subject, from.name(), to.name());
    }
    Ok(ExitCode::SUCCESS)
}

async fn disconnect(
    stored: &Stored,
    config: &Path,
    tools: &Toolbox,
    subject: &str,
    upstream: &str,
) -> anyhow::Result<ExitCode> {
    let book = book_beside(config, tools, stored.store.clone()).await?;
    if !book.disconnect(subject, upstream, "the operator ended it").await? {
        bail!("{subject:?} is not connected to {upstream:?}; `portcullis connections list` shows who is");
    }
    book.close().await;
    eprintln!(
        "Disconnected. Running gateways know within a second; `connections history` says what the upstream made of it."
    );
    Ok(ExitCode::SUCCESS)
}

async fn connect(stored: &Stored, config: &Path, tools: &Toolbox, upstream: &str) -> anyhow::Result<ExitCode> {
    let book = book_beside(config, tools, stored.store.clone()).await?;
    let link = book.operator_link(upstream).await.with_context(|| format!("no link to connect {upstream:?}"))?;
    println!("{link}");
    eprintln!("\nOpen it in a browser within ten minutes. It is good once, for whoever has it: give it to nobody.");
    Ok(ExitCode::SUCCESS)
}

fn event_value(event: &ConnectionEvent) -> Value {
    json!({
        "at": date(event.at), "subject": event.key.subject, "upstream": event.key.upstream,
        "from": event.from.name(), "to": event.to.name(), "because": event.because, "requestId": event.request_id,
    })
}
