//! `portcullis pins`: what tools are pinned to, what has changed since, and approving it.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use clap::Subcommand;
use portcullis_policies::{kit::catalogue::nearest, tool_pinning::visible};
use serde_json::{Value, json};

use super::stored::{self, Stored};
use crate::{
    pins::{self, PinJson},
    store::{Kept, PinRecord},
};

#[derive(Debug, Subcommand)]
pub(super) enum Pins {
    /// List the tools of which something is kept.
    List {
        /// Only this upstream's, as the list names it, or a route's, by its path.
        upstream: Option<String>,
        /// Only tools with a definition that nobody has approved yet.
        #[arg(long)]
        waiting: bool,
    },
    /// Show the definition that is pinned.
    Show {
        /// The upstream, or the path of a route that leads to it.
        upstream: String,
        /// The tool.
        tool: String,
    },
    /// Show in what the definitions that were seen differ from those that are pinned.
    Diff {
        /// The upstream, or the path of a route that leads to it; without one, all.
        upstream: Option<String>,
        /// The tool; without one, all.
        tool: Option<String>,
    },
    /// Pin what was seen, as `pins diff` shows it. Running gateways know within a second.
    Approve {
        /// The upstream, or the path of a route that leads to it.
        upstream: String,
        /// The tool; without one, all that waits there.
        tool: Option<String>,
        /// What `pins diff` says at its end: nothing else is approved than what you have seen.
        #[arg(long)]
        digest: String,
        /// Who approves it.
        #[arg(long, default_value = "the operator")]
        by: String,
    },
    /// Forget what a tool is pinned to, or all tools of an upstream: its next list is the first one then.
    Forget {
        /// The upstream, or the path of a route that leads to it.
        upstream: String,
        /// The tool; without one, all.
        tool: Option<String>,
    },
}

pub(super) fn run(command: Pins, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |stored| match command {
        Pins::List { upstream, waiting } => list(&stored, upstream.as_deref(), waiting, json).await,
        Pins::Show { upstream, tool } => show(&stored, &upstream, &tool, json).await,
        Pins::Diff { upstream, tool } => diff(&stored, upstream.as_deref(), tool.as_deref(), json).await,
        Pins::Approve { upstream, tool, digest, by } => {
            approve(&stored, &upstream, tool.as_deref(), &digest, &by).await
        }
        Pins::Forget { upstream, tool } => forget(&stored, &upstream, tool.as_deref()).await,
    })
}

