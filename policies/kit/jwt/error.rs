use std::fmt;

/// Why a token is not good. None of it says anything that the token's bearer does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtError {
    /// Not a JWT in compact form (RFC 7515 §7.1), or its JSON can be read in two ways.
    Malformed(&'static str),
    /// The header asks for something that is not done here: `crit`, `b64`, `zip`, a nested token.
    Header(&'static str),
    /// Not an algorithm of the key, or not one that is allowed here.
    Algorithm,
    /// No key of the issuer has the token's `kid`, or none of them is meant.
    UnknownKey,
    /// The signature is not one of that key over these bytes.
    Signature,
    /// `typ` is not the type of token that is expected.
    Type,
    /// `iss` is not the issuer that is expected.
    Issuer,
    /// `aud` does not name this audience, or names others where it may not.
    Audience,
    /// A claim that must be there is not.
    Missing(&'static str),
    /// A claim has a value of another type, or out of range.
    Claim(&'static str),
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` has not come.
    IssuedInFuture,
    /// `iat` is too long ago.
    TooOld,
    /// The token is bound to a key (`cnf`, RFC 7800), and whether its bearer has that key is not known here.
    Bound,
}

impl JwtError {
    /// For the `error_description` of a challenge: printable ASCII without `"` and `\`. [`fmt::Display`] says the same
    /// and, where there is one, the name of the claim.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::Malformed(why) | Self::Header(why) => why,
            Self::Algorithm => "its algorithm is not one of the key's",
            Self::UnknownKey => "it is not signed with a key of the issuer",
            Self::Signature => "its signature is wrong",
            Self::Type => "it is not an access token (typ)",
            Self::Issuer => "it is from another issuer (iss)",
            Self::Audience => "it is meant for another audience (aud)",
            Self::Missing(_) => "it lacks a claim that it must have",
            Self::Claim(_) => "one of its claims has a wrong value",
            Self::Expired => "it has expired (exp)",
            Self::NotYetValid => "it is not valid yet (nbf)",
            Self::IssuedInFuture => "it was issued in the future (iat)",
            Self::TooOld => "it was issued too long ago (iat)",
            Self::Bound => "it is bound to a key (cnf), which is not supported here",
        }
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())?;
        match self {
            Self::Missing(claim) | Self::Claim(claim) => write!(f, " ({claim})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for JwtError {}
