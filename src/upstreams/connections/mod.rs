//! People's connections to upstreams: who is connected, with what, and until when.

mod error;
mod seams;
mod view;

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;

pub use self::{
    error::SetupFailure,
    seams::{NoSubjectToken, SubjectTokens, UpstreamRoute, UpstreamRoutes},
    view::{ConnectError, Connected, ConnectionView, Departure, LinkView, Standing},
};
use crate::store::{Digest, StoreError};

/// What a browser brings back from an upstream's authorization server (RFC 6749 §4.1.2, RFC 9207).
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct CallbackParameters {
    pub code: Option<String>,
    pub state: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// People's connections to upstreams. Cloning is one reference count.
#[derive(Clone, Debug)]
pub struct ConnectionBook(#[allow(dead_code)] Arc<()>);

#[allow(clippy::unimplemented, clippy::unused_async, unused_variables, clippy::missing_panics_doc)]
impl ConnectionBook {
    /// The link with this token, if it is still good. Looking at it does not use it up.
    pub async fn link(&self, token: &str) -> Result<Option<LinkView>, StoreError> {
        unimplemented!()
    }

    /// `subject` says yes: uses the link up, and says where the browser goes. `browser` is a secret that only this
    /// browser has. For `shared-oauth` the subject is not looked at.
    pub async fn begin(&self, token: &str, subject: &str, browser: Digest) -> Result<Departure, ConnectError> {
        unimplemented!()
    }

    /// `subject` typed in their key, each value under the name of its field: uses the link up.
    pub async fn put_key(
        &self,
        token: &str,
        subject: &str,
        values: &[(String, SecretString)],
    ) -> Result<Connected, ConnectError> {
        unimplemented!()
    }

    /// The browser came back. `upstream` is the id in the path of the callback.
    pub async fn complete(
        &self,
        upstream: &str,
        query: CallbackParameters,
        subject: Option<&str>,
        browser: Option<Digest>,
    ) -> Result<Connected, ConnectError> {
        unimplemented!()
    }

    /// A link for somebody who wants to connect to the upstream of this route: the whole URL.
    pub async fn link_for(&self, subject: &str, route: &str) -> Result<String, ConnectError> {
        unimplemented!()
    }

    /// Where somebody stands with every upstream that people connect to.
    pub async fn of(&self, subject: &str) -> Result<Vec<ConnectionView>, StoreError> {
        unimplemented!()
    }

    /// Ends a connection: it is revoked upstream, its secrets are destroyed, and no call uses it any more. Was there one?
    pub async fn disconnect(&self, subject: &str, upstream: &str, because: &str) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// The client-id metadata document for the authorization server of this upstream, if it has one.
    pub fn client_document(&self, upstream: &str) -> Option<Value> {
        unimplemented!()
    }
}
