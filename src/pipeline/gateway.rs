//! What is wrong with `gateway` beyond its shape: the judgements of those who will use it.

use std::path::Path;

use http::{HeaderName, HeaderValue};
use portcullis_policies::kit::{fetch::is_loopback, policy::Problem};
use url::Url;

use crate::{
    config::{Gateway, HiddenHeaders, OAuthOptions, Pointer},
    fetch::{HostPattern, Signer},
    oauth::client_problem,
    store::{Location, MasterKey},
};

/// Problems of the store, its key, and the authorization server.
pub(super) fn gateway_problems(gateway: &Gateway) -> Vec<Problem> {
    let at = |name: &str| Pointer::root().join("gateway").join(name);
    let mut problems = Vec::new();
    if let Err(why) = Location::parse(&gateway.store, Path::new(".")) {
        problems.push(Problem::new(at("store"), why));
    }
    if let Some(Err(error)) = gateway.encryption_key.as_ref().map(|key| MasterKey::parse(key.expose())) {
        problems.push(Problem::new(at("encryptionKey"), error.to_string()));
    }
    problems.extend(key_source_problems(gateway).map(|(name, problem)| problem.within(at(name).as_str())));
    problems.extend(oauth_problems(&gateway.oauth, &at("oauth")));
    problems.extend(posting_problems(gateway));
    problems
}

/// There is one place where the key comes from, and with several gateways it is the same for all.
fn key_source_problems(gateway: &Gateway) -> impl Iterator<Item = (&'static str, Problem)> {
    let several = matches!(Location::parse(&gateway.store, Path::new(".")), Ok(Location::Postgres { .. }));
    let problem = match (&gateway.encryption_key, &gateway.encryption_key_command) {
        (Some(_), Some(_)) => {
            let why = "the key is given twice, as `encryptionKey` and by `encryptionKeyCommand`";
            Some(("encryptionKeyCommand", Problem::new("", why).hint("take one of them out")))
        }
        (None, Some(command)) if command.first().is_some_and(String::is_empty) => {
            let why = "there is no program in it";
            Some(("encryptionKeyCommand", Problem::new("", why).hint("write it like [\"program\", \"argument\"]")))
        }
        (None, None) if several => {
            let why = "without a key this store stays closed: nobody can sign in, and no credential is kept";
            let hint = "make one with `openssl rand -base64 32`, and give it to each gateway as `encryptionKey`";
            Some(("store", Problem::new("", why).hint(hint).warning()))
        }
        _ => None,
    };
    problem.into_iter()
}

/// What would only show when something is posted for the first time.
fn posting_problems(gateway: &Gateway) -> Vec<Problem> {
    let below = |of: &str, name: &str| Pointer::root().join("gateway").join(of).join(name);
    let at = |of: &str| below(of, "webhook");
    let mut problems = Vec::new();
    if let Some(webhook) = &gateway.audit.webhook {
        endpoint_problems((&webhook.url, "url"), &webhook.headers, &at("audit"), &mut problems);
    }
    if let Some(otlp) = &gateway.audit.otlp {
        endpoint_problems((&otlp.endpoint, "endpoint"), &otlp.headers, &below("audit", "otlp"), &mut problems);
    }
    if let Some(webhook) = &gateway.approvals.webhook {
        endpoint_problems((&webhook.url, "url"), &webhook.headers, &at("approvals"), &mut problems);
        if webhook.secret.as_ref().is_some_and(|secret| Signer::parse(secret.expose()).is_none()) {
            let problem = Problem::new(at("approvals").join("secret"), "this is no secret to sign messages with");
            problems.push(problem.hint("write 24 to 64 bytes in Base64: `openssl rand -base64 32` makes some"));
        }
    }
    problems
}

fn endpoint_problems((url, name): (&str, &str), headers: &HiddenHeaders, at: &Pointer, problems: &mut Vec<Problem>) {
    if !Url::parse(url).is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))) {
        let problem = Problem::new(at.join(name), "this is no address to which anything can be posted");
        problems.push(problem.hint("write a whole URL: https, or http on this machine"));
    }
    for (name, value) in headers.exposed() {
        if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(value).is_err() {
            problems.push(Problem::new(at.join("headers").join(name), "this is no HTTP header"));
        }
    }
}

fn oauth_problems(options: &OAuthOptions, at: &Pointer) -> Vec<Problem> {
    let schemes = &options.registration.redirect_schemes;
    let mut problems = Vec::new();
    for (index, client) in options.clients.iter().enumerate() {
        let at = at.join("clients").join(index);
        if options.clients[..index].iter().any(|other| other.client_id == client.client_id) {
            let why = format!("there are two clients {:?}", client.client_id);
            problems.push(Problem::new(at.join("clientId"), why).hint("give each an id of its own"));
        }
        problems.extend(client_problem(client, schemes).map(|problem| problem.within(at.as_str())));
    }
    let documents = &options.client_documents;
    let lists =
        [("allowedHosts", documents.allowed_hosts.as_deref()), ("blockedHosts", Some(&documents.blocked_hosts))];
    for (name, hosts) in lists {
        for (index, host) in hosts.into_iter().flatten().enumerate() {
            if let Err(error) = host.parse::<HostPattern>() {
                let at = at.join("clientDocuments").join(name).join(index);
                problems.push(Problem::new(at, error.to_string()));
            }
        }
    }
    problems
}