async fn list(stored: &Stored, upstream: Option<&str>, waiting: bool, json: bool) -> anyhow::Result<ExitCode> {
    let mut records = records(stored, upstream).await?;
    records.retain(|record| !waiting || is_waiting(record));
    if json {
        println!("{}", json!(records.iter().map(PinJson::from).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    if records.is_empty() {
        eprintln!("{}", if waiting { "Nothing waits." } else { "No tool is pinned." });
    }
    for record in &records {
        println!("{}  {}  {}", record.upstream, visible(&record.tool), record.state());
    }
    Ok(ExitCode::SUCCESS)
}

fn is_waiting(record: &PinRecord) -> bool {
    record.waiting.is_some()
}

async fn show(stored: &Stored, upstream: &str, tool: &str, json: bool) -> anyhow::Result<ExitCode> {
    let record = one(stored, upstream, tool).await?;
    let Some(good) = &record.good else {
        bail!("{tool:?} is not pinned; `portcullis pins diff` shows what was seen of it")
    };
    let definition = parsed(good)?;
    if json {
        println!("{definition}");
    } else {
        println!("{}", serde_json::to_string_pretty(&definition)?.lines().map(visible).collect::<Vec<_>>().join("\n"));
    }
    eprintln!("{}  {}", good.digest.short(), record.state());
    Ok(ExitCode::SUCCESS)
}

async fn diff(stored: &Stored, upstream: Option<&str>, tool: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let mut records = records(stored, upstream).await?;
    records.retain(|record| is_waiting(record) && tool.is_none_or(|tool| record.tool == tool));
    if json {
        println!("{}", json!(records.iter().map(PinJson::from).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    if records.is_empty() {
        eprintln!("Nothing differs from what is pinned.");
    }
    for of_upstream in records.chunk_by(|one, other| one.upstream == other.upstream) {
        for record in of_upstream {
            print_difference(record);
        }
        let waiting = of_upstream.iter().filter(|record| record.can_be_approved()).count();
        if waiting > 1 && tool.is_none() {
            let (upstream, digest) = (&of_upstream[0].upstream, pins::together(of_upstream).short());
            println!("All {waiting} of {upstream}: portcullis pins approve '{upstream}' --digest {digest}\n");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_difference(record: &PinRecord) {
    let Some(waiting) = &record.waiting else { return };
    let upstream = &record.upstream;
    println!("{upstream}  {}  {}", visible(&record.tool), record.state());
    for flag in &record.flags {
        println!("  ! {}", visible(flag));
    }
    for difference in record.differences() {
        println!("{difference}");
    }
    if record.can_be_approved() {
        let (tool, digest) = (shell_word(&record.tool), waiting.digest.short());
        println!("  portcullis pins approve '{upstream}' {tool} --digest {digest}\n");
    } else {
        println!("  The policy of its route blocks it. To have it approved, set that to `hold`.\n");
    }
}

/// A tool's name in a command that people copy: the upstream chose it.
fn shell_word(tool: &str) -> String {
    let is_typed = |character: char| character.is_ascii_graphic() || character == ' ';
    if tool.is_empty() || tool.starts_with('-') || !tool.chars().all(is_typed) {
        return "TOOL".to_owned();
    }
    format!("'{}'", tool.replace('\'', r"'\''"))
}

async fn approve(
    stored: &Stored,
    upstream: &str,
    tool: Option<&str>,
    digest: &str,
    by: &str,
) -> anyhow::Result<ExitCode> {
    let upstream = key(stored, upstream)?;
    for tool in pins::approve(&stored.store, &stored.tenant, &upstream, tool, digest, by).await? {
        println!("{upstream}  {}  approved", visible(&tool));
    }
    eprintln!("Running gateways know within a second.");
    Ok(ExitCode::SUCCESS)
}

async fn forget(stored: &Stored, upstream: &str, tool: Option<&str>) -> anyhow::Result<ExitCode> {
    let upstream = key(stored, upstream)?;
    let forgotten = pins::forget(&stored.store, &stored.tenant, &upstream, tool).await?;
    if forgotten == 0 {
        bail!("nothing is kept of that; `portcullis pins list` shows what is");
    }
    eprintln!("Forgotten: {forgotten}. Running gateways know within a second.");
    Ok(ExitCode::SUCCESS)
}

async fn records(stored: &Stored, upstream: Option<&str>) -> anyhow::Result<Vec<PinRecord>> {
    let upstreams = match upstream {
        Some(upstream) => vec![key(stored, upstream)?],
        None => {
            let all = stored.store.pinned_upstreams(&stored.tenant).await?;
            all.into_iter().map(|upstream| upstream.upstream).collect()
        }
    };
    let mut records = Vec::new();
    for upstream in upstreams {
        records.extend(stored.store.pins_of(&stored.tenant, &upstream).await?);
    }
    Ok(records)
}

async fn one(stored: &Stored, upstream: &str, tool: &str) -> anyhow::Result<PinRecord> {
    let mut records = records(stored, Some(upstream)).await?;
    match records.iter().position(|record| record.tool == tool) {
        Some(place) => Ok(records.swap_remove(place)),
        None => match nearest(tool, records.iter().map(|record| record.tool.as_str())) {
            Some(near) => bail!("nothing is kept of {tool:?}; did you mean {near:?}?"),
            None => bail!("nothing is kept of {tool:?}; `portcullis pins list` shows what is"),
        },
    }
}

/// The upstream's key, or that of the upstream behind a route.
fn key(stored: &Stored, upstream: &str) -> anyhow::Result<String> {
    if !upstream.starts_with('/') {
        return Ok(upstream.to_owned());
    }
    let of_route = stored.routes.iter().zip(&stored.upstreams).find(|(path, _)| *path == upstream);
    let of_route = of_route.map(|(_, key)| key.clone());
    of_route.ok_or_else(|| super::no_route(upstream, stored.routes.iter().map(String::as_str)))
}

fn parsed(kept: &Kept) -> anyhow::Result<Value> {
    serde_json::from_str(&kept.text).context("a definition in the store cannot be read")
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn sec_d7_a_name_that_the_upstream_chose_is_one_word_of_the_command_that_people_copy() {
        assert_eq!(shell_word("write_note"), "'write_note'");
        assert_eq!(shell_word("a'; rm -rf ~; '"), r"'a'\''; rm -rf ~; '\'''");
        for name in ["", "--all", "a\u{202e}b", "a\nb", "é"] {
            assert_eq!(shell_word(name), "TOOL", "{name:?}");
        }
    }
}
