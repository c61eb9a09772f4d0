//! How a configuration's gateway looks from outside, and how it asks others.

use std::{fmt::Display, path::Path, sync::Arc};

use super::fetch_roots;
use crate::{
    config::{Gateway, Surroundings},
    fetch::{self, Guard, Roots, Settings, SystemResolver},
    oauth::Origin,
};

/// The address that clients use: the configured one, or the one that is listened on.
pub fn public_origin(gateway: &Gateway, listening: &impl Display) -> Option<Origin> {
    let scheme = if gateway.tls.is_some() { "https" } else { "http" };
    match &gateway.public_url {
        Some(url) => Origin::parse(url),
        None => Origin::parse(&format!("{scheme}://{listening}")),
    }
}

/// The guarded client of a gateway with this origin. Reading the system's authorities takes milliseconds.
pub fn fetch_client(gateway: &Gateway, origin: &Origin, folder: &Path) -> fetch::Client {
    // What is wrong with the files has been reported by the check of the configuration.
    let roots = Surroundings::of_process(folder, |surroundings| fetch_roots(&gateway.fetch, surroundings));
    fetch_client_with(gateway, Some(origin), roots.unwrap_or_else(|_| Roots::none()))
}

/// The same with these authorities. A gateway whose origin is not known asks nobody on this machine.
pub fn fetch_client_with(gateway: &Gateway, origin: Option<&Origin>, roots: Roots) -> fetch::Client {
    let loopback = origin.is_some_and(Origin::is_loopback);
    let guard = Guard { networks: gateway.fetch.allowed_networks.clone(), loopback };
    fetch::Client::new(Settings { guard, roots }, Arc::new(SystemResolver::default()))
}
