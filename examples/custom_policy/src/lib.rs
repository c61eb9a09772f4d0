//! `team-token`: signs teams in by a token that each of them has been given.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderValue, header};
use portcullis_policies::kit::{
    chain::{RouteLayer, gate},
    host::{Caller, Host},
    policy::{Fact, Policy, Problem},
    refusal::{CustomReason, Reason, Refusal, code},
    rehearsal::Rehearsal,
    scopes::ScopeRules,
};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Signs teams in by a token that each of them has been given.
#[derive(Debug)]
pub struct TeamToken;

/// The teams.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamTokenOptions {
    /// Each team's token, by the team's name. `$env(NAME)` keeps tokens out of the file.
    pub teams: BTreeMap<String, String>,
}

/// Why a caller is turned away.
pub const UNKNOWN_TEAM: Reason = Reason::Custom(&CustomReason {
    code: "unknown_team",
    status: 401,
    json_rpc_code: code::INVALID_REQUEST,
    meaning: "The request carries no team's token.",
    remedy: "Send your team's token as `Authorization: Bearer …`.",
});

/// A shorter token can be found by trying.
const SHORTEST: usize = 16;

impl Policy for TeamToken {
    const NAME: &'static str = "team-token";
    const SUMMARY: &'static str = "signs teams in by a static token";
    const GIVES: &'static [Fact] = &[Fact::CALLER];
    const REHEARSAL: Rehearsal<Self::Options> =
        Rehearsal::Instead(|_, stage| Ok(stage.admission(ScopeRules::default())));
    type Options = TeamTokenOptions;

    fn layer(options: TeamTokenOptions, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let teams = Teams::new(options)?;
        Ok(gate(move |request| match teams.caller(request.headers()) {
            Some(caller) => {
                request.extensions_mut().insert(caller);
                Ok(())
            }
            None => {
                Err(Refusal::from(UNKNOWN_TEAM)
                    .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
        }))
    }
}

/// The teams by the hash of their token: the tokens themselves are not kept, and how long a look-up takes says nothing
/// about them.
struct Teams(HashMap<[u8; 32], Caller>);

impl Teams {
    fn new(options: TeamTokenOptions) -> Result<Self, Vec<Problem>> {
        let mut teams = HashMap::new();
        let mut problems = Vec::new();
        for (team, token) in options.teams {
            let problem = |why: &str, hint: &str| Problem::new(place(&team), why).hint(hint);
            if token.len() < SHORTEST {
                problems.push(problem("the token is too short", "make one with `openssl rand -hex 32`"));
            } else if teams.insert(hash(&token), Caller::new(team.as_str())).is_some() {
                problems.push(problem("another team has the same token", "give each team a token of its own"));
            }
        }
        if problems.is_empty() { Ok(Self(teams)) } else { Err(problems) }
    }

    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.0.get(&hash(token)).cloned()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The JSON pointer of a team, relative to the options.
fn place(team: &str) -> String {
    format!("/teams/{}", team.replace('~', "~0").replace('/', "~1"))
}
