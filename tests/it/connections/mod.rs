//! Stories about people's connections when it gets hard: crowds, several gateways, kills, and vendors that fail.
//!
//! Those that take minutes are ignored; `.ci/run` runs them one by one. Each has a smaller sister that always runs.

mod canaries;
mod chain;
mod crowd;
mod faults;
mod killed;
mod nodes;
mod postgres;
mod storm;

use std::path::Path;

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::{
    connect::Person,
    harness::{Broken, Client, OAuthClient, REDIRECT, Reachable, Reply, Request, Route, Setup, Vendor, call},
};

/// The MCP client of everybody here.
const CLIENT: &str = "story-client";

/// A gateway whose route `/mcp` leads to a vendor in the name of each person, for many people behind one address.
fn busy(vendor: &Vendor) -> Setup {
    let options = json!({ "id": "vendor", "displayName": "Vendor" });
    let route = Route::url(&vendor.url())
        .policy("dev-login", &json!({}))
        .policy("upstream-auth-retry", &json!({}))
        .policy("mcp-token-exchange", &options);
    let no_limits = json!({
        "requestsPerMinuteAndAddress": 1_000_000_000,
        "registration": { "perHourAndAddress": 1_000_000_000 },
    });
    Setup::new().route("/mcp", route).gateway("oauth", no_limits).client(CLIENT, REDIRECT)
}

/// Somebody who is signed in at the gateway.
async fn person(gateway: &impl Reachable, name: &str) -> Person {
    Person::with(&OAuthClient::known(gateway, CLIENT, REDIRECT), gateway, name).await
}

/// Somebody who is connected to the vendor under their own name.
async fn connected(gateway: &impl Reachable, vendor: &Vendor, name: &str) -> Person {
    let mut person = person(gateway, name).await;
    person.connect(vendor, name).await;
    person
}

/// Somebody's MCP client, on a connection that it keeps.
struct Caller {
    client: Client,
    token: String,
}

impl Caller {
    async fn of(person: &Person) -> Self {
        Self::at(&person.place, person).await
    }

    /// At another gateway than the one at which the person signed in.
    async fn at(gateway: &impl Reachable, person: &Person) -> Self {
        Self { client: Client::to(gateway.place().address).await, token: person.tokens.access.clone() }
    }

    /// Calls a tool that says who called, and what it was given.
    async fn call(&mut self, id: u64, nonce: &str) -> Reply {
        self.try_call(id, nonce).await.unwrap()
    }

    /// The same, at a gateway that may be killed meanwhile.
    async fn try_call(&mut self, id: u64, nonce: &str) -> Result<Reply, Broken> {
        let message = call(id, "whoami", &json!({ "nonce": nonce }));
        let request = Request::post("/mcp", &message).bearer(&self.token);
        self.client.try_send(&request).await?;
        self.client.reply().await
    }
}

/// The store of a gateway in this folder, beside the gateway.
async fn store_of(folder: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}/portcullis.db", folder.display())).await.unwrap()
}

/// The answer is the one to this very call, and was given to this person.
fn assert_own(reply: &Reply, id: u64, nonce: &str, name: &str) {
    let message = reply.messages().pop().unwrap_or_default();
    let expected = json!({ "person": name, "arguments": { "nonce": nonce } });
    assert_eq!((&message["id"], &message["result"]["structuredContent"]), (&json!(id), &expected), "{reply:?}");
}

/// The path of the link in an answer, which is there.
fn link_in(reply: &Reply) -> String {
    let text = reply.text();
    let from = text.find("/connect/").unwrap_or_else(|| panic!("no link: {reply:?}"));
    let link = text[from..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c));
    link.collect::<String>().trim_end_matches('.').to_owned()
}
