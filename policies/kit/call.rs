//! A call of a tool, as policies look at it.

use crate::kit::{chain::Request, credential::Connectable, message::Message};

/// The name of the tool that is called; empty if none is.
pub fn tool(request: &Request) -> String {
    request.body().message().and_then(Message::tool).unwrap_or_default().to_owned()
}

/// Is it the gateway's own tool, by which people connect? It reaches no upstream, and whoever may call nothing may do that.
pub fn connects(request: &Request) -> bool {
    let connectable = request.extensions().get::<Connectable>();
    let tool = request.body().message().and_then(Message::tool);
    connectable.zip(tool).is_some_and(|(connectable, tool)| connectable.is_tool(tool))
}
