//! What the sign-in knows: clients, codes and connections. In memory, bounded, and gone after a restart.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_policies::kit::{clock::Timestamp, random};

use super::{
    Counts, KnownClient,
    client::Client,
    denied::Denied,
    grant::{Grant, Shown, grant_of},
    same::is_same,
    scope::Scope,
};
use crate::upstreams::demo::visitor::Visitor;

/// Clients, codes and connections at most, of each.
const MOST: usize = 10_000;

/// How long a code is good.
const CODE_LIFE: Duration = Duration::from_mins(1);

pub(super) struct Book {
    clients: HashMap<String, Client>,
    codes: HashMap<String, Code>,
    grants: BTreeMap<u64, Grant>,
    /// Numbers given to connections and tokens.
    last: u64,
    pub(super) counts: Counts,
}

/// A person's yes, for one client.
pub(super) struct Yes {
    pub(super) person: Arc<str>,
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) scope: Scope,
}

struct Code {
    yes: Yes,
    expires_at: Timestamp,
    /// The connection that came of it, once it is spent.
    grant: Option<u64>,
}

/// A fresh access token, and perhaps a refresh token.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) scope: Scope,
}

impl Book {
    pub(super) fn new(known: &[KnownClient]) -> Self {
        let clients = known.iter().map(|client| (client.id.clone(), client.into())).collect();
        Self { clients, codes: HashMap::new(), grants: BTreeMap::new(), last: 0, counts: Counts::default() }
    }

    pub(super) fn register(&mut self, client: Client) -> Result<(), Denied> {
        if self.clients.len() >= MOST {
            return Err(Denied::busy("there are too many clients; start the server anew"));
        }
        self.counts.registrations += 1;
        self.clients.insert(client.id.clone(), client);
        Ok(())
    }

    pub(super) fn client(&self, id: &str) -> Option<Client> {
        self.clients.get(id).cloned()
    }

    /// A code for a person's yes.
    pub(super) fn code(&mut self, yes: Yes, now: Timestamp) -> Result<String, Denied> {
        self.codes.retain(|_, code| now < code.expires_at);
        if self.codes.len() >= MOST {
            return Err(Denied::busy("there are too many codes under way"));
        }
        let text = format!("demo-code.{}", random::secret());
        self.codes.insert(text.clone(), Code { yes, expires_at: now.plus(CODE_LIFE), grant: None });
        Ok(text)
    }

