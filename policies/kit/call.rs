//! A call of a tool, as policies look at it.

use crate::kit::{chain::Request, credential::Connectable, message::Message};

/// The name of the tool that is called; empty if none is.
pub fn called(request: &Request) -> &str {
    request.body().message().and_then(Message::tool).unwrap_or_default()
}

/// The same, for whoever needs it longer than the request.
pub fn tool(request: &Request) -> String {
    called(request).to_owned()
}

/// Is it the gateway's own tool, by which people connect? It reaches no upstream, and whoever may call nothing may do that.
pub fn connects(request: &Request) -> bool {
    request.extensions().get::<Connectable>().is_some_and(|connectable| connectable.is_tool(called(request)))
}
