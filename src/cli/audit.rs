//! `portcullis audit`: what happened, and the proof that nobody changed the record of it.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Subcommand;
use portcullis_policies::kit::clock::Timestamp;
use serde_json::{Value, json};

use super::stored::{self, Stored};
use crate::{
    audit::{AllRows, DECISIONS, PublicKey, Verdict, VerdictJson, Verifier, Wanted, query},
    store::AuditRow,
    wire::moment,
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Show rows, the newest first.
    Query(Filter),
    /// Write all rows as NDJSON, with the key that proves them.
    Export {
        /// Into this file instead of to standard output.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Find rows that were edited, deleted or reordered: in the store, or in an exported file.
    Verify {
        /// The exported file. Neither a store nor a configuration is needed then.
        file: Option<PathBuf>,
        /// A file with the gateway's public key, as `audit key` prints it. Otherwise a file is believed to name its own.
        #[arg(long, requires = "file")]
        key: Option<PathBuf>,
    },
    /// Print the public keys (JWK Set) that prove the log. Keep them where whoever could change the log cannot.
    Key,
}

#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Not older than this (RFC 3339), such as 2026-11-20T08:00:00Z.
    #[arg(long, value_parser = moment)]
    since: Option<Timestamp>,
    /// Not newer than this.
    #[arg(long, value_parser = moment)]
    until: Option<Timestamp>,
    /// Whose requests: a subject, such as `https://idp.example|00u1`, or an e-mail address.
    #[arg(long)]
    user: Option<String>,
    /// A route's path.
    #[arg(long)]
    route: Option<String>,
    /// A tool, prompt or resource.
    #[arg(long)]
    tool: Option<String>,
    /// A reason code such as `denied_by_rule`, or a class such as `tool_error`.
    #[arg(long)]
    reason: Option<String>,
    /// What was decided.
    #[arg(long, value_parser = DECISIONS)]
    decision: Option<String>,
    /// `decision` rows say what became of calls that waited for a person, and who decided.
    #[arg(long, value_parser = ["call", "decision"])]
    kind: Option<String>,
    /// The number of an approval: the calls that waited for it or were made with it, and who decided.
    #[arg(long)]
    approval: Option<i64>,
    /// The id that the client got as `x-request-id`.
    #[arg(long)]
    request: Option<String>,
    /// Rows at most.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Bytes of one line at most.
const LINE: u64 = 1 << 20;

pub(super) fn run(command: Audit, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Audit::Verify { file: Some(file), key } => verify_file(&file, key.as_deref(), json),
        Audit::Verify { .. } => stored::run(config, async |stored| verify_store(&stored, json).await),
        Audit::Query(filter) => stored::run(config, async |stored| show(&stored, filter, json).await),
        Audit::Export { output } => stored::run(config, async |stored| export(&stored, output.as_deref()).await),
        Audit::Key => stored::run(config, async |stored| {
            let keys = PublicKey::of_store(&stored.store, &stored.tenant).await?;
            println!("{}", json!({ "keys": keys.iter().map(PublicKey::to_jwk).collect::<Vec<_>>() }));
            Ok(ExitCode::SUCCESS)
        }),
    }
}

