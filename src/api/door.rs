//! Who comes in: programs that show an API key with the scope.

use http::request::Parts;
use portcullis_policies::kit::{
    challenge::{Challenge, bearer_only, unavailable},
    host::Caller,
    refusal::{Reason, Refusal},
    sign_in::{Access, ApiKeys, Denied, Judging},
};
use std::time::Duration;

use super::{PATH, office::Foundation, table::Scope};
use crate::{
    api_keys::root_of,
    oauth::Visitor,
    store::{ApiKeyRecord, StoreError},
};

/// When to come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const A_MINUTE: Duration = Duration::from_mins(1);

/// The program that asks.
#[derive(Clone, Debug)]
pub(super) struct Holder(pub(super) Caller);

impl Holder {
    /// The key's id.
    pub(super) fn id(&self) -> &str {
        self.0.subject.strip_prefix("key|").unwrap_or(&self.0.subject)
    }

    /// The key itself, as it stands now.
    pub(super) async fn record(&self, house: &Foundation) -> Result<ApiKeyRecord, Refusal> {
        let (store, tenant) = house.store()?;
        let record = store.api_key(tenant, self.id()).await.map_err(stored)?;
        // It may have been taken back since it was known to be good.
        record.filter(|record| record.revoked_at.is_none()).ok_or_else(|| Reason::InvalidToken.into())
    }

    /// Is this caller the same program? Keys that made each other are.
    pub(super) async fn is(&self, house: &Foundation, subject: &str) -> Result<bool, Refusal> {
        let (store, tenant) = house.store()?;
        let theirs = root_of(store, tenant, subject).await.map_err(stored)?;
        let own = root_of(store, tenant, &self.0.subject).await.map_err(stored)?;
        Ok(theirs.is_some() && theirs == own)
    }
}

/// Lets a program in, or says why not. Wrong keys are counted by address, as wrong credentials of clients are.
pub(super) async fn enter(house: &Foundation, parts: &Parts, scope: Scope) -> Result<Holder, Refusal> {
    let authority = house.authority()?;
    let visitor = parts.extensions.get::<Visitor>();
    if visitor.is_some_and(|visitor| authority.is_shut_out(visitor.address)) {
        return Err(too_many());
    }
    let needed = [scope.name().into()];
    let challenge = Challenge { resource_metadata: None, scopes: &needed };
    let shown = bearer_only(&parts.headers, &parts.uri)?;
    let Some(key) = shown else { return Err(with_remedy(challenge.none_presented(), scope)) };
    let access = match judge(house, key).await {
        Ok(access) => access,
        Err(Denied::Unavailable) => return Err(unavailable(RETRY_AFTER)),
        Err(Denied::Invalid(why)) => {
            if let Some(visitor) = visitor {
                authority.count_wrong_credential(visitor.address);
            }
            return Err(with_remedy(challenge.invalid_token(why), scope));
        }
    };
    if access.covers(scope.name()) {
        return Ok(Holder(access.caller));
    }
    Err(with_remedy(challenge.insufficient_scope(), scope))
}

async fn judge(house: &Foundation, key: &str) -> Result<Access, Denied> {
    match house.keys.judge(key, PATH) {
        Judging::Ready(judged) => judged,
        Judging::Pending(judging) => judging.await,
    }
}

fn with_remedy(refusal: Refusal, scope: Scope) -> Refusal {
    let scope = scope.name();
    refusal.with_remedy(format!(
        "Send `Authorization: Bearer KEY`. `portcullis keys create --name NAME --scope {scope}` makes a key."
    ))
}

/// Too many requests, or too many wrong keys.
pub(super) fn too_many() -> Refusal {
    let refusal = Refusal::new(Reason::RateLimited, "Too many requests or wrong keys from this address.");
    refusal.with_header(http::header::RETRY_AFTER, A_MINUTE.as_secs().into())
}

/// The store does not answer.
#[expect(clippy::needless_pass_by_value, reason = "this is how errors are mapped")]
pub(super) fn stored(error: StoreError) -> Refusal {
    tracing::error!(%error, "the store failed");
    let refusal = Refusal::new(Reason::SignInUnavailable, "The gateway's store does not answer.");
    refusal.with_header(http::header::RETRY_AFTER, RETRY_AFTER.as_secs().into())
}
