//! Parameters of OAuth requests: from a query or a form, each at most once (RFC 6749 §3.1, §3.2).

use std::collections::HashMap;

use http::HeaderMap;
use portcullis_policies::kit::headers::media_type;

use super::{
    error::{Code, OAuthError},
    pages::Trouble,
};

/// Parameters by name. Those without a value count as absent (RFC 6749 §3.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(HashMap<String, String>);

/// Why parameters cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// One was given twice.
    Repeated(String),
    /// The body is not a form.
    NotAForm,
    /// More than anybody needs.
    TooMany,
}

impl Unreadable {
    /// Words for `error_description`.
    pub(super) fn description(&self) -> &'static str {
        match self {
            Self::Repeated(_) => "a parameter is given more than once",
            Self::NotAForm => "the body must be application/x-www-form-urlencoded",
            Self::TooMany => "too many parameters",
        }
    }
}

impl From<Unreadable> for OAuthError {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(Code::InvalidRequest, unreadable.description())
    }
}

impl From<Unreadable> for Trouble {
    fn from(unreadable: Unreadable) -> Self {
        Self::BadRequest(unreadable.description())
    }
}

const MOST: usize = 64;

impl Parameters {
    /// From a query, or the body of a form. `resource` may be repeated by RFC 8707; here one is enough, as each token is
    /// for one route.
    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut parameters = HashMap::new();
        for (index, (name, value)) in url::form_urlencoded::parse(text.as_bytes()).enumerate() {
            if index >= MOST {
                return Err(Unreadable::TooMany);
            }
            if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Unreadable::Repeated(name.into_owned()));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    /// From the body of a POST, which must be declared as a form.
    pub(super) fn of_form(headers: &HeaderMap, body: &[u8]) -> Result<Self, Unreadable> {
        if !media_type(headers).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Unreadable::NotAForm);
        }
        Self::parse(std::str::from_utf8(body).map_err(|_| Unreadable::NotAForm)?)
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a parameter that must be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::new(Code::InvalidRequest, format!("{name} is missing")))
    }

    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
}