async fn show(stored: &Stored, filter: Filter, json: bool) -> anyhow::Result<ExitCode> {
    let Filter { since, until, user, route, tool, reason, decision, kind, approval, request, limit } = filter;
    let request_id = request;
    let wanted = Wanted { since, until, user, route, tool, reason, decision, kind, approval, request_id, limit };
    let found = query(&stored.store, &stored.tenant, &wanted).await?;
    if found.is_empty() && !json {
        eprintln!("No row fits.");
    }
    for found in found {
        let line = if json { found.into_row().to_string() } else { words(&found.row, found.end_unknown) };
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A row in one line for people. Names come from clients, so nothing in it may reach the terminal as a command.
fn words(row: &Value, end_unknown: bool) -> String {
    let text = |place: &str| row.pointer(place).and_then(Value::as_str).unwrap_or("-");
    if row["kind"] == "gap" {
        return format!("{}  {} rows are missing here: they were lost", text("/at"), row["lost"]);
    }
    if row["kind"] == "decision" {
        let line = decided(row, &text);
        return without_controls(&line);
    }
    let decision = if end_unknown { "end unknown" } else { text("/decision") };
    let by = match (row.pointer("/decidedBy/policy"), row.pointer("/decidedBy/rule")) {
        (Some(policy), Some(rule)) => format!(" by {policy} {rule}"),
        (Some(policy), None) => format!(" by {policy}"),
        _ => String::new(),
    };
    let error = match (row.pointer("/error/reason"), row.pointer("/error/class")) {
        (Some(reason), _) => format!("  {} ({})", reason, text("/error/origin")),
        (None, Some(class)) => format!("  {} ({})", class, text("/error/origin")),
        _ => String::new(),
    };
    let took = row.pointer("/milliseconds/total").map(|took| format!("  {took} ms")).unwrap_or_default();
    let approval = row["approval"].as_i64().map(|number| format!("  approval #{number}")).unwrap_or_default();
    let line = format!(
        "{}  {}  {}  {} {}  {decision}{by}{approval}{error}{took}  {}",
        text("/at"),
        text("/caller/subject"),
        row["route"].as_str().unwrap_or(text("/path")),
        text("/method"),
        text("/target/name"),
        text("/requestId"),
    );
    without_controls(&line)
}

/// What became of a call that waited.
fn decided<'a>(row: &'a Value, text: &dyn Fn(&str) -> &'a str) -> String {
    let person = row.pointer("/person/name").or(row.pointer("/person/subject"));
    let by = person.and_then(Value::as_str).map(|person| format!(" by {person}")).unwrap_or_default();
    let reason = row["reason"].as_str().map(|reason| format!(": {reason:?}")).unwrap_or_default();
    format!(
        "{}  {}  {}  {}  approval #{} {}{by}{reason}  {}",
        text("/at"),
        text("/caller/subject"),
        text("/route"),
        text("/target/name"),
        row["approval"],
        text("/decision"),
        text("/requestId"),
    )
}

fn without_controls(line: &str) -> String {
    line.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

async fn export(stored: &Stored, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut output: Box<dyn Write> = match output {
        Some(file) => Box::new(File::create(file).with_context(|| format!("{} cannot be written", file.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    match write_rows(stored, &mut output).await {
        Ok(rows) => {
            eprintln!("{rows} rows. `portcullis audit verify FILE` proves them, wherever it runs.");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_closed(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// Whoever read the rows has gone.
fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn write_rows(stored: &Stored, output: &mut dyn Write) -> anyhow::Result<usize> {
    let mut output = BufWriter::new(output);
    for key in PublicKey::of_store(&stored.store, &stored.tenant).await? {
        writeln!(output, "{}", json!({ "kind": "key", "key": key.to_jwk() }))?;
    }
    let mut rows = 0_usize;
    each_row(stored, |row| {
        rows += 1;
        Ok(writeln!(output, "{}", row.line)?)
    })
    .await?;
    output.flush()?;
    Ok(rows)
}

async fn each_row(stored: &Stored, mut look: impl FnMut(&AuditRow) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut rows = AllRows::of(&stored.store, &stored.tenant);
    loop {
        let page = rows.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        page.iter().try_for_each(&mut look)?;
    }
}

async fn verify_store(stored: &Stored, json: bool) -> anyhow::Result<ExitCode> {
    let mut verifier = Verifier::new(PublicKey::of_store(&stored.store, &stored.tenant).await?);
    each_row(stored, |row| {
        verifier.row(row);
        Ok(())
    })
    .await?;
    Ok(report(verifier.finish(), json))
}

fn verify_file(file: &Path, key: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let mut verifier = Verifier::new(key.map(keys_in).transpose()?.unwrap_or_default());
    let mut lines = BufReader::new(File::open(file).with_context(|| format!("{} cannot be read", file.display()))?);
    for number in 1.. {
        let mut line = Vec::new();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        if !line.trim_ascii().is_empty() {
            verifier.line(line.trim_end_matches(['\n', '\r']), number);
        }
    }
    Ok(report(verifier.finish(), json))
}

fn keys_in(file: &Path) -> anyhow::Result<Vec<PublicKey>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let document: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let keys: Vec<_> = match document["keys"].as_array() {
        Some(keys) => keys.iter().filter_map(PublicKey::from_jwk).collect(),
        None => PublicKey::from_jwk(&document).into_iter().collect(),
    };
    if keys.is_empty() {
        bail!("{} holds no Ed25519 key (JWK, or a set of them); `portcullis audit key` prints one", file.display());
    }
    Ok(keys)
}

fn report(verdict: Verdict, json: bool) -> ExitCode {
    let found = verdict.findings.len();
    if json {
        println!("{}", json!(VerdictJson::from(verdict)));
    } else {
        let Verdict { rows, chains, findings, notes } = verdict;
        for finding in &findings {
            println!("{finding}");
        }
        for note in notes {
            println!("note: {note}");
        }
        match found {
            0 => println!("{rows} rows in {chains} chains: none was edited, deleted or reordered."),
            found => println!("{rows} rows in {chains} chains: {found} findings."),
        }
    }
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
