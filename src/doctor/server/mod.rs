//! An MCP server that is known by its URL, this gateway's or anybody's.
//!
//! ```text
//! name → connection → tls → answer → front ┬ challenge → resource → issuer → registration   where it asks for a token
//!                                          └ revisions → tools → get                        where it is open, or a token was given
//! ```
//!
//! Beside that: does a client that was named reach it (`client`), and may a web page use it (`browser`)?
//!
//! It calls no tool, registers no client, and ends the session that it opens. The host that was typed may be anywhere, as the
//! operator typed it; whatever that server names in turn is asked through the guarded client.

mod answer;
mod browser;
mod case;
mod client;
mod document;
mod door;
mod endpoint;
mod front;
mod glance;
mod issuer;
mod latency;
mod mcp;
mod network;
mod peer;
mod proxy;
mod registration;
mod resource;
mod siblings;
mod tls;
mod tools;
mod witness;

use self::case::Fact;
pub(super) use self::{
    case::Server,
    glance::{AskedBy, Examined, examined},
};
use super::check::Check;
use crate::fault::guards;

/// The checks, in the order in which a client meets what they are about. A new one is a line here and a function.
pub(super) const ALL: &[Check<Server>] = &[
    Check { name: "name", question: "Does the host have an address?", needs: &[], run: network::name },
    Check {
        name: "connection",
        question: "Does its port take connections?",
        needs: &[Fact::Address],
        run: network::connection,
    },
    Check { name: "tls", question: "Is its certificate good?", needs: &[Fact::Connection], run: tls::certificate },
    Check {
        name: "answer",
        question: "What does it answer to whoever shows no token?",
        needs: &[Fact::Connection, Fact::Channel],
        run: door::answer,
    },
    Check {
        name: "front",
        question: "What stands in front of it, and does it let clients through?",
        needs: &[Fact::Connection, Fact::Channel],
        run: front::front,
    },
    Check {
        name: "proxy",
        question: "Does a proxy of this machine change the answer?",
        needs: &[Fact::Clients],
        run: front::proxy,
    },
    Check {
        name: "challenge",
        question: "Does its 401 say where clients find out how to sign in?",
        needs: &[Fact::Clients, Fact::Answer, Fact::Challenge],
        run: door::challenge,
    },
    Check {
        name: "resource",
        question: "Do its metadata speak of exactly this URL?",
        needs: &[Fact::Clients, Fact::Answer, Fact::Challenge],
        run: resource::metadata,
    },
    Check {
        name: "issuer",
        question: "Do its authorization servers say what clients insist on?",
        needs: &[Fact::Clients, Fact::Answer, Fact::Challenge, Fact::Issuers],
        run: issuer::metadata,
    },
    Check {
        name: "registration",
        question: "Can clients come to a client id, and use it?",
        needs: &[Fact::Clients, Fact::Answer, Fact::Challenge, Fact::Issuers, Fact::Metadata],
        run: registration::registration,
    },
    Check {
        name: "client",
        question: "Can the client that was named reach it?",
        needs: &[Fact::Clients, Fact::Address],
        run: client::reach,
    },
    Check {
        name: "revisions",
        question: "Which revisions of MCP does it speak?",
        needs: &[Fact::Answer, Fact::WayIn],
        run: mcp::revisions,
    },
    Check {
        name: "tools",
        question: "Which tools does it offer?",
        needs: &[Fact::Answer, Fact::WayIn, Fact::Revision],
        run: tools::tools,
    },
    Check {
        name: "browser",
        question: "Can a client that is a web page use it?",
        needs: &[Fact::Clients, Fact::Answer],
        run: browser::pages,
    },
    Check {
        name: "get",
        question: "What does it answer to GET?",
        needs: &[Fact::Answer, Fact::WayIn, Fact::Revision],
        run: mcp::get,
    },
    Check {
        name: "latency",
        question: "Where does the time go?",
        needs: &[Fact::Connection, Fact::Channel],
        run: latency::latency,
    },
];

#[cfg(test)]
mod tests {
    use super::{super::check::assert_is_a_list, ALL};

    #[test]
    fn each_check_has_a_name_and_a_question_of_its_own() {
        assert_is_a_list(ALL);
    }
}