    /// Redeems a code. Shown twice, it ends the connection that came of it (RFC 6749 §4.1.2).
    pub(super) fn redeem(
        &mut self,
        code: &str,
        client: &str,
        redirect_uri: &str,
        verifier: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<Tokens, Denied> {
        let found = self.codes.get(code).filter(|code| now < code.expires_at);
        let found = found.ok_or(Denied::grant("the code is unknown or too old"))?;
        if let Some(grant) = found.grant {
            self.reused(grant);
            return Err(Denied::grant("the code was redeemed before"));
        }
        let yes = &found.yes;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        if yes.client != client || yes.redirect_uri != redirect_uri || !is_same(&challenge, &yes.challenge) {
            return Err(Denied::grant("client, redirect_uri or code_verifier are not those of the code"));
        }
        let (person, scope) = (Arc::clone(&yes.person), yes.scope);
        let grant = self.begin(person, client, scope);
        if let Some(code) = self.codes.get_mut(code) {
            code.grant = Some(grant);
        }
        self.counts.codes += 1;
        self.mint(grant, scope, now, life, true)
    }

    /// Redeems a refresh token. A spent one ends the connection (RFC 9700 §4.14.2).
    pub(super) fn refresh(
        &mut self,
        token: &str,
        client: &str,
        asked: Option<&str>,
        now: Timestamp,
        life: Duration,
    ) -> Result<Tokens, Denied> {
        const UNKNOWN: Denied = Denied::grant("the refresh token is unknown, or its connection has ended");
        let grant = grant_of(token).and_then(|id| self.grants.get(&id)).filter(|grant| &*grant.client == client);
        let grant = grant.ok_or(UNKNOWN)?;
        let (id, scope) = (grant.id, Scope::parse(asked, grant.scope).and(grant.scope));
        match grant.refresh(token) {
            Shown::Unknown => Err(UNKNOWN),
            Shown::Spent => {
                self.reused(id);
                Err(Denied::grant("the refresh token was redeemed before, so its connection has ended"))
            }
            Shown::Good => {
                self.counts.refreshes += 1;
                self.mint(id, scope, now, life, true)
            }
        }
    }

    /// A token for the client itself (RFC 6749 §4.4).
    pub(super) fn credentials(
        &mut self,
        client: &str,
        scope: Scope,
        now: Timestamp,
        life: Duration,
    ) -> Result<Tokens, Denied> {
        self.counts.credentials += 1;
        let grant = self.begin(client.into(), client, scope);
        self.mint(grant, scope, now, life, false)
    }

    /// Takes a token back, and its connection with it (RFC 7009 §2.1). Those of others stay.
    pub(super) fn revoke(&mut self, token: &str, client: &str) {
        let grant = grant_of(token).and_then(|id| self.grants.get(&id));
        if let Some(grant) = grant.filter(|grant| &*grant.client == client && grant.has(token)) {
            let id = grant.id;
            self.grants.remove(&id);
            self.counts.revocations += 1;
        }
    }

    /// Whose the access token is, if one was shown and it is good.
    pub(super) fn visitor(&mut self, token: Option<&str>, now: Timestamp) -> Option<Visitor> {
        let visitor = token.and_then(|token| self.holder(token, now));
        let count = if visitor.is_some() { &mut self.counts.admitted } else { &mut self.counts.refused };
        *count += 1;
        visitor
    }

    fn holder(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        let grant = self.grants.get(&grant_of(token)?)?;
        let access = grant.access(token, now)?;
        Some(Visitor {
            name: Arc::clone(&grant.name),
            client: Arc::clone(&grant.client),
            scope: access.scope.to_string(),
            token: access.number,
            may_write: access.scope.write,
        })
    }

    /// The connections of people: each with the person and the client's name, the oldest first.
    pub(super) fn connections(&self) -> Vec<(Arc<str>, String)> {
        let name = |id: &str| self.clients.get(id).map_or_else(|| id.to_owned(), |client| client.name.clone());
        self.grants.values().map(|grant| (Arc::clone(&grant.name), name(&grant.client))).collect()
    }

    /// Ends the connections of a person; says how many there were.
    pub(super) fn end(&mut self, person: &str) -> usize {
        let before = self.grants.len();
        self.grants.retain(|_, grant| &*grant.name != person);
        before - self.grants.len()
    }

    pub(super) fn expire_access_tokens(&mut self) {
        self.grants.values_mut().for_each(Grant::expire_access_tokens);
    }

    fn reused(&mut self, grant: u64) {
        self.grants.remove(&grant);
        self.counts.reuses += 1;
    }

    /// A new connection. If there are too many, the oldest one ends.
    fn begin(&mut self, name: Arc<str>, client: &str, scope: Scope) -> u64 {
        if self.grants.len() >= MOST {
            self.grants.pop_first();
        }
        let id = self.number();
        self.grants.insert(id, Grant::new(id, name, client.into(), scope));
        id
    }

    fn mint(
        &mut self,
        grant: u64,
        scope: Scope,
        now: Timestamp,
        life: Duration,
        refresh: bool,
    ) -> Result<Tokens, Denied> {
        let number = self.number();
        let grant = self.grants.get_mut(&grant).ok_or(Denied::grant("the connection has ended"))?;
        let access = grant.mint_access(number, scope, now.plus(life));
        let refresh = refresh.then(|| grant.mint_refresh());
        Ok(Tokens { access, refresh, scope })
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
