//! The servers behind the gateway.

pub mod catalogue;
pub mod connections;
#[cfg(feature = "demo")]
pub mod demo;
pub mod oauth;

use crate::proxy::LocalServer;

/// The built-in sample server, if this build has it. All routes of a process share its notebook.
pub fn demo_server() -> Option<LocalServer> {
    #[cfg(not(feature = "demo"))]
    return None;
    #[cfg(feature = "demo")]
    {
        let server = demo::DemoServer::new();
        Some(std::sync::Arc::new(move |request| {
            let server = server.clone();
            Box::pin(async move { server.handle(request).await })
        }))
    }
}
