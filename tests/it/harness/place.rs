//! Where a gateway is.

use std::{net::SocketAddr, sync::Arc};

use super::{Client, Gateway, Reply, Request};

/// Where a gateway listens, and the address under which the world knows it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// Scheme, host and port.
    pub(crate) origin: String,
}

impl Place {
    /// Asks once, on a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        Client::to(self.address).await.ask(request).await
    }
}

/// Something that is at a place.
pub(crate) trait Reachable {
    fn place(&self) -> Place;
}

impl Reachable for Place {
    fn place(&self) -> Place {
        self.clone()
    }
}

impl Reachable for Gateway {
    fn place(&self) -> Place {
        Place { address: self.address, origin: format!("http://{}", self.address) }
    }
}

impl<T: Reachable> Reachable for Arc<T> {
    fn place(&self) -> Place {
        (**self).place()
    }
}
