//! From a document to checked values, collecting every problem on the way.

use std::collections::{BTreeMap, HashMap};

use http::Uri;
use portcullis_policies::kit::{
    approval::Approver,
    catalogue::nearest,
    credential::UpstreamAuth,
    policy::{PolicyKind, Problem},
    sign_in::{Outside, SignIn},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Document, Pointer,
    file::{Batches, Era, Gateway, RouteClocks, RouteLimits, RouteOptions, RoutesFile, Upstream, network, no_options},
    pointer::steps,
    shape::Shape,
};

/// The behaviour that this build knows. Older dates would name behaviour that never was released.
const FIRST_DATE: &str = "2026-11-20";
const NEWEST_DATE: &str = "2026-11-20";

/// What a document says, as far as it could be understood.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The gateway itself.
    pub gateway: Gateway,
    /// The named policies that are used or at least well-formed, each once.
    pub policies: Vec<Link>,
    /// The routes, in the order of the file.
    pub routes: Vec<PlannedRoute>,
}

impl Checked {
    /// The policies of one of its routes, outermost first, each with its place in the chain.
    pub fn links<'a>(&'a self, route: &'a PlannedRoute) -> impl Iterator<Item = (&'a Pointer, &'a Link)> {
        route.chain.iter().filter_map(|(at, link)| match link {
            ChainLink::Shared(index) => self.policies.get(*index).map(|link| (at, link)),
            ChainLink::Own(link) => Some((at, &**link)),
        })
    }
}

/// A route that may still have problems of order.
#[derive(Clone, Debug)]
pub struct PlannedRoute {
    /// The path under which clients reach it.
    pub path: String,
    /// Where it stands in the document.
    pub at: Pointer,
    /// The server behind it.
    pub upstream: Upstream,
    /// Its policies, outermost first.
    pub chain: Chain,
    /// Limits on messages and answers.
    pub limits: RouteLimits,
    /// How long things may take.
    pub clocks: RouteClocks,
    /// Methods beyond those that MCP defines.
    pub allow_methods: Vec<String>,
    /// Which clients it serves.
    pub era: Era,
    /// What becomes of several messages in one request.
    pub batches: Batches,
}

/// Policies in order.
pub type Chain = Vec<(Pointer, ChainLink)>;

/// One place in a chain.
#[derive(Clone, Debug)]
pub enum ChainLink {
    /// One of [`Checked::policies`]: one instance, whichever routes use it.
    Shared(usize),
    /// An instance of its own.
    Own(Box<Link>),
}

/// A policy with checked options.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name under `policies`, or its type.
    pub name: String,
    /// Which policy.
    pub kind: PolicyKind,
    /// Its options, if they have the right shape.
    pub options: Option<Value>,
    /// Where they stand in the document.
    pub at: Pointer,
}

impl Link {
    /// How people sign in to the routes of this policy, if it is one that signs in.
    pub fn sign_in(&self) -> Option<SignIn> {
        self.kind.sign_in(self.options.as_ref()?)
    }

    /// Whose tokens the routes of this policy take, if they are others'.
    pub fn outside(&self) -> Option<Outside> {
        self.kind.outside(self.options.as_ref()?)
    }

    /// How calls are let in at the upstream, if the policy sees to that with what the program holds.
    pub fn upstream_auth(&self) -> Option<UpstreamAuth> {
        self.kind.upstream_auth(self.options.as_ref()?)
    }

    /// Does it change what the upstream sees besides the message?
    pub fn prepares_upstream(&self) -> bool {
        self.options.as_ref().is_some_and(|options| self.kind.prepares_upstream(options))
    }

    /// Does it keep something in the program's store?
    pub fn needs_store(&self) -> bool {
        self.options.as_ref().is_some_and(|options| self.kind.needs_store(options))
    }
}

/// Checks a document against the policies that this program has.
pub fn check(document: &Document, kinds: &[PolicyKind]) -> (Checked, Vec<Problem>) {
    let mut check = Check { kinds, shapes: HashMap::new(), problems: Vec::new() };
    let checked = check.document(&document.value);
    (checked, check.problems)
}

