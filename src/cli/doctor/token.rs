//! `portcullis doctor token`

use std::{
    io::{ErrorKind, Read, stdin},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};

use super::{super::no_route, report, say};
use crate::{
    config::{Gateway, Surroundings},
    doctor::{self, Expectations},
    fetch,
    pipeline::{Generation, Toolbox, fetch_client_with, fetch_roots, plan_file, public_origin},
};

/// The longest token that is read from standard input.
const LONGEST: u64 = 64 << 10;

/// Which token.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The token; `-` reads it from standard input, as others on this machine see arguments.
    // Another variable than that of a token for a server: one that is exported would be sent to every server examined.
    #[arg(env = "PORTCULLIS_EXAMINED_TOKEN", hide_env_values = true)]
    token: SecretString,
    /// Compare with this route only.
    #[arg(long, value_name = "PATH")]
    route: Option<String>,
    /// Ask for the issuer's keys, and verify the signature.
    #[arg(long)]
    online: bool,
}

pub(super) fn run(options: &Options, config: &Path, tools: &Toolbox, json: bool) -> anyhow::Result<ExitCode> {
    let token = given(&options.token)?;
    let expectations = match std::fs::read_to_string(config) {
        Ok(text) => {
            let plan = plan_file(config, &text, tools);
            let Some(generation) = &plan.generation else {
                eprint!("{}", plan.report);
                return Ok(ExitCode::FAILURE);
            };
            Some(expectations(generation, config, options)?)
        }
        Err(error) if error.kind() == ErrorKind::NotFound && options.route.is_none() => None,
        Err(error) => bail!("{} cannot be read: {error}", config.display()),
    };
    let now = tools.host.clock.now();
    report(json, async { Ok(doctor::of_token(&token, now, expectations, say(json)).await) })
}

fn given(token: &SecretString) -> anyhow::Result<SecretString> {
    if token.expose_secret().trim() != "-" {
        return Ok(token.clone());
    }
    let mut read = String::new();
    stdin().take(LONGEST).read_to_string(&mut read).context("the token cannot be read from standard input")?;
    ensure!(!read.trim().is_empty(), "there is no token on standard input");
    Ok(read.into())
}

fn expectations(generation: &Generation, config: &Path, options: &Options) -> anyhow::Result<Expectations> {
    if let Some(route) = options.route.as_deref().filter(|route| generation.route(route).is_none()) {
        return Err(no_route(route, generation.paths().iter().map(|path| &**path)));
    }
    let fetch = options.online.then(|| client(&generation.gateway, config)).transpose()?;
    Ok(Expectations::new(generation, config, options.route.as_deref(), fetch))
}

/// The guarded client, as the gateway has it.
fn client(gateway: &Gateway, config: &Path) -> anyhow::Result<fetch::Client> {
    let folder = config.parent().unwrap_or(Path::new("."));
    let roots = Surroundings::of_process(folder, |surroundings| fetch_roots(&gateway.fetch, surroundings));
    let Ok(roots) = roots else { bail!("`gateway.fetch.roots` cannot be read; `portcullis check` says why") };
    let origin = public_origin(gateway, &gateway.listen);
    Ok(fetch_client_with(gateway, origin.as_ref(), roots))
}
