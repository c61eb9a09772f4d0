//! The resource server's side: judging the token of each request, and the challenges (RFC 6750 §3, RFC 9728 §5.1).

use std::{sync::Arc, time::Duration};

use crate::kit::{
    admission::{Door, route},
    chain::Request,
    challenge::{Challenge, bearer_only, unavailable},
    refusal::Refusal,
    scopes::ScopeRules,
    sign_in::{Access, AccessTokens, Denied, Judging},
};

/// When to come back if a token cannot be judged.
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub(super) struct TokenDoor {
    tokens: Arc<dyn AccessTokens>,
    rules: ScopeRules,
}

impl TokenDoor {
    pub(super) fn new(tokens: &Arc<dyn AccessTokens>, rules: ScopeRules) -> Self {
        Self { tokens: Arc::clone(tokens), rules }
    }

    /// Where the metadata of this request's route are.
    fn metadata(&self, request: &Request) -> String {
        self.tokens.resource_metadata(route(request))
    }

    /// What is asked of whoever has no good token yet: the least that any call needs.
    fn challenge<'a>(&'a self, metadata: &'a str) -> Challenge<'a> {
        Challenge { resource_metadata: Some(metadata), scopes: self.rules.base() }
    }
}

impl Door for TokenDoor {
    fn judge<'a>(&'a self, request: &'a Request) -> Result<Judging<'a>, Refusal> {
        match bearer_only(request.headers(), request.uri())? {
            Some(token) => Ok(self.tokens.judge(token, route(request))),
            None => Err(self.challenge(&self.metadata(request)).none_presented()),
        }
    }

    fn suffices(&self, request: &Request, access: &Access) -> Result<(), Refusal> {
        match self.rules.missing(request.body().message(), access) {
            None => Ok(()),
            Some(needed) => {
                let metadata = self.metadata(request);
                Err(Challenge { scopes: &needed, ..self.challenge(&metadata) }.insufficient_scope())
            }
        }
    }

    fn deny(&self, request: &Request, denied: Denied) -> Refusal {
        match denied {
            Denied::Invalid(why) => self.challenge(&self.metadata(request)).invalid_token(why),
            Denied::Unavailable => unavailable(RETRY_AFTER),
        }
    }
}
