//! What a policy is: declared once, everything else is derived.

#[cfg(test)]
mod tests;

use std::{any::TypeId, fmt, pin::Pin};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kit::{
    catalogue::Catalogue,
    chain::RouteLayer,
    credential::UpstreamAuth,
    host::Host,
    rehearsal::{Rehearsal, Rehearsing, Stage},
    sign_in::{Outside, SignIn},
};

/// A kind of policy, as `routes.json` can name it.
///
/// The schema of the options, the table in the README, `portcullis explain` and the order check all come from this one
/// declaration. Adding a policy is a folder with an implementation and a line in [`STANDARD`](crate::STANDARD).
pub trait Policy: 'static {
    /// As written in `routes.json`, in kebab-case.
    const NAME: &'static str;
    /// Other names under which users of other gateways know it.
    const ALIASES: &'static [&'static str] = &[];
    /// One line for the table of policies.
    const SUMMARY: &'static str;
    /// Facts that an earlier policy must have given.
    const NEEDS: &'static [Fact] = &[];
    /// Facts that later policies may rely on.
    const GIVES: &'static [Fact] = &[];
    /// Must stand outside (before) whoever gives these.
    const BEFORE: &'static [Fact] = &[];
    /// Must be the first of its chain, to see everything.
    const OUTERMOST: bool = false;
    /// Changes what the upstream sees besides the message, such as headers. `portcullis explain` keeps such policies when
    /// it asks an upstream what it offers.
    const PREPARES_UPSTREAM: bool = false;
    /// Keeps something in the program's store, which is opened only if a policy needs it.
    const NEEDS_STORE: bool = false;
    /// How it takes part where a request is only rehearsed (`portcullis explain --as`): whoever does not say so stands aside.
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::Aside;
    /// How it is set up. Its doc comments are the schema's descriptions.
    type Options: DeserializeOwned + JsonSchema;

    /// What it needs with these options, where that depends on them.
    fn needs(_options: &Self::Options) -> Vec<Fact> {
        Self::NEEDS.to_vec()
    }

    /// [`Policy::NEEDS_STORE`], where that depends on the options.
    fn needs_store(_options: &Self::Options) -> bool {
        Self::NEEDS_STORE
    }

    /// [`Policy::PREPARES_UPSTREAM`], where that depends on the options.
    fn prepares_upstream(_options: &Self::Options) -> bool {
        Self::PREPARES_UPSTREAM
    }

    /// Builds the layer. Pure: no network, no clock, no spawning. Reports every problem, not only the first.
    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>>;

    /// For policies that verify what the program's own authorization server gives out: how people sign in.
    fn sign_in(_options: &Self::Options) -> Option<SignIn> {
        None
    }

    /// For policies that verify what others give out: who they are.
    fn outside(_options: &Self::Options) -> Option<Outside> {
        None
    }

    /// For policies that show the upstream a credential which the program holds: how.
    fn upstream_auth(_options: &Self::Options) -> Option<UpstreamAuth> {
        None
    }

    /// Compares the options with what the upstream really has: a typo must not look like an empty server.
    fn review(_options: &Self::Options, _upstream: &Catalogue) -> Vec<Problem> {
        Vec::new()
    }

    /// What keeps it from doing its work where the program runs, which `layer` must not look at: others' documents, the
    /// clock, what stands in front. For `portcullis doctor`.
    fn examine<'a>(_options: &'a Self::Options, _deployment: &'a Deployment<'a>) -> Examining<'a> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// An examination under way: every problem, relative to the options.
pub type Examining<'a> = Pin<Box<dyn Future<Output = Vec<Problem>> + 'a>>;

/// Where a program runs, as far as policies may ask.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// What layers are built with: the clock, and the client for addresses that somebody else chose.
    pub host: &'a Host,
    /// Does everybody come through a proxy whose word for their address is not believed?
    pub hides_addresses: bool,
}

/// The name of something that one policy finds out and others rely on. The value itself is a type of its own in the
/// request's extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fact {
    /// As shown to people.
    pub name: &'static str,
    /// What it says about a request.
    pub meaning: &'static str,
}

impl Fact {
    /// Who is calling: the verified person or program.
    pub const CALLER: Self = Self { name: "Caller", meaning: "who is calling, verified" };
    /// The credential that will be shown to the upstream.
    pub const UPSTREAM_CREDENTIAL: Self =
        Self { name: "UpstreamCredential", meaning: "the credential that the upstream will see" };
    /// The call was judged as it is, so nothing may change it afterwards.
    pub const JUDGED_ARGUMENTS: Self =
        Self { name: "JudgedArguments", meaning: "whether the call may be made, by what is in it" };
    /// The target's name may have been rewritten for the upstream.
    pub const RENAMED_TARGET: Self = Self {
        name: "RenamedTarget",
        meaning: "the tool's, prompt's or resource's name is the upstream's, not the client's",
    };
    /// The call has been compared with the tool's schemas. What would change it, or answer it otherwise, stands before that.
    pub const VALIDATED_CALL: Self =
        Self { name: "ValidatedCall", meaning: "the call's arguments have been compared with the tool's schema" };
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Something in a configuration that is wrong, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer (RFC 6901); from a policy, relative to its options.
    pub at: String,
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Must it be mended before anything can run?
    pub severity: Severity,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing runs until it is mended.
    Error,
    /// It runs, and is probably not what was meant.
    Warning,
}

