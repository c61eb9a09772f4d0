//! The gateway under test: its configuration and how it is started.

use anyhow::Result;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools;
use crate::upstream::TOKEN;

const LOG: &str = "log";

/// What differs between the scenarios.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) routes: usize,
    pub(crate) access_log: bool,
    /// One route more, for people who are known.
    pub(crate) personal: Option<Personal>,
}

/// A route that asks who is calling, and what else stands in its chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Personal {
    /// Nothing more than in the others.
    SignedIn,
    /// What shows the upstream a credential of theirs.
    Connected,
    /// That, rules and pinned tools.
    Judged,
    /// All of it, and a row in the store for each call.
    Counted,
    /// The same, and no call before there is a row of it, so that each has two.
    FailClosed,
}

impl Setup {
    pub(crate) const USUAL: Self = Self { routes: 1, access_log: false, personal: None };

    pub(crate) const fn of(personal: Personal) -> Self {
        Self { personal: Some(personal), ..Self::USUAL }
    }

    /// The route that is called: the worst one, if routes were searched one after the other.
    pub(crate) fn path(self) -> String {
        route(self.routes - 1)
    }
}

impl Personal {
    pub(crate) const PATH: &str = "/mcp/personal";

    /// Must people connect to the upstream first?
    pub(crate) fn connects(self) -> bool {
        self != Self::SignedIn
    }

    fn chain(self, upstream: SocketAddr) -> Vec<Value> {
        let sign_in = json!({ "policy": "dev-login" });
        let credential = json!({ "policy": "mcp-token-exchange", "options": by_oauth(upstream) });
        let (retry, rate, filter) = (json!("upstream-auth-retry"), json!("fair-use"), json!("some-tools"));
        let audit = self.promise().map(|promise| json!({ "policy": "audit-log", "options": { "promise": promise } }));
        match self {
            Self::SignedIn => vec![sign_in, rate, filter],
            Self::Connected => vec![sign_in, retry, credential, rate, filter],
            Self::Judged | Self::Counted | Self::FailClosed => {
                let judging = [sign_in, rate, json!("rules"), json!("tool-pinning"), filter, retry, credential];
                audit.into_iter().chain(judging).collect()
            }
        }
    }

    /// What the audit promises, where there is one.
    fn promise(self) -> Option<&'static str> {
        match self {
            Self::Counted => Some("counted"),
            Self::FailClosed => Some("fail-closed"),
            Self::SignedIn | Self::Connected | Self::Judged => None,
        }
    }
}

/// The gateway to measure: `PORTCULLIS_BIN`, or the one that Cargo built for this bench.
pub(crate) fn binary() -> Option<PathBuf> {
    let chosen = std::env::var_os("PORTCULLIS_BIN").map(PathBuf::from);
    chosen.or_else(|| option_env!("CARGO_BIN_EXE_portcullis").map(PathBuf::from))
}

/// A command that starts it, in a directory of its own with its configuration.
pub(crate) fn command(binary: &Path, directory: &Path, config: &Value) -> Result<Command> {
    fs::create_dir_all(directory)?;
    let file = directory.join("routes.json");
    fs::write(&file, config.to_string())?;
    let mut command = Command::new(fs::canonicalize(binary)?);
    command.arg("serve").arg("--config").arg(file).current_dir(directory);
    let (out, errors) = output(directory, config)?;
    command.stdout(out).stderr(errors);
    Ok(command)
}

/// What it has written, for the error when it does not start.
pub(crate) fn log(directory: &Path) -> String {
    let log = fs::read_to_string(directory.join(LOG)).unwrap_or_default();
    format!("the gateway wrote: {log}")
}

/// With an access log both go to /dev/null: the cost of writing a line counts, that of a disk does not.
fn output(directory: &Path, config: &Value) -> Result<(Stdio, Stdio)> {
    if config["gateway"]["log"]["access"] == true {
        return Ok((Stdio::null(), Stdio::null()));
    }
    let log = File::create(directory.join(LOG))?;
    Ok((log.try_clone()?.into(), log.into()))
}

pub(crate) fn config(listen: SocketAddr, upstream: SocketAddr, setup: Setup) -> Value {
    json!({
        "compatibilityDate": "2026-11-20",
        "gateway": {
            "listen": listen.to_string(),
            "log": { "access": setup.access_log },
            // The bench is many people in a hurry behind one address.
            "oauth": {
                "requestsPerMinuteAndAddress": 1_000_000_000,
                "registration": { "perHourAndAddress": 1_000_000_000 },
            },
        },
        "policies": {
            "fair-use": {
                "policy": "rate-limit",
                "options": { "rateLimitBy": "ip", "requestsAllowed": 1_000_000_000, "timeWindowMinutes": 1 },
            },
            "rules": { "policy": "mcp-rules", "options": rules() },
            "some-tools": { "policy": "mcp-capability-filter", "options": { "tools": tools::allowed() } },
        },
        "routes": routes(upstream, setup),
    })
}

fn routes(upstream: SocketAddr, setup: Setup) -> Map<String, Value> {
    let url = format!("http://{upstream}/mcp");
    let chain = json!({ "upstream": { "url": url }, "policies": ["fair-use", "some-tools"] });
    let mut routes: Map<String, Value> = (0..setup.routes).map(|number| (route(number), chain.clone())).collect();
    if let Some(personal) = setup.personal {
        let route = json!({ "upstream": { "url": url }, "policies": personal.chain(upstream) });
        routes.insert(Personal::PATH.to_owned(), route);
    }
    routes
}

/// Three that do not match what is called, and one that does.
fn rules() -> Value {
    json!({ "rules": [
        { "name": "archive by hand", "match": { "tools": [{ "glob": "archive_*" }] }, "action": "require_approval",
          "approvers": [{ "groups": ["owners"] }] },
        { "name": "no deletion", "match": { "annotations": { "destructiveHint": true } }, "action": "deny" },
        { "name": "customers", "match": { "tools": [{ "glob": "*_customer" }], "groups": ["sales"] }, "action": "deny" },
        { "name": "the rest", "action": "allow" },
    ] })
}

/// Everybody's own token; the upstream plays the authorization server too.
fn by_oauth(upstream: SocketAddr) -> Value {
    json!({
        "id": "bench",
        "displayName": "Bench",
        "clientRegistration": { "mode": "manual", "clientId": "gateway", "clientSecret": "bench-secret" },
        "classicOAuth": {
            "authorizeUrl": format!("http://{upstream}/authorize"),
            "tokenUrl": format!("http://{upstream}{TOKEN}"),
        },
    })
}

fn route(number: usize) -> String {
    format!("/mcp/bench-{number}")
}
