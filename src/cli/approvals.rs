//! `portcullis approvals`: which calls wait for a person, and deciding about them.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::bail;
use clap::Subcommand;
use portcullis_policies::kit::{clock::SystemClock, words::plain};
use serde_json::json;

use super::stored::{self, Stored, date};
use crate::{
    approvals::{ApprovalDesk, ApprovalJson, ApprovalView, HeldJson, NotDecided, Verdict, Who, pretty},
    store::{ApprovalRecord, ApprovalState},
};

#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
    /// List the calls that wait for a decision, the oldest first.
    List {
        /// Also those that were decided, the newest first.
        #[arg(long)]
        all: bool,
        /// Calls at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show a call with its arguments.
    Show {
        /// Its number.
        number: i64,
    },
    /// Let a call be made, once. Whoever made it repeats it to get its result.
    Approve(Deciding),
    /// Let a call not be made.
    Deny(Deciding),
}

#[derive(Debug, clap::Args)]
pub(super) struct Deciding {
    /// The call's number.
    number: i64,
    /// Why. Whoever made the call reads it.
    #[arg(long)]
    reason: Option<String>,
    /// Who decides, for the record.
    #[arg(long, default_value = "an operator")]
    by: String,
}

/// Letters of a name that somebody else gave.
const LONGEST: usize = 300;

pub(super) fn run(command: Approvals, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |Stored { store, tenant, .. }| {
        let desk = ApprovalDesk::new(store, tenant, Arc::new(SystemClock), None);
        match command {
            Approvals::List { all, limit } => list(&desk, all, limit, json).await,
            Approvals::Show { number } => show(&desk, number, json).await,
            Approvals::Approve(deciding) => decide(&desk, &deciding, Verdict::Approve).await,
            Approvals::Deny(deciding) => decide(&desk, &deciding, Verdict::Deny).await,
        }
    })
}

async fn list(desk: &ApprovalDesk, all: bool, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let mut calls = if all { desk.all(i64::MAX, limit).await? } else { desk.waiting_for(Who::Operator("")).await? };
    calls.truncate(limit as usize);
    if json {
        println!("{}", json!(calls.iter().map(ApprovalJson::from).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    if calls.is_empty() {
        eprintln!("No call waits.");
    }
    for call in &calls {
        let ApprovalRecord { number, subject, route, tool, rule, .. } = call;
        let (subject, tool) = (plain(subject, LONGEST), plain(tool, LONGEST));
        println!("#{number}  {}  {subject}  {route}  {tool}  by the rule {rule:?}", standing(call));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(desk: &ApprovalDesk, number: i64, json: bool) -> anyhow::Result<ExitCode> {
    let Some(view) = desk.view(number, Who::Operator("")).await? else { return unknown(number) };
    if json {
        println!("{}", json!(HeldJson::from(view)));
        return Ok(ExitCode::SUCCESS);
    }
    let ApprovalView { record, asked, .. } = view;
    let name = |name: String| format!(" ({})", plain(&name, LONGEST));
    let who = asked.email.or(asked.name).map(name).unwrap_or_default();
    let client = asked.client.map(|client| format!(", through {}", plain(&client, LONGEST))).unwrap_or_default();
    let (subject, tool) = (plain(&record.subject, LONGEST), plain(&record.tool, LONGEST));
    println!("#{number}: {}", standing(&record));
    println!("{subject}{who}{client} calls {tool} of {}", record.upstream);
    println!("on {}, held by the rule {:?} since {}", record.route, record.rule, date(record.created_at));
    println!("\n{}", pretty(&asked.arguments));
    Ok(ExitCode::SUCCESS)
}

async fn decide(desk: &ApprovalDesk, deciding: &Deciding, verdict: Verdict) -> anyhow::Result<ExitCode> {
    let Deciding { number, reason, by } = deciding;
    match desk.decide(*number, Who::Operator(by), verdict, reason.as_deref()).await {
        Ok(record) => eprintln!("#{number} is {}.", record.state.name()),
        Err(NotDecided::Unknown) => return unknown(*number),
        Err(NotDecided::Settled(record)) => bail!("#{number} is not to be decided any more: {}", standing(&record)),
        Err(NotDecided::Store(error)) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(number: i64) -> anyhow::Result<ExitCode> {
    bail!("there is no call #{number}; `portcullis approvals list` shows those that wait")
}

/// Where it stands, in a few words.
fn standing(record: &ApprovalRecord) -> String {
    let state = record.state.name();
    match (&record.decided_by, record.decided_at, record.state) {
        (Some(by), Some(at), _) => {
            let reason = record.reason.as_ref().map(|reason| format!(": {reason:?}")).unwrap_or_default();
            format!("{state}, decided by {} at {}{reason}", plain(by, LONGEST), date(at))
        }
        (_, _, ApprovalState::Proposed) => format!("waits until {}", date(record.expires_at)),
        _ => state.to_owned(),
    }
}
