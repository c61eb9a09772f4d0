//! `portcullis explain PATH --call TOOL`: what each layer would make of a call, which is not made.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request};
use http_body_util::Full;
use portcullis_policies::kit::{
    chain::{Arrival, RequestId, Response},
    clock::{Clock, ManualClock, Timestamp},
    host::Identity,
    message::FIRST_MODERN,
    rehearsal::{ID, Said, Stage, Step, Trace, Verdict, Visitor},
    sign_in::Provider,
};
use serde_json::{Map, Value, json};

use super::verdicts::{Hidden, Listed, Rehearsed};
use crate::{
    approvals, audit,
    config::{Era, Link, PlannedRoute},
    pins,
    pipeline::{Plan, Toolbox, definitions, existing_key, location, rehearse},
    store::{MasterKey, Store, Tenant},
    upstreams::connections,
    wire::moment,
};

/// Hidden tools of which it is asked which rule hides them.
const EXPLAINED: usize = 200;

/// What is rehearsed, and who is taken to call.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Show what each layer would make of a call of this tool, without making it.
    #[arg(long, value_name = "TOOL", group = "what", requires = "path")]
    call: Option<String>,
    /// The arguments of the call: a JSON object.
    #[arg(long, value_name = "JSON", requires = "call", value_parser = arguments)]
    args: Option<Map<String, Value>>,
    /// Show which tools the caller would find in the list, and what hides the others.
    #[arg(long, group = "what", requires = "path")]
    list: bool,
    /// Who calls: a subject, or what the route's own sign-in calls people. Without it, somebody without a credential.
    #[arg(long = "as", value_name = "SUBJECT", requires = "what")]
    subject: Option<String>,
    /// The caller's verified e-mail address.
    #[arg(long, value_name = "ADDRESS", requires = "subject")]
    email: Option<String>,
    /// A group of the caller's; may be repeated.
    #[arg(long = "group", value_name = "GROUP", requires = "subject")]
    groups: Vec<String>,
    /// A role of the caller's; may be repeated.
    #[arg(long = "role", value_name = "ROLE", requires = "subject")]
    roles: Vec<String>,
    /// The OAuth client through which the call comes.
    #[arg(long, value_name = "CLIENT", requires = "subject")]
    client: Option<String>,
    /// A scope of the caller's token; may be repeated. Without any, whatever the route asks for is taken as given.
    #[arg(long = "scope", value_name = "SCOPE", requires = "subject")]
    scopes: Vec<String>,
    /// The address that the call comes from.
    #[arg(long, value_name = "IP", requires = "what", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// When the call is made (RFC 3339), if not now.
    #[arg(long, value_name = "TIME", requires = "what", value_parser = moment)]
    at: Option<Timestamp>,
}

fn arguments(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("that is no JSON object: {error}"))
}

impl Options {
    /// Is anything to be rehearsed?
    pub(super) fn is_some(&self) -> bool {
        self.call.is_some() || self.list
    }
}

/// What is there to rehearse with.
pub(super) struct Setting<'a> {
    pub(super) plan: &'a Plan,
    pub(super) route: &'a PlannedRoute,
    pub(super) file: &'a Path,
    pub(super) tools: &'a Toolbox,
}

/// Rehearses, and says what came of it.
pub(super) async fn run(
    setting: &Setting<'_>,
    options: &Options,
    offline: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let definitions = if offline {
        Err("what the upstream says of the tool is not known: run without --offline".to_owned())
    } else {
        let asked = definitions(setting.plan, setting.route, setting.file, setting.tools).await;
        asked.map_err(|why| format!("the upstream could not be asked what its tools are: {why}"))
    };
    let (key, keyless) = setting.key().await?;
    let known = Known { store: setting.store(&key).await?, keyless, definitions, visitor: setting.visitor(options) };
    let rehearsed = match &options.call {
        Some(tool) => {
            let arguments = options.args.clone().unwrap_or_default();
            let params = json!({ "name": tool, "arguments": arguments });
            setting.rehearse(options, &known, "tools/call", params).await?
        }
        None => {
            let mut rehearsed = setting.rehearse(options, &known, "tools/list", json!({})).await?;
            rehearsed.list = Some(setting.compare(options, &known, &rehearsed).await?);
            rehearsed
        }
    };
    if let Some(store) = &known.store {
        store.close().await;
    }
    rehearsed.show(&setting.plan.document.secrets, json)?;
    Ok(rehearsed.code())
}

