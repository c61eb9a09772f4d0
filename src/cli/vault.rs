//! `portcullis vault`: which key the store is sealed with, and sealing it anew under another one.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use clap::Subcommand;
use serde_json::json;

use super::stored::{self, Stored};
use crate::store::{KeyRole, KeyUse, Resealed};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Vault {
    /// Show how much of the store is sealed with which key.
    Status,
    /// Seal anew, under the current key, all that earlier ones have sealed. A running gateway does so by itself.
    ///
    /// To change the key, put the new one in front of the present one in `gateway.encryptionKey`, with a space between. When
    /// nothing is sealed with the earlier key any more, take it out.
    Rotate,
}

pub(super) fn run(command: Vault, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    stored::run(config, async |stored| match command {
        Vault::Status => status(&stored, json).await,
        Vault::Rotate => rotate(&stored, json).await,
    })
}

async fn status(stored: &Stored, json: bool) -> anyhow::Result<ExitCode> {
    let uses = stored.store.key_uses().await?;
    if json {
        println!("{}", json!({ "keys": uses.iter().map(value).collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    for key in &uses {
        println!("{}  {:8}  {} values", key.id, word(key.role), key.values);
    }
    eprintln!("{}", advice(&uses));
    Ok(ExitCode::SUCCESS)
}

async fn rotate(stored: &Stored, json: bool) -> anyhow::Result<ExitCode> {
    let shown = !json && std::io::stderr().is_terminal();
    let done = stored.store.reseal(|so_far| {
        if shown {
            eprint!("\r{} values", so_far.values);
            let _ = std::io::stderr().flush();
        }
    });
    let Resealed { values, unreadable } = done.await?;
    let uses = stored.store.key_uses().await?;
    if json {
        let keys: Vec<_> = uses.iter().map(value).collect();
        println!("{}", json!({ "resealed": values, "unreadable": unreadable, "keys": keys }));
    } else {
        eprintln!("{}{values} values were sealed anew. {}", if shown { "\r" } else { "" }, advice(&uses));
    }
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What may be done with the keys.
fn advice(uses: &[KeyUse]) -> String {
    let values = |role| uses.iter().filter(|key| key.role == role).map(|key| key.values).sum::<u64>();
    match (values(KeyRole::Earlier), values(KeyRole::Missing)) {
        (_, missing @ 1..) => {
            format!("{missing} values are sealed with a key that is not given: give it too, behind the current one.")
        }
        (earlier @ 1.., _) => {
            format!("{earlier} values still need an earlier key; `portcullis vault rotate` ends that.")
        }
        _ if uses.iter().any(|key| key.role == KeyRole::Earlier) => {
            "No value needs an earlier key any more: it may be taken out of the configuration.".to_owned()
        }
        _ => "All is sealed with the one key that is given.".to_owned(),
    }
}

fn value(key: &KeyUse) -> serde_json::Value {
    json!({ "id": key.id, "role": word(key.role), "values": key.values })
}

const fn word(role: KeyRole) -> &'static str {
    match role {
        KeyRole::Current => "current",
        KeyRole::Earlier => "earlier",
        KeyRole::Missing => "missing",
    }
}
