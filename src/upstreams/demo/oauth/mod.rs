//! The sample server behind a sign-in of its own: a toy, for trying offline what a gateway does about people's
//! credentials. It asks for a name and no password, forgets everything at its end, and serves loopback only.
//!
//! As an authorization server it is strict where servers may be: PKCE with S256 only (RFC 7636), exact redirect URIs,
//! codes good for one minute and once, and refresh tokens that are good once: whoever shows a spent one ends the whole
//! connection (RFC 9700 §4.14.2). It registers clients by itself (RFC 7591), says who it is in each answer (RFC 9207), and
//! takes tokens back (RFC 7009).
//!
//! ```text
//! /mcp                                        the server; 401 says where the metadata are   guard
//! /.well-known/oauth-protected-resource/mcp   RFC 9728                                      metadata
//! /.well-known/oauth-authorization-server     RFC 8414                                      metadata
//! /register  /authorize  /token  /revoke      RFC 7591, OAuth 2.1, RFC 7009                 client, authorize, token
//! /                                           who is connected, and a button to end it      people
//! ```

mod authorize;
mod book;
mod client;
mod denied;
mod form;
mod grant;
mod guard;
mod metadata;
mod page;
mod people;
mod same;
mod scope;
mod token;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get, post},
};
use portcullis_policies::kit::clock::{Clock, Timestamp};
use secrecy::SecretString;
use tokio::net::TcpListener;

use self::book::Book;
use super::notebook::Notebook;

/// How the sign-in of a [`ProtectedDemo`] behaves.
#[derive(Clone, Debug)]
pub struct OAuthOptions {
    /// Where it is reached: scheme, host and port, such as `http://127.0.0.1:8090`. Its issuer, too.
    pub origin: String,
    /// How long an access token is good.
    pub token_life: Duration,
    /// Must a token be asked for `notes:write` before it may change anything? A token that was asked for nothing may only
    /// read then, and 403 says which scope is missing.
    pub scopes: bool,
    /// Clients that it knows from the start.
    pub clients: Vec<KnownClient>,
}

impl OAuthOptions {
    /// Tokens for five minutes that may do everything, and no client.
    pub fn at(origin: impl Into<String>) -> Self {
        let token_life = Duration::from_mins(5);
        Self { origin: origin.into(), token_life, scopes: false, clients: Vec::new() }
    }
}

/// A client that need not register. It shows its secret in the header or in the form.
#[derive(Clone, Debug)]
pub struct KnownClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// Where its codes may be sent.
    pub redirect_uris: Vec<String>,
}

/// How often something happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients registered themselves.
    pub registrations: u64,
    /// A code was redeemed.
    pub codes: u64,
    /// A refresh token was redeemed.
    pub refreshes: u64,
    /// A spent code or refresh token was shown again, which ended its connection.
    pub reuses: u64,
    /// A client asked for tokens without a person.
    pub credentials: u64,
    /// A client took a token back.
    pub revocations: u64,
    /// A message came with a good token.
    pub admitted: u64,
    /// A message came without one.
    pub refused: u64,
}

/// The sample server with a sign-in of its own; each person has a notebook. Cheap to clone; all clones are one server.
#[derive(Clone)]
pub struct ProtectedDemo(Arc<Shared>);

struct Shared {
    options: OAuthOptions,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
    notebooks: Mutex<HashMap<Arc<str>, Notebook>>,
}

/// Notebooks at most. Whoever comes later finds an empty one each time.
const MOST_NOTEBOOKS: usize = 10_000;

impl ProtectedDemo {
    /// A server that nobody is connected to yet.
    pub fn new(options: OAuthOptions, clock: Arc<dyn Clock>) -> Self {
        let book = Mutex::new(Book::new(&options.clients));
        Self(Arc::new(Shared { options, clock, book, notebooks: Mutex::default() }))
    }

    /// Everything it serves.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/mcp", any(guard::answer))
            .route("/.well-known/oauth-protected-resource/mcp", get(metadata::protected_resource))
            .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
            .route("/register", post(client::register))
            .route("/authorize", get(authorize::ask).post(authorize::decide))
            .route("/token", post(token::token))
            .route("/revoke", post(token::revoke))
            .route("/", get(people::list).post(people::end))
            .layer(from_fn_with_state(self.clone(), guard::only_as_ourselves))
            .with_state(self.clone())
    }

    /// Serves until the returned future is dropped.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    /// The address of the MCP endpoint.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.book().counts
    }

    /// Ends every connection of this person, as the button on `/` does; says how many there were.
    pub fn end(&self, person: &str) -> usize {
        self.book().end(person)
    }

    /// All access tokens are over, long before their time. Refresh tokens stay good.
    pub fn expire_access_tokens(&self) {
        self.book().expire_access_tokens();
    }

    fn origin(&self) -> &str {
        &self.0.options.origin
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Nothing is left half changed where a request could panic, so a poisoned lock is as good as new.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notebook(&self, person: &Arc<str>) -> Notebook {
        let mut notebooks = self.0.notebooks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notebook) = notebooks.get(person) {
            return notebook.clone();
        }
        let notebook = Notebook::default();
        if notebooks.len() < MOST_NOTEBOOKS {
            notebooks.insert(Arc::clone(person), notebook.clone());
        }
        notebook
    }
}
