//! One connection: what a person allowed a client, and the tokens that came of it.

use std::{collections::VecDeque, sync::Arc};

use portcullis_policies::kit::{clock::Timestamp, random};

use super::{same::is_same, scope::Scope};

/// Access tokens of one connection that are remembered, and spent refresh tokens.
const REMEMBERED: usize = 64;

/// A connection. It ends as a whole.
pub(super) struct Grant {
    pub(super) id: u64,
    /// The person who said yes, or the client itself.
    pub(super) name: Arc<str>,
    pub(super) client: Arc<str>,
    pub(super) scope: Scope,
    access: VecDeque<Access>,
    refresh: Option<String>,
    spent: VecDeque<String>,
}

/// An access token.
pub(super) struct Access {
    text: String,
    pub(super) number: u64,
    pub(super) scope: Scope,
    expires_at: Timestamp,
}

/// What showing a refresh token means.
pub(super) enum Shown {
    Good,
    /// It was good once. Somebody has a copy of it.
    Spent,
    Unknown,
}

impl Grant {
    pub(super) fn new(id: u64, name: Arc<str>, client: Arc<str>, scope: Scope) -> Self {
        Self { id, name, client, scope, access: VecDeque::new(), refresh: None, spent: VecDeque::new() }
    }

    /// A new access token. The grant's id stands in each token, so that the connection of any token is found at once.
    pub(super) fn mint_access(&mut self, number: u64, scope: Scope, expires_at: Timestamp) -> String {
        let text = format!("demo-access.{}.{}", self.id, random::secret());
        remember(&mut self.access, Access { text: text.clone(), number, scope, expires_at });
        text
    }

    /// A new refresh token; the one before is spent.
    pub(super) fn mint_refresh(&mut self) -> String {
        let text = format!("demo-refresh.{}.{}", self.id, random::secret());
        if let Some(spent) = self.refresh.replace(text.clone()) {
            remember(&mut self.spent, spent);
        }
        text
    }

    /// The access token, if it is one and its time is not over.
    pub(super) fn access(&self, text: &str, now: Timestamp) -> Option<&Access> {
        self.access.iter().find(|access| is_same(text, &access.text) && now < access.expires_at)
    }

    pub(super) fn refresh(&self, text: &str) -> Shown {
        match &self.refresh {
            Some(current) if is_same(text, current) => Shown::Good,
            _ if self.spent.iter().any(|spent| is_same(text, spent)) => Shown::Spent,
            _ => Shown::Unknown,
        }
    }

    /// Is it one of this connection's tokens, whatever its time?
    pub(super) fn has(&self, text: &str) -> bool {
        self.access.iter().any(|access| is_same(text, &access.text)) || !matches!(self.refresh(text), Shown::Unknown)
    }

    pub(super) fn expire_access_tokens(&mut self) {
        self.access.clear();
    }
}

/// Which connection a token names.
pub(super) fn grant_of(token: &str) -> Option<u64> {
    token.split('.').nth(1)?.parse().ok()
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == REMEMBERED {
        list.pop_front();
    }
    list.push_back(item);
}