struct Check<'a> {
    kinds: &'a [PolicyKind],
    /// Shapes of options, by policy name; compiled once each.
    shapes: HashMap<&'static str, Shape>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn document(&mut self, value: &Value) -> Checked {
        if value.is_null() {
            return Checked::default(); // not JSON, as the document itself has said
        }
        let root = Pointer::root();
        self.problems.extend(Shape::of::<RoutesFile>().problems(value, &root));
        let date = value["compatibilityDate"].as_str();
        self.problems.extend(date.and_then(compatibility));
        let gateway = self.read_gateway(&value["gateway"], &root.join("gateway"));
        self.gateway(&gateway, &value["gateway"]);
        let mut checked = Checked { gateway, ..Checked::default() };
        let mut named = BTreeMap::new();
        for (name, policy) in value["policies"].as_object().into_iter().flatten() {
            if let Some(link) = self.named_policy(name, policy) {
                named.insert(name.as_str(), checked.policies.len());
                checked.policies.push(link);
            }
        }
        let shape = Shape::of::<RouteOptions>();
        let routes = value["routes"].as_object();
        if routes.is_some_and(serde_json::Map::is_empty) {
            let problem = Problem::new("/routes", "there is no route");
            self.problems.push(
                problem.hint("add one, such as \"/mcp/demo\": { \"upstream\": { \"demo\": true }, \"policies\": [] }"),
            );
        }
        let mut paths = HashMap::new();
        for (path, options) in routes.into_iter().flatten() {
            let at = root.join("routes").join(path);
            self.problems.extend(path_problem(path, &mut paths).map(|problem| problem.within(at.as_str())));
            self.problems.extend(shape.problems(options, &at));
            checked.routes.extend(self.route(path, options, at, &named, value));
        }
        checked
    }

    /// Reads a part that may be absent; mistakes of its shape have been reported.
    fn read<T: DeserializeOwned>(&mut self, value: &Value, at: &Pointer) -> Option<T> {
        if value.is_null() {
            return None;
        }
        match serde_json::from_value(value.clone()) {
            Ok(read) => Some(read),
            Err(error) => {
                // Mistakes of shape are known already; serde's word counts only where the schema saw nothing wrong.
                if !self.problems.iter().any(|problem| problem.at.starts_with(at.as_str())) {
                    self.problems.push(Problem::new(at.clone(), error.to_string()));
                }
                None
            }
        }
    }

    /// Reads what is good of it, so that a mistake in one part does not hide those in the others.
    fn read_gateway(&mut self, value: &Value, at: &Pointer) -> Gateway {
        let mut good = value.clone();
        for problem in &self.problems {
            if let Some(place) = problem.at.strip_prefix(at.as_str()) {
                cut(&mut good, place);
            }
        }
        // One that is only misspelt is not a missing key.
        if let Value::Object(parts) = &mut good
            && KEY.iter().any(|part| parts.contains_key(*part) != value.get(part).is_some())
        {
            parts.retain(|part, _| !KEY.contains(&part.as_str()));
        }
        self.read(&good, at).unwrap_or_default()
    }

    fn gateway(&mut self, gateway: &Gateway, value: &Value) {
        let mut problem = |key: &str, why: String, hint: &str| {
            self.problems.push(Problem::new(format!("/gateway/{key}"), why).hint(hint));
        };
        if gateway.listen.parse::<std::net::SocketAddr>().is_err() {
            let why = format!("{:?} is not an address and a port", gateway.listen);
            problem("listen", why, "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"");
        }
        if let Some(url) = &gateway.public_url
            && let Err(why) = public_url(url)
        {
            problem(
                "publicUrl",
                format!("{url:?} {why}"),
                "write what clients type, such as \"https://mcp.example.com\"",
            );
        }
        let lists = [
            ("trustedProxies", &value["trustedProxies"]),
            ("fetch/allowedNetworks", &value["fetch"]["allowedNetworks"]),
        ];
        for (list, networks) in lists {
            for (index, text) in networks.as_array().into_iter().flatten().enumerate() {
                if let Some(text) = text.as_str().filter(|text| network(text).is_none()) {
                    problem(
                        &format!("{list}/{index}"),
                        format!("{text:?} is neither an address nor a network"),
                        "write \"10.0.0.1\" or \"10.0.0.0/8\"",
                    );
                }
            }
        }
        for (index, host) in gateway.allowed_hosts.iter().enumerate() {
            if host.parse::<http::uri::Authority>().is_err() || host.contains('@') {
                problem(
                    &format!("allowedHosts/{index}"),
                    format!("{host:?} is not a host"),
                    "write a host, such as \"mcp.example.com\" or \"localhost:8080\"",
                );
            }
        }
        Approver::check(&gateway.operators, "/gateway/operators", &mut self.problems);
        self.telemetry(gateway);
    }

    fn telemetry(&mut self, gateway: &Gateway) {
        if let Some(telemetry) = &gateway.telemetry
            && let Err(why) = http_url(&telemetry.otlp)
        {
            let problem = Problem::new("/gateway/telemetry/otlp", format!("{:?} {why}", telemetry.otlp));
            self.problems.push(problem.hint("write the collector's address, such as \"http://127.0.0.1:4318\""));
        }
    }

    fn named_policy(&mut self, name: &str, value: &Value) -> Option<Link> {
        let at = Pointer::root().join("policies").join(name);
        self.link(name, value["policy"].as_str()?, options_of(value), &at)
    }

    fn link(&mut self, name: &str, policy: &str, options: Value, at: &Pointer) -> Option<Link> {
        let Some(kind) = self.kinds.iter().find(|kind| kind.is_called(policy)) else {
            self.problems.push(self.unknown_policy(at.join("policy"), policy));
            return None;
        };
        let options_at = at.join("options");
        let shape = self.shapes.entry(kind.name).or_insert_with(|| Shape::of_options(kind));
        let problems = shape.problems(&options, &options_at);
        let options = problems.is_empty().then_some(options);
        self.problems.extend(problems);
        Some(Link { name: name.to_owned(), kind: *kind, options, at: options_at })
    }

    fn unknown_policy(&self, at: Pointer, name: &str) -> Problem {
        let names = self.kinds.iter().flat_map(|kind| std::iter::once(kind.name).chain(kind.aliases.iter().copied()));
        let problem = Problem::new(at, format!("there is no policy {name:?}"));
        match nearest(name, names) {
            Some(near) => problem.hint(format!("did you mean {near:?}?")),
            None => {
                let names: Vec<_> = self.kinds.iter().map(|kind| kind.name).collect();
                problem.hint(format!("the policies are {}", names.join(", ")))
            }
        }
    }

    fn route(
        &mut self,
        path: &str,
        value: &Value,
        at: Pointer,
        named: &BTreeMap<&str, usize>,
        document: &Value,
    ) -> Option<PlannedRoute> {
        // Part by part, so that a mistake in one does not hide those in the others.
        let upstream: Option<Upstream> = self.read(&value["upstream"], &at.join("upstream"));
        if let Some(upstream) = &upstream {
            self.upstream(upstream, &at.join("upstream"));
        }
        let chain = self.chain(&value["policies"], &at.join("policies"), named, document);
        let limits = self.read(&value["limits"], &at.join("limits")).unwrap_or_default();
        let clocks = self.read(&value["clocks"], &at.join("clocks")).unwrap_or_default();
        let allow_methods = self.read(&value["allowMethods"], &at.join("allowMethods")).unwrap_or_default();
        let era = self.read(&value["era"], &at.join("era")).unwrap_or_default();
        let batches = self.read(&value["batches"], &at.join("batches")).unwrap_or_default();
        let (path, upstream) = (path.to_owned(), upstream?);
        Some(PlannedRoute { path, at, upstream, chain, limits, clocks, allow_methods, era, batches })
    }

    fn chain(&mut self, value: &Value, at: &Pointer, named: &BTreeMap<&str, usize>, document: &Value) -> Chain {
        let mut chain = Vec::new();
        for (index, reference) in value.as_array().into_iter().flatten().enumerate() {
            let at = at.join(index);
            let link = match (reference, &reference["policy"]) {
                (Value::String(name), _) => self.reference(name, &at, named, document),
                (policy, Value::String(name)) => {
                    self.link(name, name, options_of(policy), &at).map(|link| ChainLink::Own(Box::new(link)))
                }
                _ => None, // of the wrong shape, as has been said
            };
            chain.extend(link.map(|link| (at, link)));
        }
        chain
    }

    /// A name in a chain: one of `policies`, or a policy's type.
    fn reference(
        &mut self,
        name: &str,
        at: &Pointer,
        named: &BTreeMap<&str, usize>,
        document: &Value,
    ) -> Option<ChainLink> {
        if let Some(index) = named.get(name) {
            return Some(ChainLink::Shared(*index));
        }
        if document["policies"].get(name).is_some() {
            // It is there, and what is wrong with it has been said there.
            return None;
        }
        if let Some(kind) = self.kinds.iter().find(|kind| kind.is_called(name)) {
            let known = self.problems.len();
            let link = self.link(name, kind.name, no_options(), at);
            for problem in &mut self.problems[known..] {
                problem.at = at.to_string();
                problem.hint = Some(format!("write {{ \"policy\": {name:?}, \"options\": {{ … }} }}"));
            }
            return link.map(|link| ChainLink::Own(Box::new(link)));
        }
        let problem =
            Problem::new(at.clone(), format!("there is no policy {name:?}, neither under `policies` nor as a type"));
        let names = named.keys().copied().chain(self.kinds.iter().map(|kind| kind.name));
        self.problems.push(match nearest(name, names) {
            Some(near) => problem.hint(format!("did you mean {near:?}?")),
            None => problem.hint(format!("add {name:?} under `policies`, or write the policy in place")),
        });
        None
    }

    fn upstream(&mut self, upstream: &Upstream, at: &Pointer) {
        match (&upstream.url, upstream.demo) {
            (Some(url), false) => {
                if let Err(why) = http_url(url) {
                    let problem = Problem::new(at.join("url"), format!("{url:?} {why}"));
                    self.problems.push(problem.hint(if why == USER_INFO {
                        "remove it; `set-headers` can show the upstream a credential"
                    } else {
                        "write the server's whole address, such as \"https://mcp.example.com/mcp\""
                    }));
                }
            }
            (None, true) => {}
            (Some(_), true) => {
                let problem = Problem::new(at.join("demo"), "an upstream has a `url` or is the `demo`, not both");
                self.problems.push(problem.hint("remove one of the two"));
            }
            (None, false) => {
                let problem = Problem::new(at.clone(), "the upstream has no address");
                self.problems
                    .push(problem.hint("add \"url\": \"https://…/mcp\", or \"demo\": true for the built-in server"));
            }
        }
    }
}

