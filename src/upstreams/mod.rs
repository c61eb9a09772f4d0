//! The servers behind the gateway.

#[cfg(feature = "demo")]
pub mod demo;

#[cfg(feature = "demo")]
use crate::proxy::LocalServer;

/// The built-in sample server. All routes of a process share its notebook.
#[cfg(feature = "demo")]
pub fn demo_server() -> LocalServer {
    let server = demo::DemoServer::new();
    std::sync::Arc::new(move |request| {
        let server = server.clone();
        Box::pin(async move { server.handle(request).await })
    })
}
