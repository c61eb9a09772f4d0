//! API keys.

use std::time::Duration;

use portcullis_policies::kit::{
    challenge::is_scope,
    clock::Timestamp,
    host::Identity,
    refusal::{Reason, Refusal},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    PATH,
    door::stored,
    endpoint::{Ask, Nothing},
    office::Foundation,
    page::{Page, Paging, limit, place},
};
use crate::api_keys::{ApiKeyJson, NewKeyJson, Wish, create as create_key};

/// What a key shall be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ApiKeyWish")]
pub(super) struct KeyWish {
    /// What people call it, such as the program that uses it.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// What it may be used for, of what the key that makes it has.
    scopes: Vec<String>,
    /// The routes that it is for, `/api/v1` for this API. Default: those of the key that makes it.
    routes: Option<Vec<String>>,
    /// Days until it is over. It is never good for longer than the key that makes it.
    #[serde(default = "usual_days")]
    #[schemars(range(min = 1, max = 3650))]
    days: u32,
    /// E-mail address of whoever answers for it: that of the key that makes it, or none.
    email: Option<String>,
    /// Its groups, of those that the key has that makes it.
    #[serde(default)]
    groups: Vec<String>,
    /// Its roles, of those that the key has that makes it.
    #[serde(default)]
    roles: Vec<String>,
}

fn usual_days() -> u32 {
    90
}

/// One key.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Named {
    /// The key's id.
    id: String,
}

pub(super) async fn list(ask: Ask<Nothing, Paging>) -> Result<Page<ApiKeyJson>, Refusal> {
    let (most, from) = (limit(ask.query.limit)?, place::<(i64, String)>(ask.query.cursor.as_deref())?);
    let (store, tenant) = ask.house.store()?;
    let after = from.as_ref().map(|(at, id)| (Timestamp::from_millis(*at), id.as_str()));
    let keys = store.api_keys_after(tenant, after, most).await.map_err(stored)?;
    Ok(Page::of(&keys, most, |key| (key.created_at.as_millis(), key.id.clone())))
}

pub(super) async fn create(ask: Ask<Nothing, Nothing, KeyWish>) -> Result<NewKeyJson, Refusal> {
    let Ask { house, holder, body, .. } = ask;
    check(&house, &body)?;
    let KeyWish { name, scopes, routes, days, email, groups, roles } = body;
    let identity = Identity { email, groups, roles, ..Identity::default() };
    let wish = Wish { name, identity, scopes, routes, lasting: Some(Duration::from_hours(24 * u64::from(days))) };
    let (maker, now) = (holder.record(&house).await?, house.clock.now());
    let wish = wish.within(&maker, now).map_err(|beyond| Refusal::new(Reason::BeyondKey, beyond))?;
    let (store, tenant) = house.store()?;
    let made = create_key(store, tenant, wish, now).await.map_err(stored)?;
    tracing::info!(made = made.record.id, by = holder.id(), "API key made");
    Ok((&made).into())
}

pub(super) async fn revoke(ask: Ask<Named>) -> Result<ApiKeyJson, Refusal> {
    let ((store, tenant), id) = (ask.house.store()?, &ask.path.id);
    let mut work = store.begin(tenant).await.map_err(stored)?;
    let revoked = work.revoke_api_key(id).await.map_err(stored)?;
    work.commit().await.map_err(stored)?;
    match store.api_key(tenant, id).await.map_err(stored)? {
        Some(key) if revoked => Ok((&key).into()),
        Some(_) => Err(Refusal::new(Reason::Conflict, "The key was taken back before.")),
        None => Err(Refusal::new(Reason::UnknownId, format!("There is no key {id:?}."))),
    }
}

fn check(house: &Foundation, wish: &KeyWish) -> Result<(), Refusal> {
    let refused = |why: String| Err(Refusal::new(Reason::InvalidParams, why));
    let generation = house.live.current();
    let is_there = |route: &&String| **route == PATH || generation.route(route).is_some();
    let nowhere = wish.routes.iter().flatten().find(|route| !is_there(route));
    match (wish.name.trim().chars().count(), wish.days, wish.scopes.iter().find(|scope| !is_scope(scope)), nowhere) {
        (0 | 201.., ..) => refused("A key has a name of 1 to 200 letters.".to_owned()),
        (_, 0 | 3651.., ..) => refused("A key is good for 1 to 3650 days.".to_owned()),
        (_, _, Some(scope), _) => refused(format!("{scope:?} is no scope.")),
        (_, _, _, Some(route)) => refused(format!("There is no route {route:?}.")),
        _ => Ok(()),
    }
}
