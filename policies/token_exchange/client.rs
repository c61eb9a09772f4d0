//! How the gateway proves to be itself at a token endpoint.

use secrecy::{ExposeSecret, SecretString};

use super::{check::Check, options::AuthMethod};
use crate::kit::{
    credential::{ClientAuth, ClientAuthMethod},
    jwt::Algorithm,
};

/// What the options give, whichever way they call it.
pub(super) struct Credentials<'a> {
    pub(super) client_id: &'a str,
    pub(super) secret: Option<&'a SecretString>,
    pub(super) method: Option<AuthMethod>,
    /// What the option of the method is called here.
    pub(super) method_key: &'static str,
    pub(super) key: Option<&'a SecretString>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key_id: Option<&'a String>,
}

/// A client, if what is given fits together.
pub(super) fn client(check: &mut Check, at: &str, given: &Credentials<'_>) -> Option<ClientAuth> {
    if given.client_id.trim().is_empty() {
        let hint = "copy it from the application that you registered there";
        check.problem(format!("{at}/clientId"), "`clientId` is empty", hint);
    }
    let method = given.method.unwrap_or_else(|| given.implied());
    let method = match method {
        AuthMethod::PrivateKeyJwt => private_key(check, at, given)?,
        _ => shared_secret(check, at, given, method)?,
    };
    Some(ClientAuth { client_id: given.client_id.to_owned(), method })
}

impl Credentials<'_> {
    fn implied(&self) -> AuthMethod {
        match (self.secret, self.key) {
            (Some(_), _) => AuthMethod::ClientSecretBasic,
            (None, Some(_)) => AuthMethod::PrivateKeyJwt,
            (None, None) => AuthMethod::None,
        }
    }
}

fn shared_secret(check: &mut Check, at: &str, given: &Credentials<'_>, method: AuthMethod) -> Option<ClientAuthMethod> {
    let of_a_key = [
        ("privateKeyPem", given.key.is_some()),
        ("algorithm", given.algorithm.is_some()),
        ("keyId", given.key_id.is_some()),
    ];
    for (piece, _) in of_a_key.into_iter().filter(|(_, given)| *given) {
        let hint = format!("remove it, or say \"{}\": \"private_key_jwt\"", given.method_key);
        check.problem(format!("{at}/{piece}"), format!("`{piece}` is only for `private_key_jwt`"), hint);
    }
    let secret = given.secret.filter(|secret| !secret.expose_secret().trim().is_empty());
    match (method, secret) {
        (AuthMethod::None, None) if given.secret.is_none() => return Some(ClientAuthMethod::None),
        (AuthMethod::None, _) => {
            let hint = format!("remove it, or say \"{}\": \"client_secret_basic\"", given.method_key);
            check.problem(format!("{at}/clientSecret"), "a client with a secret has to show it", hint);
        }
        (AuthMethod::ClientSecretPost, Some(secret)) => return Some(ClientAuthMethod::Post(secret.clone())),
        (_, Some(secret)) => return Some(ClientAuthMethod::Basic(secret.clone())),
        (_, None) if given.secret.is_some() => {
            check.problem(format!("{at}/clientSecret"), "the secret is empty", "give it as `$env(NAME)`");
        }
        (_, None) => check.problem(at, "this method needs the `clientSecret`", "give it as `$env(NAME)`"),
    }
    None
}

fn private_key(check: &mut Check, at: &str, given: &Credentials<'_>) -> Option<ClientAuthMethod> {
    if given.secret.is_some() {
        let why = "with `private_key_jwt` no secret is shown";
        check.problem(format!("{at}/clientSecret"), why, "remove it");
    }
    let Some(key) = given.key else {
        check.problem(at, "`private_key_jwt` needs the `privateKeyPem`", "give it as `$file(PATH)`");
        return None;
    };
    if !is_pem(key.expose_secret()) {
        let hint = "it begins with -----BEGIN PRIVATE KEY-----; convert others with `openssl pkcs8 -topk8 -nocrypt`";
        check.problem(format!("{at}/privateKeyPem"), "this is not a private key in PEM", hint);
    }
    let Some(algorithm) = given.algorithm else {
        let hint = "\"ES256\" for a key on P-256, \"RS256\" for an RSA key, \"EdDSA\" for Ed25519";
        check.problem(at, "`private_key_jwt` needs the `algorithm` to sign with", hint);
        return None;
    };
    Some(ClientAuthMethod::PrivateKey {
        key: key.clone(),
        algorithm: algorithm.name().to_owned(),
        key_id: given.key_id.cloned(),
    })
}

/// Looks like it; whether the key is good, only signing can tell.
fn is_pem(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----") && !text.contains("ENCRYPTED")
}
