use std::time::Duration;

use super::{Algorithm, Claims, JwtError};
use crate::kit::clock::Timestamp;

/// What a token must say to be good here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Types that `typ` may name, in lower case and without `application/`; `""` stands for a header without `typ`.
    pub types: &'static [&'static str],
    /// `iss`, exactly.
    pub issuer: Box<str>,
    /// `aud` must name one of these, exactly.
    pub audiences: Vec<Box<str>>,
    /// May `aud` name others besides?
    pub other_audiences: bool,
    /// Claims that must be there. `exp`, `iss` and `aud` must be in any case.
    pub required: &'static [&'static str],
    /// By how much clocks may differ: 30 s; never more than [`Rules::MOST_LEEWAY`].
    pub leeway: Duration,
    /// How long ago the token may have been issued; it must then say when (`iat`).
    pub max_age: Option<Duration>,
    /// Algorithms that may be used; else all that the key may be used with.
    pub algorithms: Option<Vec<Algorithm>>,
}

/// One question to a token: its type, its claims, and the moment.
type Check = fn(&Rules, &str, &Claims, Timestamp) -> Result<(), JwtError>;

/// In the order in which a token is refused for them.
const CHECKS: &[Check] = &[
    |rules, typ, _, _| if rules.types.contains(&typ) { Ok(()) } else { Err(JwtError::Type) },
    |rules, _, claims, _| {
        let mut needed = ["iss", "aud", "exp"].iter().chain(rules.required);
        needed.find(|name| claims.at(name).is_none()).map_or(Ok(()), |name| Err(JwtError::Missing(name)))
    },
    |rules, _, claims, _| if claims.issuer() == Some(&*rules.issuer) { Ok(()) } else { Err(JwtError::Issuer) },
    |rules, _, claims, _| rules.check_audience(claims),
    |rules, _, claims, now| rules.check_times(claims, now),
    // Even `null`: whoever issued it meant a binding.
    |_, _, claims, _| if claims.as_map().contains_key("cnf") { Err(JwtError::Bound) } else { Ok(()) },
];

impl Rules {
    /// Access tokens by RFC 9068, and nothing else.
    pub const ACCESS_TOKEN: &'static [&'static str] = &["at+jwt"];
    /// Tokens of issuers that do not say of what type a token is.
    pub const ANY: &'static [&'static str] = &["at+jwt", "jwt", ""];
    /// What an access token must have (RFC 9068 §2.2).
    pub const ACCESS_TOKEN_CLAIMS: &'static [&'static str] = &["sub", "client_id", "iat", "jti"];
    /// Clocks that differ by more than this are wrong.
    pub const MOST_LEEWAY: Duration = Duration::from_mins(1);

    /// Access tokens (RFC 9068) of `issuer` for `audience`.
    pub fn access_token(issuer: impl Into<Box<str>>, audience: impl Into<Box<str>>) -> Self {
        Self {
            types: Self::ACCESS_TOKEN,
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            other_audiences: true,
            required: Self::ACCESS_TOKEN_CLAIMS,
            leeway: Duration::from_secs(30),
            max_age: None,
            algorithms: None,
        }
    }

    /// May a token be signed with this?
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.as_ref().is_none_or(|list| list.contains(&algorithm))
    }

    /// ID tokens (OpenID Connect Core §2) of `issuer` for the client `audience`. `nonce` is the caller's to compare.
    pub fn id_token(issuer: impl Into<Box<str>>, audience: impl Into<Box<str>>) -> Self {
        Self { types: &["jwt", ""], required: &["sub", "iat"], ..Self::access_token(issuer, audience) }
    }

    pub(super) fn check(&self, typ: &str, claims: &Claims, now: Timestamp) -> Result<(), JwtError> {
        CHECKS.iter().try_for_each(|check| check(self, typ, claims, now))
    }

    /// All for which the token is refused, not only the first.
    pub(super) fn faults(&self, typ: &str, claims: &Claims, now: Timestamp) -> Vec<JwtError> {
        CHECKS.iter().filter_map(|check| check(self, typ, claims, now).err()).collect()
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), JwtError> {
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| **ours == *audience);
        let mut audiences = claims.audiences();
        let good = if self.other_audiences { audiences.any(is_ours) } else { audiences.all(is_ours) };
        if good { Ok(()) } else { Err(JwtError::Audience) }
    }

    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), JwtError> {
        let leeway = self.leeway.min(Self::MOST_LEEWAY);
        let (early, late) = (now.minus(leeway), now.plus(leeway));
        let issued = claims.time("iat");
        match () {
            () if claims.expires().is_none_or(|expires| expires <= early) => Err(JwtError::Expired),
            () if claims.time("nbf").is_some_and(|start| start > late) => Err(JwtError::NotYetValid),
            () if issued.is_some_and(|issued| issued > late) => Err(JwtError::IssuedInFuture),
            () => self.check_age(issued, early),
        }
    }

    fn check_age(&self, issued: Option<Timestamp>, early: Timestamp) -> Result<(), JwtError> {
        match (self.max_age, issued) {
            (Some(_), None) => Err(JwtError::Missing("iat")),
            (Some(max_age), Some(issued)) if issued.plus(max_age) < early => Err(JwtError::TooOld),
            _ => Ok(()),
        }
    }
}
