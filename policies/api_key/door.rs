//! Finding the key, and what is said when it does not do.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, header::AUTHORIZATION};

use crate::kit::{
    admission::{Door, route},
    chain::Request,
    challenge::{Challenge, unavailable},
    refusal::{Reason, Refusal},
    scopes::ScopeRules,
    sign_in::{Access, ApiKeys, Denied, Judging},
};

/// When to come back if a key cannot be judged.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where in a request the key is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) header: HeaderName,
    pub(super) scheme: Option<Box<str>>,
}

pub(super) struct KeyDoor {
    keys: Arc<dyn ApiKeys>,
    rules: ScopeRules,
    place: Place,
}

impl KeyDoor {
    pub(super) fn new(keys: &Arc<dyn ApiKeys>, rules: ScopeRules, place: Place) -> Self {
        Self { keys: Arc::clone(keys), rules, place }
    }

    fn challenge(&self) -> Challenge<'_> {
        Challenge { resource_metadata: None, scopes: self.rules.base() }
    }

    fn with_remedy(&self, refusal: Refusal) -> Refusal {
        let Place { header, scheme } = &self.place;
        let scheme = scheme.as_ref().map(|scheme| format!("{scheme} ")).unwrap_or_default();
        refusal.with_remedy(format!("Send `{header}: {scheme}KEY`. `portcullis keys create` makes a key."))
    }
}

impl Place {
    /// The key, if there is one. More than one credential is ambiguous, whichever of them is right.
    fn key<'a>(&self, request: &'a Request) -> Result<Option<&'a str>, Refusal> {
        let headers = request.headers();
        let mut values = headers.get_all(&self.header).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() || (self.header != AUTHORIZATION && headers.contains_key(AUTHORIZATION)) {
            return Err(Refusal::new(Reason::AmbiguousCredentials, "The request shows more than one credential."));
        }
        let Ok(value) = value.to_str() else { return Err(malformed()) };
        let Some(key) = self.without_scheme(value.trim()) else { return Ok(None) };
        match key {
            "" => Ok(None),
            key if key.contains([' ', ',', '\t']) => Err(malformed()),
            key => Ok(Some(key)),
        }
    }

    fn without_scheme<'a>(&self, value: &'a str) -> Option<&'a str> {
        let Some(scheme) = &self.scheme else { return Some(value) };
        let (word, key) = value.split_once(' ')?;
        word.eq_ignore_ascii_case(scheme).then(|| key.trim_start())
    }
}

fn malformed() -> Refusal {
    Refusal::new(Reason::AmbiguousCredentials, "The header holds something else than one key.")
}

impl Door for KeyDoor {
    fn judge<'a>(&'a self, request: &'a Request) -> Result<Judging<'a>, Refusal> {
        match self.place.key(request)? {
            Some(key) => Ok(self.keys.judge(key, route(request))),
            None => Err(self.with_remedy(self.challenge().none_presented())),
        }
    }

    fn suffices(&self, request: &Request, access: &Access) -> Result<(), Refusal> {
        match self.rules.missing(request.body().message(), access) {
            None => Ok(()),
            Some(needed) => {
                let remedy = format!("Use a key that has them: `portcullis keys create` with {}.", needed.join(" "));
                Err(Challenge { scopes: &needed, ..self.challenge() }.insufficient_scope().with_remedy(remedy))
            }
        }
    }

    fn deny(&self, _: &Request, denied: Denied) -> Refusal {
        match denied {
            Denied::Invalid(why) => self.with_remedy(self.challenge().invalid_token(why)),
            Denied::Unavailable => unavailable(RETRY_AFTER),
        }
    }
}
