//! Forms with secrets in them.

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use url::form_urlencoded::byte_serialize;

/// The body of a request to a token endpoint. It is zeroed when it was sent.
pub(super) struct Form {
    text: Zeroizing<String>,
    secrets: Vec<SecretString>,
}

impl Form {
    pub(super) fn empty() -> Self {
        // Room for all of it: a text that grows leaves copies of itself behind.
        Self { text: Zeroizing::new(String::with_capacity(16 << 10)), secrets: Vec::new() }
    }

    pub(super) fn of(grant_type: &str) -> Self {
        let mut form = Self::empty();
        form.push("grant_type", grant_type);
        form
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(byte_serialize(value.as_bytes()));
    }

    pub(super) fn push_given(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.push(name, value);
        }
    }

    pub(super) fn push_secret(&mut self, name: &str, value: &SecretString) {
        self.push(name, value.expose_secret());
        self.hide(value.clone());
    }

    /// Something that goes with the form and must not be repeated to anybody either, as it is or as forms write it.
    pub(super) fn hide(&mut self, secret: SecretString) {
        let written = Zeroizing::new(byte_serialize(secret.expose_secret().as_bytes()).collect::<String>());
        if *written != secret.expose_secret() {
            self.secrets.push(SecretString::from(written.as_str()));
        }
        self.secrets.push(secret);
    }

    /// The body, and what must not be repeated to anybody: some servers quote in their refusals what they were sent.
    pub(super) fn into_parts(self) -> (Bytes, Vec<SecretString>) {
        (Bytes::from_owner(self.text), self.secrets)
    }
}
