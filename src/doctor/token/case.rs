//! One token under examination.

use portcullis_policies::kit::clock::Timestamp;

use super::{super::check::Case, expected::Expectations, said::Said};

/// What a check can find that others build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Fact {
    /// It has a header and claims that can be read.
    Said,
    /// It has the form of a JWT that could be accepted.
    Jwt,
    /// There are routes to compare with.
    Routes,
    /// The issuer's keys may be asked for.
    Online,
}

/// One token under examination.
pub(in crate::doctor) struct Token {
    /// All of it. Never shown.
    pub(super) text: String,
    /// What it says, once that was read.
    pub(super) said: Option<Said>,
    /// The present moment.
    pub(super) now: Timestamp,
    /// What the gateway expects; nothing without a configuration.
    pub(super) expectations: Option<Expectations>,
    /// Does it have the form of a JWT that could be accepted?
    pub(super) is_jwt: bool,
}

impl Token {
    /// Nothing is known yet.
    pub(in crate::doctor) fn new(text: String, now: Timestamp, expectations: Option<Expectations>) -> Self {
        Self { text, said: None, now, expectations, is_jwt: false }
    }
}

impl Case for Token {
    type Fact = Fact;

    fn has(&self, fact: Fact) -> bool {
        let expectations = self.expectations.as_ref();
        match fact {
            Fact::Said => self.said.is_some(),
            Fact::Jwt => self.is_jwt,
            Fact::Routes => expectations.is_some_and(|expectations| expectations.compared().next().is_some()),
            Fact::Online => expectations.is_some_and(|expectations| expectations.fetch.is_some()),
        }
    }

    fn missing(fact: Fact) -> &'static str {
        match fact {
            Fact::Said => "nothing of it can be read",
            Fact::Jwt => "it is no JWT that could be accepted",
            Fact::Routes => "there is no configuration, or the route takes no access tokens",
            Fact::Online => "nothing was asked over the network; --online asks for the issuer's keys",
        }
    }
}
