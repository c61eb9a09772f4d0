//! A host of client-id documents and key sets, behind TLS that only those trust who were told to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{Answer, Authority, Setup, Upstream};

type Answers = Arc<Mutex<HashMap<String, Answer>>>;

/// The host. It has nothing but what it was told to serve.
pub(crate) struct DocumentHost {
    server: Upstream,
    answers: Answers,
    authority: Authority,
}

impl DocumentHost {
    pub(crate) async fn new() -> Self {
        let (authority, answers) = (Authority::new(), Answers::default());
        let told = Arc::clone(&answers);
        let server = Upstream::with_tls(authority.server(&["localhost", "127.0.0.1"]), move |request| {
            told.lock().unwrap().get(request.path()).cloned().unwrap_or_else(|| Answer::status(404))
        });
        Self { server: server.await, answers, authority }
    }

    /// Lets a gateway trust its certificate.
    pub(crate) fn trusted_by(&self, setup: Setup) -> Setup {
        setup.file("hosts.pem", &self.authority.pem()).gateway("fetch", json!({ "roots": ["hosts.pem"] }))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address().port())
    }

    /// From now on, this is there.
    pub(crate) fn serve(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// A good document for `path`, with these members in place of its own.
    pub(crate) fn document(&self, path: &str, changes: &Value) -> Value {
        let mut document = json!({
            "client_id": self.url(path),
            "client_name": "Story Desk",
            "redirect_uris": [Self::REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        document
    }

    /// Serves [`Self::document`], and returns the client id.
    pub(crate) fn publish(&self, path: &str, changes: &Value) -> String {
        self.serve(path, Answer::json(&self.document(path, changes)));
        self.url(path)
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.server.requests().iter().filter(|request| request.path() == path).count()
    }

    /// How often anything was asked for.
    pub(crate) fn count(&self) -> usize {
        self.server.count()
    }

    /// Where the codes of these clients go: a site, so that consent to them can be remembered.
    pub(crate) const REDIRECT: &str = "https://desk.example/callback";
}
