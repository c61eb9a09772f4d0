//! `portcullis explain`: a route's chain, as it will run.

mod eras;
mod rehearsal;
mod verdicts;

use std::{path::Path, process::ExitCode};

use portcullis_policies::{
    kit::{
        catalogue::Catalogue,
        credential::UpstreamAuth,
        policy::{Fact, PolicyKind, Problem},
    },
    upstream_auth_retry::UpstreamAuthRetry,
};
use serde_json::{Value, json};

pub(super) use self::rehearsal::Options as Rehearsal;
use self::{eras::Translation, rehearsal::Setting};
use super::{no_route, read_config};
use crate::{
    config::{Link, PlannedRoute, Report},
    pipeline::{Offer, Plan, Toolbox, counted, misfits, offer, plan_file},
};

pub(super) const AFTER_HELP: &str = "\
Exit code: 0 the request would be sent; 1 the configuration has errors; 3 it would be refused, or answered by a layer; \
4 it would wait for approval; 5 it would be sent if the layers that could not be judged let it pass.";

pub(super) fn run(
    file: &Path,
    path: Option<&str>,
    offline: bool,
    rehearsal: &Rehearsal,
    tools: &Toolbox,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let plan = plan_file(file, &read_config(file)?, tools);
    if plan.generation.is_none() {
        eprint!("{}", plan.report);
        return Ok(ExitCode::FAILURE);
    }
    let routes = choose(&plan, path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let (true, [route]) = (rehearsal.is_some(), routes.as_slice()) {
        let setting = Setting { plan: &plan, route, file, tools };
        return runtime.block_on(rehearsal::run(&setting, rehearsal, offline, json));
    }
    let mut explained = Vec::new();
    for route in routes {
        let answer = if offline { None } else { Some(runtime.block_on(offer(&plan, route, file, tools))) };
        explained.push(Explained::new(&plan, route, answer));
    }
    if json {
        let all: Vec<_> = explained.iter().map(Explained::to_json).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        explained.iter().for_each(Explained::print);
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(plan: &'a Plan, path: Option<&str>) -> anyhow::Result<Vec<&'a PlannedRoute>> {
    let routes = &plan.checked.routes;
    let Some(path) = path else { return Ok(routes.iter().collect()) };
    match routes.iter().find(|route| route.path == path) {
        Some(route) => Ok(vec![route]),
        None => Err(no_route(path, routes.iter().map(|route| route.path.as_str()))),
    }
}

struct Explained<'a> {
    route: &'a PlannedRoute,
    plan: &'a Plan,
    links: Vec<&'a Link>,
    offer: Option<Result<Catalogue, String>>,
    translation: Translation,
    /// What does not fit what the upstream offers.
    report: Report,
}

impl<'a> Explained<'a> {
    fn new(plan: &'a Plan, route: &'a PlannedRoute, answer: Option<Result<Offer, String>>) -> Self {
        let (eras, offer) = match answer {
            None => (None, None),
            Some(Ok(Offer { eras, catalogue })) => (Some(eras), Some(catalogue)),
            Some(Err(why)) => (None, Some(Err(why))),
        };
        let links: Vec<_> = plan.checked.links(route).map(|(_, link)| link).collect();
        let problems: Vec<Problem> = match &offer {
            Some(Ok(catalogue)) => misfits(plan, route, catalogue),
            _ => Vec::new(),
        };
        let translation = Translation::new(route.era, eras);
        Self { route, plan, links, offer, translation, report: Report::new(&plan.document, &problems) }
    }

    fn print(&self) {
        println!("{}", self.route.path);
        for (index, link) in self.links.iter().enumerate() {
            let kind = if link.name == link.kind.name { String::new() } else { format!(" ({})", link.kind.name) };
            println!("  {}. {}{kind}", index + 1, link.name);
            println!("     needs {} · gives {}{}", facts(&needs(link)), facts(link.kind.gives), before(link));
            println!("     {}", self.options(link));
        }
        println!("  → {}", self.upstream());
        self.translation.print();
        if let Some(Credential { auth, is_renewed }) = self.credential() {
            let whose = if auth.mode.is_personal() { "each caller's own credential" } else { "one credential for all" };
            println!("    sees {whose} ({}, {})", auth.mode.name(), auth.id);
            if is_renewed {
                println!("    gets a call once more, with a newer credential, if it refuses the first one (401, 403)");
            }
        }
        match &self.offer {
            Some(Ok(catalogue)) => println!("    offers {}", counted(catalogue)),
            Some(Err(why)) => println!("    could not be asked what it offers: {why}"),
            None => {}
        }
        if !self.report.is_empty() {
            print!("\n{}", self.report);
        }
        println!();
    }

    fn to_json(&self) -> Value {
        let chain: Vec<_> = self
            .links
            .iter()
            .map(|link| {
                json!({
                    "name": link.name,
                    "policy": link.kind.name,
                    "needs": names(&needs(link)),
                    "gives": names(link.kind.gives),
                    "before": names(link.kind.before),
                    "options": self.options(link),
                })
            })
            .collect();
        let offers = match &self.offer {
            Some(Ok(catalogue)) => json!({
                "tools": catalogue.tools,
                "prompts": catalogue.prompts,
                "resources": catalogue.resources,
                "resourceTemplates": catalogue.resource_templates,
            }),
            Some(Err(why)) => json!({ "error": why }),
            None => Value::Null,
        };
        let mut explained = json!({
            "path": self.route.path,
            "chain": chain,
            "upstream": self.upstream(),
            "credential": self.credential().map(|Credential { auth, is_renewed }| json!({
                "id": auth.id,
                "authMode": auth.mode.name(),
                "renewedWhenRefused": is_renewed,
            })),
            "offers": offers,
            "report": self.report,
        });
        if let Value::Object(members) = &mut explained {
            let translation = self.translation.to_json();
            members.extend(translation.map(|(name, value)| (name.to_owned(), value)));
        }
        explained
    }

    /// The options as written: what came from `$env` and `$file` is not shown.
    fn options(&self, link: &Link) -> Value {
        link.options.as_ref().map(|options| self.plan.document.secrets.mask_strings(options)).unwrap_or_default()
    }

    /// The credential that the upstream sees, if the gateway holds it.
    fn credential(&self) -> Option<Credential> {
        let auth = self.links.iter().find_map(|link| link.upstream_auth())?;
        let retry = PolicyKind::of::<UpstreamAuthRetry>();
        Some(Credential { auth, is_renewed: self.links.iter().any(|link| link.kind == retry) })
    }

    fn upstream(&self) -> String {
        self.plan.document.secrets.mask(&self.route.upstream.to_string())
    }
}

/// What the upstream sees of the gateway.
struct Credential {
    auth: UpstreamAuth,
    /// Is a call sent once more with a newer one?
    is_renewed: bool,
}

fn needs(link: &Link) -> Vec<Fact> {
    link.options.as_ref().map(|options| link.kind.needs_with(options)).unwrap_or_default()
}

fn before(link: &Link) -> String {
    match link.kind.before {
        [] => String::new(),
        before => format!(" · stands before {}", facts(before)),
    }
}

fn facts(facts: &[Fact]) -> String {
    if facts.is_empty() { "nothing".to_owned() } else { names(facts).join(", ") }
}

fn names(facts: &[Fact]) -> Vec<&'static str> {
    facts.iter().map(|fact| fact.name).collect()
}
