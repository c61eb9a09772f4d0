//! What is wrong with `gateway` beyond its shape: the judgements of those who will use it.

use std::path::Path;

use portcullis_policies::kit::policy::Problem;

use crate::{
    config::{Gateway, OAuthOptions, Pointer},
    fetch::HostPattern,
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
    problems.extend(oauth_problems(&gateway.oauth, &at("oauth")));
    problems
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