/// What all rehearsals of one command share.
struct Known {
    store: Option<Store>,
    /// Why the store's key is not at hand, if so.
    keyless: Option<String>,
    definitions: Result<Vec<Value>, String>,
    visitor: Option<Visitor>,
}

impl<'a> Setting<'a> {
    fn links(&self) -> impl Iterator<Item = &'a Link> {
        self.plan.checked.links(self.route).map(|(_, link)| link)
    }

    fn folder(&self) -> &'a Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// The store's key, by which calls that wait are known again; or any other, and why. Nothing that is sealed is opened.
    async fn key(&self) -> anyhow::Result<(MasterKey, Option<String>)> {
        if !self.links().any(Link::needs_store) {
            return Ok((MasterKey::generate()?, None));
        }
        let why = match existing_key(&self.plan.checked.gateway, self.folder()).await {
            Ok(Ok(key)) => return Ok((key, None)),
            Ok(Err(file)) => format!("there is no key in {}", file.display()),
            Err(error) => error.to_string(),
        };
        Ok((MasterKey::generate()?, Some(why)))
    }

    /// The store as it is, if the route has one and it is there.
    async fn store(&self, key: &MasterKey) -> anyhow::Result<Option<Store>> {
        if !self.links().any(Link::needs_store) {
            return Ok(None);
        }
        let location = location(&self.plan.checked.gateway, self.folder())?;
        let store = Store::look(&location, key, Arc::clone(&self.tools.host.clock)).await;
        store.with_context(|| format!("the store {location} cannot be looked at"))
    }

    /// A name without `|` is one that the route's own sign-in gives people.
    fn visitor(&self, options: &Options) -> Option<Visitor> {
        let name = options.subject.as_deref()?;
        let subject = match self.issuer().filter(|_| !name.contains('|')) {
            Some(issuer) => format!("{issuer}|{name}"),
            None => name.to_owned(),
        };
        let identity = Identity {
            subject: subject.into(),
            email: options.email.clone(),
            name: None,
            groups: options.groups.clone(),
            roles: options.roles.clone(),
            client: options.client.clone(),
            ..Identity::default()
        };
        let scopes = options.scopes.iter().map(|scope| scope.as_str().into()).collect::<Vec<Box<str>>>();
        Some(Visitor { caller: identity.into(), scopes: (!scopes.is_empty()).then(|| scopes.into()) })
    }

    fn issuer(&self) -> Option<String> {
        let own = self.links().find_map(Link::sign_in).map(|sign_in| match sign_in.provider {
            Provider::Dev => "dev".to_owned(),
            Provider::OpenId(provider) => provider.issuer,
        });
        let outside = || match self.links().find_map(Link::outside)?.issuers.as_slice() {
            [issuer] => Some(issuer.rules.issuer.to_string()),
            _ => None,
        };
        own.or_else(outside)
    }

    fn stage(&self, options: &Options, known: &Known) -> Stage {
        let (store, tenant, trace) = (&known.store, Tenant::DEFAULT, Trace::default());
        let mut host = self.tools.host.clone();
        if let Some(at) = options.at {
            host.clock = Arc::new(ManualClock::new(at));
        }
        let clock: Arc<dyn Clock> = Arc::clone(&host.clock);
        host.audit = Some(Arc::new(audit::Rehearsed));
        host.pins = Some(Arc::new(pins::Rehearsed::new(store.clone(), tenant.clone(), trace.clone())));
        let desk = approvals::Rehearsed::new(store.clone(), tenant.clone(), Arc::clone(&clock), trace.clone());
        host.approvals = Some(Arc::new(desk.without_key(known.keyless.clone())));
        let book = connections::Rehearsed::new(store.clone(), tenant, clock, trace.clone());
        host.connections = Some(Arc::new(book));
        Stage { host, visitor: known.visitor.clone(), trace }
    }

    async fn rehearse(
        &self,
        options: &Options,
        known: &Known,
        method: &'static str,
        params: Value,
    ) -> anyhow::Result<Rehearsed> {
        let stage = self.stage(options, known);
        let Ok(route) = rehearse(self.plan, self.route, &stage, known.definitions.clone()) else {
            bail!("{} cannot be rehearsed; `portcullis check` may know why", self.route.path)
        };
        let mut request = request(self.route.era, method, &params)?;
        request.extensions_mut().insert(Arrival {
            route: Arc::clone(&route.path),
            upstream: Arc::clone(&route.upstream),
            upstream_key: Arc::clone(&route.upstream_key),
            client: options.address,
            request_id: RequestId::new(0, 0),
        });
        route.tell(request.extensions_mut());
        let response = route.edge.handle(request).await.response;
        let steps = stage.trace.steps();
        Ok(Rehearsed {
            path: self.route.path.clone(),
            method,
            target: params["name"].as_str().map(ToOwned::to_owned),
            caller: known.visitor.as_ref().map(|visitor| visitor.caller.clone()),
            layers: self.links().map(|link| (link.name.clone(), link.kind.name)).collect(),
            unread: unread(&steps, &response),
            steps,
            sent: stage.trace.sent(),
            upstream: self.route.upstream.to_string(),
            list: None,
        })
    }

    /// What becomes of each tool of the upstream's list: a tool that is hidden is called, to be told by which rule.
    async fn compare(&self, options: &Options, known: &Known, list: &Rehearsed) -> anyhow::Result<Listed> {
        let Ok(all) = &known.definitions else { return Ok(Listed::default()) };
        let all = all.iter().filter_map(|tool| tool["name"].as_str());
        let mut listed = Listed { shown: list.shown(), hidden: Vec::new() };
        for tool in all.filter(|tool| !listed.shown.iter().any(|shown| shown == tool)).take(EXPLAINED) {
            let call = self.rehearse(options, known, "tools/call", json!({ "name": tool, "arguments": {} })).await?;
            let refused =
                call.steps.iter().enumerate().find_map(|(index, step)| Some((index, step.verdict.said()?.clone())));
            listed.hidden.push(Hidden { tool: tool.to_owned(), by: list.hides(tool), refused });
        }
        Ok(listed)
    }
}

/// Why the request did not come to the first layer.
fn unread(steps: &[Step], response: &Response) -> Option<Said> {
    let came_in = |step: &Step| !matches!(step.verdict, Verdict::NotReached | Verdict::NotJudged(_));
    (!steps.iter().any(came_in)).then(|| Said::of(response)).filter(|said| said.reason.is_some())
}

/// As a client of a revision that the route serves.
fn request(era: Era, method: &str, params: &Value) -> anyhow::Result<Request<Full<Bytes>>> {
    const LEGACY: &str = "2025-11-25";
    let is_modern = era != Era::Legacy;
    let mut params = params.clone();
    if is_modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": FIRST_MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let message = format!(r#"{{"jsonrpc":"2.0","id":{ID},"method":"{method}","params":{params}}}"#);
    let mut request = Request::post("/").body(Full::new(Bytes::from(message)))?;
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static(if is_modern { FIRST_MODERN } else { LEGACY }));
    if is_modern {
        headers.insert("mcp-method", HeaderValue::from_str(method)?);
        if let Some(name) = params["name"].as_str() {
            headers.insert("mcp-name", HeaderValue::from_str(name).context("the tool's name fits no header")?);
        }
    }
    Ok(request)
}