impl Problem {
    /// A problem at a JSON pointer.
    pub fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into(), hint: None, severity: Severity::Error }
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same problem, seen from further out: `outer` is put before its pointer.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.at.insert_str(0, outer);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A policy with its type forgotten, so that many can stand in one list.
#[derive(Clone, Copy)]
pub struct PolicyKind {
    /// [`Policy::NAME`].
    pub name: &'static str,
    /// [`Policy::ALIASES`].
    pub aliases: &'static [&'static str],
    /// [`Policy::SUMMARY`].
    pub summary: &'static str,
    /// [`Policy::GIVES`].
    pub gives: &'static [Fact],
    /// [`Policy::NEEDS`], before options are known.
    pub needs: &'static [Fact],
    /// [`Policy::BEFORE`].
    pub before: &'static [Fact],
    /// [`Policy::OUTERMOST`].
    pub outermost: bool,
    schema: fn(&mut SchemaGenerator) -> Schema,
    needs_with: fn(&Value) -> Vec<Fact>,
    needs_store: fn(&Value) -> bool,
    prepares_upstream: fn(&Value) -> bool,
    layer: fn(&Value, &Host) -> Result<RouteLayer, Vec<Problem>>,
    rehearse: fn(&Value, &Stage) -> Rehearsing,
    sign_in: fn(&Value) -> Option<SignIn>,
    outside: fn(&Value) -> Option<Outside>,
    upstream_auth: fn(&Value) -> Option<UpstreamAuth>,
    review: fn(&Value, &Catalogue) -> Vec<Problem>,
    examine: for<'a> fn(&'a Value, &'a Deployment<'a>) -> Examining<'a>,
    type_id: fn() -> TypeId,
}

impl PolicyKind {
    /// The kind that `P` declares.
    pub const fn of<P: Policy>() -> Self {
        Self {
            name: P::NAME,
            aliases: P::ALIASES,
            summary: P::SUMMARY,
            gives: P::GIVES,
            needs: P::NEEDS,
            before: P::BEFORE,
            outermost: P::OUTERMOST,
            schema: |generator| generator.subschema_for::<P::Options>(),
            needs_with: |options| {
                serde_json::from_value(options.clone()).map_or_else(|_| P::NEEDS.to_vec(), |options| P::needs(&options))
            },
            needs_store: |options| parse::<P>(options).map_or(P::NEEDS_STORE, |options| P::needs_store(&options)),
            prepares_upstream: |options| {
                parse::<P>(options).map_or(P::PREPARES_UPSTREAM, |options| P::prepares_upstream(&options))
            },
            layer: |options, host| P::layer(parse::<P>(options)?, host),
            rehearse: |options, stage| match P::REHEARSAL {
                Rehearsal::Aside => Ok(None),
                Rehearsal::AsItIs => P::layer(parse::<P>(options)?, &stage.host).map(Some),
                Rehearsal::Instead(layer) => layer(parse::<P>(options)?, stage).map(Some),
            },
            sign_in: |options| parse::<P>(options).ok().and_then(|options| P::sign_in(&options)),
            outside: |options| parse::<P>(options).ok().and_then(|options| P::outside(&options)),
            upstream_auth: |options| parse::<P>(options).ok().and_then(|options| P::upstream_auth(&options)),
            review: |options, upstream| {
                parse::<P>(options).map_or_else(|problems| problems, |options| P::review(&options, upstream))
            },
            examine: |options, deployment| match parse::<P>(options) {
                Ok(options) => Box::pin(async move { P::examine(&options, deployment).await }),
                Err(problems) => Box::pin(std::future::ready(problems)),
            },
            type_id: TypeId::of::<P>,
        }
    }

    /// Does `routes.json` mean this kind when it says `name`?
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// The JSON Schema of the options.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// What it needs with these options.
    pub fn needs_with(&self, options: &Value) -> Vec<Fact> {
        (self.needs_with)(options)
    }

    /// Does it keep something in the program's store with these options?
    pub fn needs_store(&self, options: &Value) -> bool {
        (self.needs_store)(options)
    }

    /// Does it change what the upstream sees besides the message with these options?
    pub fn prepares_upstream(&self, options: &Value) -> bool {
        (self.prepares_upstream)(options)
    }

    /// Builds the layer from checked options.
    pub fn layer(&self, options: &Value, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        (self.layer)(options, host)
    }

    /// Builds what stands in a chain that is only rehearsed; none where the policy stands aside.
    pub fn rehearse(&self, options: &Value, stage: &Stage) -> Rehearsing {
        (self.rehearse)(options, stage)
    }

    /// How people sign in to the routes of this policy, if it is one that signs in.
    pub fn sign_in(&self, options: &Value) -> Option<SignIn> {
        (self.sign_in)(options)
    }

    /// Whose tokens the routes of this policy take, if they are others'.
    pub fn outside(&self, options: &Value) -> Option<Outside> {
        (self.outside)(options)
    }

    /// How calls are let in at the upstream, if the policy sees to that with what the program holds.
    pub fn upstream_auth(&self, options: &Value) -> Option<UpstreamAuth> {
        (self.upstream_auth)(options)
    }

    /// Compares the options with what the upstream really has.
    pub fn review(&self, options: &Value, upstream: &Catalogue) -> Vec<Problem> {
        (self.review)(options, upstream)
    }

    /// What keeps it from doing its work with these options where the program runs.
    pub fn examine<'a>(&self, options: &'a Value, deployment: &'a Deployment<'a>) -> Examining<'a> {
        (self.examine)(options, deployment)
    }
}

/// Options that passed the schema parse; where serde knows more than the schema, its words are the problem.
fn parse<P: Policy>(options: &Value) -> Result<P::Options, Vec<Problem>> {
    serde_json::from_value(options.clone()).map_err(|error| vec![Problem::new("", error.to_string())])
}

impl PartialEq for PolicyKind {
    fn eq(&self, other: &Self) -> bool {
        (self.type_id)() == (other.type_id)()
    }
}

impl fmt::Debug for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyKind({})", self.name)
    }
}
