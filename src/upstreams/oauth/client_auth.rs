//! How the gateway proves to be itself at a token endpoint (RFC 6749 §2.3, RFC 7523 §2.2).

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use jsonwebtoken::{EncodingKey, Header};
use oauth2::CsrfToken;
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{ClientAuth, ClientAuthMethod},
    jwt::Algorithm,
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Serialize;
use url::form_urlencoded::byte_serialize;

use super::{GrantError, form::Form};

/// How long an assertion is good. It is used at once.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// The claims of an assertion (RFC 7523 §3).
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

/// Adds the client's id and proof to a request: to its form, or as the header that is returned.
///
/// An assertion is for the issuer: RFC 7523 §3 leaves open whether that or the token endpoint is its audience, and an
/// assertion for one endpoint could be shown by its owner at another, so only the issuer is safe. `audience` is the
/// token endpoint where the issuer is not known.
pub(super) fn authenticate(
    client: &ClientAuth,
    audience: &str,
    now: Timestamp,
    form: &mut Form,
) -> Result<Option<HeaderValue>, GrantError> {
    match &client.method {
        ClientAuthMethod::Basic(secret) => {
            let header = basic(&client.client_id, secret)?;
            form.hide(secret.clone());
            form.hide(header.to_str().unwrap_or_default().trim_start_matches("Basic ").into());
            return Ok(Some(header));
        }
        ClientAuthMethod::None => {}
        ClientAuthMethod::Post(secret) => form.push_secret("client_secret", secret),
        ClientAuthMethod::PrivateKey { key, algorithm, key_id } => {
            let assertion = sign(&client.client_id, audience, now, key, algorithm, key_id.as_deref())?;
            form.push("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            form.push_secret("client_assertion", &assertion);
        }
    }
    form.push("client_id", &client.client_id);
    Ok(None)
}

/// Id and secret are form-encoded before they are put together (RFC 6749 §2.3.1), so neither can hold the colon.
fn basic(id: &str, secret: &SecretString) -> Result<HeaderValue, GrantError> {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret.expose_secret())));
    let header = Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))));
    let mut header = HeaderValue::from_str(&header).map_err(|error| GrantError::Unsendable(error.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn sign(
    client_id: &str,
    audience: &str,
    now: Timestamp,
    key: &SecretString,
    algorithm: &str,
    key_id: Option<&str>,
) -> Result<SecretString, GrantError> {
    let bad = |why: &str| GrantError::Unsendable(format!("the private key of the client cannot be used: {why}"));
    let algorithm = Algorithm::named(algorithm).ok_or_else(|| bad("its algorithm is not known"))?;
    let pem = key.expose_secret().as_bytes();
    let key = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_pem(pem),
        Algorithm::EdDsa => EncodingKey::from_ed_pem(pem),
        _ => EncodingKey::from_rsa_pem(pem),
    };
    let key =
        key.map_err(|_| bad("it is no key for its algorithm in PEM (PKCS#8, which begins with `BEGIN PRIVATE KEY`)"))?;
    let mut header = Header::new(algorithm.into());
    header.kid = key_id.map(ToOwned::to_owned);
    let jti = CsrfToken::new_random();
    let claims = Assertion {
        iss: client_id,
        sub: client_id,
        aud: audience,
        iat: now.as_seconds(),
        exp: now.plus(GOOD_FOR).as_seconds(),
        jti: jti.secret(),
    };
    let signed = jsonwebtoken::encode(&header, &claims, &key).map_err(|_| bad("nothing can be signed with it"))?;
    Ok(signed.into())
}
