//! What an upstream asks for in its `WWW-Authenticate` headers (RFC 6750 §3, RFC 9728 §5.1).

use portcullis_policies::kit::{
    challenge::{Received, is_scope},
    credential::UpstreamChallenge,
};
use url::Url;

/// What a challenge says that matters to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Where the metadata of the resource are.
    pub(super) resource_metadata: Option<Url>,
    /// What a token must be good for.
    pub(super) scopes: Vec<Box<str>>,
}

impl Asked {
    /// Reads the challenges: what the first one for bearer tokens says, and where another one says where the metadata
    /// are (they may be told in any), that too.
    pub(super) fn of(challenge: &UpstreamChallenge) -> Self {
        let all = challenge.read();
        let bearer = all.iter().find(|challenge| challenge.is_bearer());
        let scopes = bearer.and_then(|challenge| challenge.attribute("scope")).map(scopes).unwrap_or_default();
        Self { resource_metadata: bearer.into_iter().chain(&all).find_map(resource_metadata), scopes }
    }
}

/// What to ask for after a challenge (step-up): all that was asked for before, and what the challenge names. None, if
/// it asks for nothing more, as asking again would then give the same.
pub fn step_up(asked: &[Box<str>], challenge: &UpstreamChallenge) -> Option<Vec<Box<str>>> {
    let wanted = union(asked, &Asked::of(challenge).scopes);
    (wanted.len() > asked.len()).then_some(wanted)
}

/// Scopes of one list.
const MOST_SCOPES: usize = 256;

/// The scopes of both lists, each once, in their order.
pub(super) fn union(first: &[Box<str>], second: &[Box<str>]) -> Vec<Box<str>> {
    let more = second.iter().filter(|scope| !first.contains(scope));
    first.iter().chain(more).cloned().collect()
}

/// The scopes in a list of them, each once. Whoever lists more than anybody could ask for is not read to the end.
pub(super) fn scopes(list: &str) -> Vec<Box<str>> {
    let mut scopes: Vec<Box<str>> = Vec::new();
    for scope in list.split(' ').filter(|scope| is_scope(scope)).take(MOST_SCOPES) {
        if !scopes.iter().any(|known| **known == *scope) {
            scopes.push(scope.into());
        }
    }
    scopes
}

fn resource_metadata(challenge: &Received) -> Option<Url> {
    Url::parse(challenge.attribute("resource_metadata")?).ok()
}
