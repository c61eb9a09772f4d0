//! `portcullis doctor`

mod token;

use std::{
    io::{IsTerminal, Write, stdout},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, ensure};
use secrecy::SecretString;
use url::Url;

use super::read_config;
use crate::{
    doctor::{self, Client, GivenToken, Report, TOKEN_VARIABLE},
    pipeline::Toolbox,
};

/// What to look at.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The URL that people give to their clients, letter by letter. Without one, the deployment of the configuration is
    /// examined (`--config`).
    url: Option<String>,
    /// The client that does not work with it: what it needs is looked at too, and what to do there is said.
    #[arg(long, value_enum, requires = "url")]
    client: Option<Client>,
    /// An access token for it, to look behind its sign-in; without the option, that of the variable
    /// `PORTCULLIS_DOCTOR_TOKEN`. It is sent to this server only, and never shown.
    #[arg(long, requires = "url")]
    token: Option<SecretString>,
    #[command(subcommand)]
    other: Option<Other>,
}

/// What else can be looked at.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Say what an access token says, what the routes of the configuration expect, and where the two differ.
    Token(token::Options),
}

/// Below the options in the help of this command.
pub(super) const AFTER_HELP: &str = "\
Exit codes: 0 nothing failed (there may be warnings), 3 no way to the server, 4 its TLS, 5 no MCP server answers, 6 sign-in, \
7 MCP itself, 8 the deployment; 1 and 2 if nothing was looked at.";

/// Tells a terminal to forget the rest of the line.
const ERASE_LINE: &str = "\u{1b}[K";

pub(super) fn run(options: &Options, config: &Path, tools: Toolbox, json: bool) -> anyhow::Result<ExitCode> {
    match (&options.other, &options.url) {
        (Some(Other::Token(token)), _) => token::run(token, config, &tools, json),
        (None, Some(typed)) => {
            let url = read(typed)?;
            report(json, doctor::of_server(typed, &url, options.client, options.given_token(), say(json)))
        }
        (None, None) => {
            let text = read_config(config)?;
            report(json, async { Ok(doctor::of_deployment(config, &text, tools, say(json)).await) })
        }
    }
}

impl Options {
    /// The token, and by what it came: people should see in the report whether it was the variable, which they may have forgotten.
    fn given_token(&self) -> Option<GivenToken> {
        let by_option = self.token.clone().map(|text| GivenToken { text, from: "--token" });
        let variable = || std::env::var(TOKEN_VARIABLE).ok();
        by_option.or_else(|| variable().map(|text| GivenToken { text: text.into(), from: TOKEN_VARIABLE }))
    }
}

/// Shows what there is as soon as it is there, unless programs read it.
fn say(json: bool) -> impl FnMut(&str) {
    let is_terminal = stdout().is_terminal();
    move |text: &str| {
        // What ends with a return is only to be seen until the next text.
        if json || (text.ends_with('\r') && !is_terminal) {
            return;
        }
        let erase = if is_terminal { ERASE_LINE } else { "" };
        // Who reads may go before the end.
        let _ = write!(stdout(), "{erase}{text}").and_then(|()| stdout().flush());
    }
}

/// Runs an examination.
fn report(json: bool, examination: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(examination)?;
    // A lookup of a name may still hold a thread, and nobody waits for it any more.
    runtime.shutdown_background();
    if json {
        println!("{}", serde_json::to_string_pretty(&report.to_json())?);
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn read(typed: &str) -> anyhow::Result<Url> {
    let url = Url::parse(typed).with_context(|| format!("{typed:?} is not a whole URL, such as https://host/mcp"))?;
    ensure!(matches!(url.scheme(), "https" | "http"), "{typed:?} is neither https nor http");
    ensure!(url.has_host(), "{typed:?} has no host");
    // The words do not repeat it: there is a password in it.
    ensure!(url.username().is_empty() && url.password().is_none(), "take the user name and password out of the URL");
    ensure!(url.fragment().is_none(), "take the fragment (`#…`) out of the URL: it is never sent");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_to_ask_is_refused_without_repeating_a_password() {
        for typed in ["mcp.example/mcp", "ftp://mcp.example/", "https://ada:secret@mcp.example/", "https://h/#part"] {
            let told = format!("{:#}", read(typed).unwrap_err());
            assert!(!told.contains("secret"), "{told}");
        }
        assert!(read("http://127.0.0.1:8080/mcp").is_ok());
    }
}
