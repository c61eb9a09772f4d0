//! One server under examination.

use std::{net::IpAddr, sync::Arc};

use http::HeaderValue;
use ipnet::IpNet;
use portcullis_policies::kit::credential::UpstreamChallenge;
use serde_json::Value;
use url::Url;

use super::{
    super::{check::Case, clients::Client},
    answer::{Answer, Timing},
    endpoint::{Endpoint, Session},
    peer::Peer,
    proxy::Environment,
};
use crate::fetch::{self, Guard, Roots, SystemResolver};

/// What a check can find that others build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Fact {
    /// People give its URL to clients.
    Clients,
    /// The host has an address.
    Address,
    /// Its port takes connections.
    Connection,
    /// Requests can be sent: as they are, or over TLS with a certificate that is good.
    Channel,
    /// An MCP server answers, be it that it asks for a token.
    Answer,
    /// It asks for a token.
    Challenge,
    /// It says who its authorization servers are.
    Issuers,
    /// Its authorization servers say what they can do.
    Metadata,
    /// It lets us in: anybody, or with the token that was given.
    WayIn,
    /// It speaks a revision of MCP.
    Revision,
}

/// One server under examination: what was typed, and what was found so far.
pub(in crate::doctor) struct Server {
    /// The URL, letter by letter.
    pub(super) typed: String,
    /// The same, read.
    pub(super) url: Url,
    /// `Bearer …`, if a token was given.
    pub(super) credential: Option<HeaderValue>,
    /// The client that does not work with it, if one was named.
    pub(in crate::doctor) client: Option<Client>,
    /// The server.
    pub(super) peer: Peer,
    /// Whose certificates are trusted.
    pub(super) roots: Roots,
    /// Which proxy this machine's environment names for it.
    pub(super) environment: Environment,
    /// All addresses of the host.
    pub(super) addresses: Vec<IpAddr>,
    /// What it answered to whoever shows no token.
    pub(super) answered: Option<Answer>,
    /// What it asked for when it was shown no token.
    pub(super) challenge: Option<UpstreamChallenge>,
    /// What it calls itself in its protected-resource metadata, and so what clients ask tokens for.
    pub(super) resource: Option<Url>,
    /// Where its protected-resource metadata are, and the issuers that they name.
    pub(super) issuers: Option<(Url, Vec<String>)>,
    /// The authorization servers whose metadata are good.
    pub(super) servers: Vec<AuthorizationServer>,
    /// What it speaks.
    pub(super) spoken: Spoken,
    /// How long an answer took.
    pub(super) took: Option<Timing>,
    facts: Vec<Fact>,
}

/// An authorization server.
#[derive(Debug)]
pub(super) struct AuthorizationServer {
    /// Where its metadata are.
    pub(super) place: Url,
    /// What they say.
    pub(super) metadata: Value,
}

/// What a server speaks.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    /// Does it answer requests that stand for themselves?
    pub(super) modern: bool,
    /// What was opened, if it speaks a revision with sessions.
    pub(super) legacy: Option<Session>,
    /// What it says that it has.
    pub(super) capabilities: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Spoken {
    /// Has its session an id, which each request in it has to show?
    pub(super) fn has_session(&self) -> bool {
        self.legacy.as_ref().is_some_and(|session| session.id.is_some())
    }
}

impl Server {
    /// Nothing is known yet.
    pub(in crate::doctor) fn new(typed: &str, url: Url, credential: Option<HeaderValue>, roots: Roots) -> Self {
        Self {
            typed: typed.to_owned(),
            peer: Peer::new(url.clone(), &roots),
            url,
            credential,
            client: None,
            roots,
            environment: Environment::Silent,
            addresses: Vec::new(),
            answered: None,
            challenge: None,
            resource: None,
            issuers: None,
            servers: Vec::new(),
            spoken: Spoken::default(),
            took: None,
            facts: Vec::new(),
        }
    }

    /// People give its URL to clients, on this machine and elsewhere: what they meet on the way is looked at too.
    pub(in crate::doctor) fn give_to_clients(&mut self) {
        self.environment = Environment::about(&self.url, |name| std::env::var(name).ok());
        self.found(Fact::Clients);
    }

    /// Notes what later checks need.
    pub(super) fn found(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// The typed URL, asked with the token that was given.
    pub(super) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { peer: &self.peer, url: &self.url, credential: self.credential.as_ref() }
    }

    /// The same, asked as somebody who has no token.
    pub(super) fn without_token(&self) -> Endpoint<'_> {
        Endpoint { credential: None, ..self.endpoint() }
    }

    /// Is the server on this machine?
    pub(super) fn is_local(&self) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(IpAddr::is_loopback)
    }

    /// Has it a public address?
    pub(super) fn is_public(&self) -> bool {
        self.addresses.iter().any(|address| Guard::default().allows(*address))
    }

    /// The guarded client, for addresses that the server chose. A server must not use its examiner to look around in the
    /// examiner's network.
    pub(super) fn fetch(&self) -> fetch::Client {
        let settings = fetch::Settings { guard: self.guard(), roots: self.roots.clone() };
        fetch::Client::new(settings, Arc::new(SystemResolver::default()))
    }

    /// It may lead to public addresses, and where the host that was typed is inside, to those of that host. Whoever has a
    /// public address may have put one of the examiner's network beside it.
    fn guard(&self) -> Guard {
        let own = self.addresses.iter().filter(|_| !self.is_public());
        Guard { networks: own.copied().map(IpNet::from).collect(), loopback: self.is_local() }
    }
}

impl Case for Server {
    type Fact = Fact;

    fn has(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }

    fn missing(fact: Fact) -> &'static str {
        match fact {
            Fact::Clients => "a gateway asks it, and no other client",
            Fact::Address => "the host has no address",
            Fact::Connection => "there is no connection",
            Fact::Channel => "nothing can be sent safely",
            Fact::Answer => "there is no MCP server to ask",
            Fact::Challenge => "it asks for no token",
            Fact::Issuers => "it does not say who its authorization servers are",
            Fact::Metadata => "no authorization server has metadata",
            Fact::WayIn => "it asks for a token; give one with --token to look further",
            Fact::Revision => "it speaks no revision of MCP with us",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inside_address_beside_a_public_one_is_not_looked_at() {
        for (addresses, is_allowed) in
            [(&["10.0.0.7"][..], true), (&["10.0.0.7", "10.0.0.8"], true), (&["9.9.9.9", "10.0.0.7"], false)]
        {
            let url = Url::parse("https://mcp.example/mcp").unwrap();
            let mut case = Server::new(url.as_str(), url.clone(), None, Roots::of_system());
            case.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(case.guard().allows("10.0.0.7".parse().unwrap()), is_allowed, "{addresses:?}");
            assert!(
                case.guard().allows("8.8.8.8".parse().unwrap()) && !case.guard().allows("10.0.0.9".parse().unwrap())
            );
        }
    }
}
