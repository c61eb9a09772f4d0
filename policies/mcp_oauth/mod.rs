#![doc = include_str!("README.md")]

mod check;
mod dev;
mod door;
mod oidc;
mod options;
mod preset;
pub mod presets;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use self::{
    dev::DevLoginOptions,
    oidc::{BrowserLogin, Oidc, OpenIdOptions},
    options::{BrowserTimes, ClaimOptions, Demands, TokenOptions},
    preset::{Endpoints, Preset, PresetOptions},
};
use crate::kit::{
    admission::admission,
    chain::RouteLayer,
    host::Host,
    policy::{Fact, Policy, Problem},
    rehearsal::Rehearsal,
    sign_in::{Lifetimes, Provider, SignIn},
};

/// Signs people in with access tokens of the program's own authorization server. What differs between providers is what
/// the options say.
#[derive(Debug)]
pub struct OAuth<O>(PhantomData<O>);

/// `mcp-oauth-inbound`: any OpenID provider.
pub type McpOAuth = OAuth<OpenIdOptions>;
/// A provider whose URLs are known.
pub type PresetOAuth<P> = OAuth<PresetOptions<P>>;
/// `dev-login`: a name and no password, on loopback.
pub type DevLogin = OAuth<DevLoginOptions>;

/// Options from which follows how people sign in.
pub trait SignInOptions: DeserializeOwned + JsonSchema + 'static {
    /// [`Policy::NAME`].
    const NAME: &'static str;
    /// [`Policy::ALIASES`].
    const ALIASES: &'static [&'static str];
    /// [`Policy::SUMMARY`].
    const SUMMARY: &'static str;

    /// What a token must have been given for, and how long it lasts.
    fn demands(&self) -> &Demands;
    /// Who says who people are; every mistake in what describes it.
    fn provider(&self) -> Result<Provider, Vec<Problem>>;
    /// How long the browser's part lasts.
    fn browser(&self) -> BrowserTimes;
}

impl<O: SignInOptions> Policy for OAuth<O> {
    const NAME: &'static str = O::NAME;
    const ALIASES: &'static [&'static str] = O::ALIASES;
    const SUMMARY: &'static str = O::SUMMARY;
    const GIVES: &'static [Fact] = &[Fact::CALLER];
    // Scopes of tools go by the names that clients use.
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET];
    const NEEDS_STORE: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> =
        Rehearsal::Instead(|options, stage| Ok(stage.admission(options.demands().rules()?)));
    type Options = O;

    fn layer(options: O, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let mut problems = options.provider().err().unwrap_or_default();
        if host.access_tokens.is_none() {
            let why =
                format!("`{}` needs the gateway's authorization server, which this program does not have", O::NAME);
            problems.push(Problem::new("", why).hint("give `Host::access_tokens`, or use a policy that needs none"));
        }
        let rules = options.demands().rules().map_err(|found| problems.extend(found));
        match (&host.access_tokens, rules) {
            (Some(tokens), Ok(rules)) if problems.is_empty() => Ok(admission(door::TokenDoor::new(tokens, rules))),
            _ => Err(problems),
        }
    }

    fn sign_in(options: &O) -> Option<SignIn> {
        let (provider, demands, browser) = (options.provider().ok()?, options.demands(), options.browser());
        let rules = demands.rules().ok()?;
        Some(SignIn {
            provider,
            scopes: rules.base().to_vec(),
            more_scopes: rules.more(),
            lifetimes: Lifetimes {
                access_token: demands.gateway.access_token(),
                refresh_token: demands.gateway.refresh_token(),
                session: browser.session(),
                state: browser.state(),
            },
            client_documents: demands.gateway.cimd_enabled,
        })
    }
}