/// Parts of `gateway` that are judged together.
const KEY: [&str; 3] = ["store", "encryptionKey", "encryptionKeyCommand"];

/// Takes out what is at a place. Of lists all goes, so that what is left of them stands where it stood.
fn cut(value: &mut Value, place: &str) {
    fn goes(value: &mut Value, mut steps: impl Iterator<Item = String>) -> bool {
        let (Some(step), Value::Object(members)) = (steps.next(), value) else { return true };
        if members.get_mut(&step).is_some_and(|member| goes(member, steps)) {
            members.remove(&step);
        }
        false
    }
    if goes(value, steps(place)) {
        *value = Value::Null;
    }
}

fn options_of(policy: &Value) -> Value {
    policy.get("options").cloned().unwrap_or_else(no_options)
}

fn compatibility(date: &str) -> Option<Problem> {
    let problem = |why: String, hint: String| Some(Problem::new("/compatibilityDate", why).hint(hint));
    if !is_date(date) {
        return None; // the schema's pattern has spoken; months are not worth a word of their own
    }
    if date < FIRST_DATE {
        return problem(
            format!("{date} is older than this gateway's first behaviour"),
            format!("write {FIRST_DATE:?} or later"),
        );
    }
    if date > NEWEST_DATE {
        return problem(
            format!("this build does not know the behaviour of {date} yet"),
            format!("write {NEWEST_DATE:?}, the newest that it knows, or use a newer build"),
        );
    }
    None
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

const USER_INFO: &str = "carries a user name or password";

fn http_url(url: &str) -> Result<Uri, &'static str> {
    if url::Url::parse(url).is_err() {
        return Err("is not a URL");
    }
    let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("is not an http or https URL"),
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => Err(USER_INFO),
        Some(_) if url.contains('#') => Err("has a fragment (`#`), which is never sent"),
        Some(authority) if !authority.host().is_empty() => Ok(uri),
        _ => Err("has no host"),
    }
}

