//! The demo server behind a sign-in of its own: a real upstream that wants each person's own credential.

use std::{net::SocketAddr, sync::Arc};

use portcullis::upstreams::demo::{OAuthOptions, ProtectedDemo};
use portcullis_policies::kit::clock::Clock;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Place, Reachable, form};

/// The server, in this process; it ends with the story.
pub(crate) struct Notebook {
    pub(crate) demo: ProtectedDemo,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Notebook {
    /// With other options than the usual ones, as far as `change` says.
    pub(crate) async fn new(clock: Arc<dyn Clock>, change: impl FnOnce(OAuthOptions) -> OAuthOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let demo = ProtectedDemo::new(change(OAuthOptions::at(format!("http://{address}"))), clock);
        let server = demo.clone();
        let serving = tokio::spawn(async move { server.serve(listener).await.unwrap() });
        Self { demo, address, serving }
    }

    /// The address of the MCP server, for a route.
    pub(crate) fn url(&self) -> String {
        self.demo.mcp_url()
    }

    /// Somebody presses the button on its page; returns where the browser is sent.
    pub(crate) async fn says_yes(&self, url: &str, person: &str) -> String {
        let page = url.strip_prefix(&self.place().origin).unwrap_or_else(|| panic!("{url} is elsewhere"));
        let reply = self.place().ask(&form(page, &[("person", person)])).await;
        reply.header("location").unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
    }
}

impl Reachable for Notebook {
    fn place(&self) -> Place {
        Place { address: self.address, origin: format!("http://{}", self.address) }
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
