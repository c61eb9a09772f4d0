//! A look at a server from another examination.

use http::{HeaderMap, StatusCode};
use url::Url;

use super::{
    super::{
        check::Case,
        finding::{Finding, State, shown},
    },
    ALL, Server,
    case::Fact,
    network,
    peer::Wanted,
};
use crate::fetch::Roots;

/// What a server answered to a GET.
pub(in crate::doctor) struct Glance {
    pub(in crate::doctor) status: StatusCode,
    pub(in crate::doctor) headers: HeaderMap,
    /// The code with which a gateway such as this one says no.
    pub(in crate::doctor) reason: Option<String>,
    /// Status and type, as evidence.
    pub(in crate::doctor) told: String,
}

/// A whole examination, for a report about more than one server.
pub(in crate::doctor) struct Examined {
    /// The server, with what is known of it.
    pub(in crate::doctor) server: Server,
    /// What is wrong.
    pub(in crate::doctor) faults: Vec<Finding>,
    /// What it said of itself, where nothing is.
    pub(in crate::doctor) summary: String,
}

impl Server {
    /// What it answers to a GET; `None`, if there is no way to it or no answer. `is_whole`: with its body.
    pub(in crate::doctor) async fn glance(&mut self, is_whole: bool) -> Option<Glance> {
        if !self.has(Fact::Connection) {
            network::name(self).await;
            network::connection(self).await;
        }
        let wanted = if is_whole { Wanted::Document } else { Wanted::Head };
        let answer = self.peer.get(&self.url, "application/json, text/event-stream", wanted).await.ok()?;
        let reason = match answer.outcome() {
            Some(Err(error)) => error["data"]["reason"].as_str().map(ToOwned::to_owned),
            _ => None,
        };
        let told = answer.told();
        Some(Glance { status: answer.status, headers: answer.headers, reason, told })
    }

    /// Does its port take connections?
    pub(in crate::doctor) fn is_reached(&self) -> bool {
        self.has(Fact::Connection)
    }

    /// Did it ask for a token?
    pub(in crate::doctor) fn asks_for_token(&self) -> bool {
        self.has(Fact::Challenge)
    }
}

/// Who asks a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum AskedBy {
    /// The gateway only.
    Gateway,
    /// Clients, to whom people give its URL.
    Clients,
}

/// Asks everything, and keeps what is wrong.
pub(in crate::doctor) async fn examined(url: &Url, roots: Roots, asked_by: AskedBy) -> Examined {
    let mut server = Server::new(url.as_str(), url.clone(), None, roots);
    if asked_by == AskedBy::Clients {
        server.give_to_clients();
    }
    let (mut faults, mut said) = (Vec::new(), Vec::new());
    for check in ALL {
        for finding in check.look(&mut server).await {
            match finding.state {
                State::Ok if matches!(check.name, "answer" | "tools") => said.push(finding.evidence),
                State::Ok | State::Skipped => {}
                State::Warning | State::Failed => {
                    faults.push(finding.of_server(url));
                }
            }
        }
    }
    Examined { server, faults, summary: format!("{}: {}", shown(url), said.join("; ")) }
}
