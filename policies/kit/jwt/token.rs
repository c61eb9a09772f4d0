use std::str;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    Algorithm, Claims, JwtError, Rules,
    keys::{Key, KeySet},
    object,
};
use crate::kit::{clock::Timestamp, json::Limits};

/// Bytes of a token at most: more than any header line that a server takes.
const LONGEST: usize = 16 << 10;
/// Bytes of a `kid` at most.
const LONGEST_KID: usize = 512;
/// Claims are flat with few exceptions, such as Keycloak's roles.
const LIMITS: Limits = Limits { depth: 12, nodes: 2_000, keys: 256, string: 16 << 10 };

/// A token of which only the form is known to be right. Nothing in it is believed.
pub struct Token<'a> {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    typ: Box<str>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// Reads the compact form (RFC 7515 §7.1): three parts in base64url without padding (§2), header and claims in
    /// JSON that cannot be read in two ways.
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > LONGEST {
            return Err(JwtError::Malformed("it is longer than 16 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_COMPACT)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_COMPACT)?;
        // Also finds a fourth part, which would stand in the claims' place.
        let (header, claims) = (json(header)?, json(claims)?);
        decoded(signature)?;
        refuse_extensions(&header)?;
        let typ = text(&header, "typ")?.unwrap_or_default().to_ascii_lowercase();
        Ok(Self {
            algorithm: text(&header, "alg")?.and_then(Algorithm::named).ok_or(JwtError::Algorithm)?,
            kid: kid(&header)?,
            typ: typ.strip_prefix("application/").unwrap_or(&typ).into(),
            claims,
            signed,
            signature,
        })
    }

    /// Which issuer the token claims to be from, to find that issuer's keys and rules.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Which key the token claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// All that is wrong with it by these rules, as far as that can be told without the issuer's key. Says nothing about whether
    /// the token is one of the issuer's: that is [`verify`](Self::verify)'s to say.
    pub fn faults(&self, rules: &Rules, now: Timestamp) -> Vec<JwtError> {
        let algorithm = (!rules.allows(self.algorithm)).then_some(JwtError::Algorithm);
        let others = match Claims::new(self.claims.clone()) {
            Ok(claims) => rules.faults(&self.typ, &claims, now),
            Err(error) => vec![error],
        };
        algorithm.into_iter().chain(others).collect()
    }

    /// Judges the token: first who signed it, then what it says.
    pub fn verify(self, keys: &KeySet, rules: &Rules, now: Timestamp) -> Result<Claims, JwtError> {
        self.check_signature(keys.find(self.kid(), self.algorithm)?, rules)?;
        let claims = Claims::new(self.claims)?;
        rules.check(&self.typ, &claims, now)?;
        Ok(claims)
    }

    fn check_signature(&self, key: &Key, rules: &Rules) -> Result<(), JwtError> {
        if !rules.allows(self.algorithm) || !key.may_use(self.algorithm) {
            return Err(JwtError::Algorithm);
        }
        if key.verifies(self.signed, self.signature, self.algorithm) { Ok(()) } else { Err(JwtError::Signature) }
    }
}

const NOT_COMPACT: JwtError = JwtError::Malformed("it is not a JWT of three parts");

fn decoded(part: &str) -> Result<Vec<u8>, JwtError> {
    // Refuses padding, the other alphabet, white space, and last letters with bits that mean nothing: each token has
    // one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed("it is not three parts in base64url"))
}

fn json(part: &str) -> Result<Map<String, Value>, JwtError> {
    let bytes = decoded(part)?;
    let text = str::from_utf8(&bytes).map_err(|_| JwtError::Malformed("its JSON is not UTF-8"))?;
    object(text, &LIMITS).map_err(|flaw| match flaw.kind {
        kind if kind.is_ambiguous() => JwtError::Malformed("its JSON can be read in two ways"),
        kind if kind.is_limit() => JwtError::Malformed("its JSON is too complex"),
        _ => JwtError::Malformed("its parts are not JSON objects"),
    })
}

/// What changes the meaning of the rest is refused. What only proposes a key (`jwk`, `jku`, `x5c`, `x5u`) is never
/// looked at.
fn refuse_extensions(header: &Map<String, Value>) -> Result<(), JwtError> {
    let has = |name: &str| header.contains_key(name);
    let nested = header.get("cty").is_some_and(|cty| {
        cty.as_str().is_none_or(|cty| cty.to_ascii_lowercase().trim_start_matches("application/") == "jwt")
    });
    match () {
        () if has("crit") => Err(JwtError::Header("its header demands extensions (crit)")),
        () if has("b64") => Err(JwtError::Header("its header changes the encoding (b64)")),
        () if has("zip") || has("enc") => Err(JwtError::Header("it is encrypted or compressed")),
        () if nested => Err(JwtError::Header("it holds another token (cty)")),
        () => Ok(()),
    }
}

fn text<'a>(header: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, JwtError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwtError::Malformed("a member of its header is not text")),
    }
}

fn kid(header: &Map<String, Value>) -> Result<Option<Box<str>>, JwtError> {
    match text(header, "kid")? {
        Some(kid) if kid.is_empty() || kid.len() > LONGEST_KID => Err(JwtError::UnknownKey),
        kid => Ok(kid.map(Box::from)),
    }
}