fn public_url(url: &str) -> Result<(), &'static str> {
    let uri = http_url(url)?;
    if uri.query().is_some() {
        return Err("has a query");
    }
    if uri.path() == "/" && !url.ends_with('/') {
        Ok(())
    } else {
        Err("has a path; it must be an origin, without a slash at its end")
    }
}

/// Paths that the gateway serves itself.
pub fn own_paths() -> &'static [&'static str] {
    &[
        "/.well-known",
        "/api/v1",
        "/oauth",
        "/console",
        "/connect",
        "/connections",
        "/approvals",
        "/audit",
        "/pins",
        "/troubleshooting",
        "/healthz",
        "/readyz",
        "/metrics",
    ]
}

fn path_problem<'a>(path: &'a str, paths: &mut HashMap<String, &'a str>) -> Option<Problem> {
    let problem = |why: String, hint: &str| Some(Problem::new("", why).hint(hint));
    if !path.starts_with('/') {
        return problem(format!("the path {path:?} does not begin with a slash"), "write it as \"/mcp/name\"");
    }
    if path == "/" || path.ends_with('/') {
        return problem(format!("the path {path:?} ends with a slash"), "write it as \"/mcp/name\"");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if !path.bytes().all(plain) {
        return problem(
            format!("the path {path:?} has characters that URLs escape"),
            "use letters, digits, `-`, `.`, `_`, `~` and slashes",
        );
    }
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return problem(format!("the path {path:?} has an empty or dot segment"), "write each segment out");
    }
    if let Some(own) = own_paths()
        .iter()
        .find(|own| path.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        return problem(format!("the gateway itself serves {own}"), "choose another path, such as \"/mcp/name\"");
    }
    if let Some(other) = paths.insert(path.to_ascii_lowercase(), path) {
        return problem(
            format!("the path {path:?} differs from {other:?} only in case"),
            "people and clients would take one for the other: rename one of them",
        );
    }
    None
}
