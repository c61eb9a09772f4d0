//! What the stories are told with: a real gateway, an upstream that does as it is told, and a client that sees bytes.

mod answer;
mod browser;
mod client;
mod document_host;
mod forge;
mod gateway;
mod http2;
mod message;
mod notebook;
mod oauth;
mod place;
mod process;
mod provider;
mod tls;
mod upstream;
mod vendor;

use std::{future::Future, time::Duration};

pub(crate) use self::{
    answer::{Answer, Gate},
    browser::{Browser, Landed, Page, form},
    client::{Answering, Broken, Client, Reply, Request},
    document_host::DocumentHost,
    forge::{forge, hs256, sign},
    gateway::{Gateway, Route, Setup},
    http2::{Http2, Http2Upstream},
    message::{call, initialize, list_tools, modern, notification, result},
    notebook::Notebook,
    oauth::{CHALLENGE, OAuthClient, REDIRECT, Tokens, VERIFIER, address, parameters, register, say_yes},
    place::{Place, Reachable},
    process::{Process, Unread, run, run_unread},
    provider::{DISCOVERY, JWKS, Provider, SECRET, TOKEN},
    tls::Authority,
    upstream::{Received, Upstream},
    vendor::{
        AUTHORIZE, MCP, REGISTER, RESOURCE_METADATA, REVOKE, SERVER_METADATA, VENDOR_TOKEN, Vendor, VendorCall,
        VendorCounts,
    },
};

/// How long anything may take before a story fails. Nothing here is meant to take a tenth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Waits for what must happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(PATIENCE, future).await;
    value.unwrap_or_else(|_| panic!("did not happen in {PATIENCE:?}: {what}"))
}

/// Waits until something is so, looking every few milliseconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    })
    .await;
}

/// A pause, in milliseconds.
pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Numbers without surprise: the same on each run, so that a failure can be looked at again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
