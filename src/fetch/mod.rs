//! The one HTTP client for addresses that somebody else chose: a client's document, an issuer's keys, a provider's
//! endpoints.
//!
//! ```text
//! URL ─read→ Target ─resolve once→ addresses ─judge all→ connect to one of those → answer, within its budget
//! ```
//!
//! What was judged is what is connected to: the name is not resolved again, no redirect is followed, and no proxy of the
//! environment stands in between. Nothing is sent that the caller did not give, no cookie and no credential.

mod addresses;
mod client;
mod connection;
mod endpoint;
mod guard;
mod handle;
mod host_list;
mod oauth;
mod resolve;
mod roots;
mod seats;
mod signer;
mod target;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::resolve::NoNames;
pub(crate) use self::target::server_name;
pub use self::{
    client::{Budget, Client, Settings},
    endpoint::Endpoint,
    guard::Guard,
    handle::Handle,
    host_list::{HostList, HostPattern, NoHost},
    oauth::OAuthHttp,
    resolve::{Resolve, Resolving, SystemResolver},
    roots::{BadPem, Roots},
    signer::{Signer, message_headers},
};
