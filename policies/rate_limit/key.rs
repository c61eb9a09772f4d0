//! Whose count a call goes to.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
};

use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::{
    chain::{Arrival, Request},
    host::Caller,
    message::Message,
    policy::Problem,
    refusal::{Reason, Refusal},
};

/// Who has a count of their own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum By {
    /// One thing.
    One(KeyPart),
    /// Several together: each combination has a count of its own.
    Several(Vec<KeyPart>),
}

/// One thing that callers differ in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KeyPart {
    /// One of the usual things.
    Named(NamedPart),
    /// The value of a request header. Clients choose it freely: only behind something that sets it.
    Header(HeaderPart),
    /// A claim of the signed-in caller.
    Claim(ClaimPart),
}

/// A request header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderPart {
    /// The header's name.
    pub header: String,
}

/// A claim of the caller.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimPart {
    /// The claim's name.
    pub claim: String,
}

/// One of the usual things that callers differ in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum NamedPart {
    /// The signed-in caller.
    User,
    /// The client's address.
    Ip,
    /// The route.
    Route,
    /// The tool that is called.
    Tool,
    /// Nothing: everybody shares one count.
    All,
}

impl By {
    /// Does the client's address count?
    pub(super) fn is_by_address(&self) -> bool {
        let is_address = |part: &KeyPart| matches!(part, KeyPart::Named(NamedPart::Ip));
        match self {
            Self::One(part) => is_address(part),
            Self::Several(parts) => parts.iter().any(is_address),
        }
    }

    fn parts(self) -> Vec<KeyPart> {
        match self {
            Self::One(part) => vec![part],
            Self::Several(parts) => parts,
        }
    }

    pub(super) fn needs_caller(&self) -> bool {
        let parts = match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Several(parts) => parts,
        };
        parts.iter().any(|part| matches!(part, KeyPart::Named(NamedPart::User) | KeyPart::Claim(_)))
    }
}

/// Makes keys out of requests.
pub(super) struct KeyMaker {
    parts: Vec<Part>,
    seed: u64,
}

enum Part {
    Named(NamedPart),
    Header(HeaderName),
    Claim(Box<str>),
}

impl KeyMaker {
    pub(super) fn new(by: By, seed: u64) -> Result<Self, Problem> {
        let parts = by.parts().into_iter().map(|part| match part {
            KeyPart::Named(named) => Ok(Part::Named(named)),
            KeyPart::Claim(ClaimPart { claim }) => Ok(Part::Claim(claim.into())),
            KeyPart::Header(HeaderPart { header }) => header
                .parse()
                .map(Part::Header)
                .map_err(|_| Problem::new("/rateLimitBy", format!("{header:?} is not a header's name"))),
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Err(
                Problem::new("/rateLimitBy", "the list is empty").hint("write \"all\" for one count for everybody")
            );
        }
        Ok(Self { parts, seed })
    }

    /// Fails closed: a caller who cannot be told apart is not let through uncounted.
    pub(super) fn of(&self, request: &Request, message: &Message) -> Result<u64, Refusal> {
        let mut hash = DefaultHasher::new();
        self.seed.hash(&mut hash);
        for (index, part) in self.parts.iter().enumerate() {
            index.hash(&mut hash);
            part.hash_of(request, message, &mut hash).ok_or(Reason::Internal)?;
        }
        Ok(hash.finish())
    }
}

impl Part {
    fn hash_of(&self, request: &Request, message: &Message, hash: &mut impl Hasher) -> Option<()> {
        let facts = request.extensions();
        match self {
            Self::Named(NamedPart::User) => facts.get::<Caller>()?.subject.hash(hash),
            Self::Named(NamedPart::Ip) => network(facts.get::<Arrival>()?.client).hash(hash),
            Self::Named(NamedPart::Route) => facts.get::<Arrival>()?.route.hash(hash),
            Self::Named(NamedPart::Tool) => message.tool().hash(hash),
            Self::Named(NamedPart::All) => {}
            Self::Header(name) => request.headers().get_all(name).iter().for_each(|value| value.hash(hash)),
            Self::Claim(name) => facts.get::<Caller>()?.claims.get(&**name).map(ToString::to_string).hash(hash),
        }
        Some(())
    }
}

/// What one client has for itself: an IPv4 address, or an IPv6 /64, in which a host may take any address it likes.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}
