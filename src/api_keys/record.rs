//! What a key's row says.

use portcullis_policies::kit::host::Identity;

use crate::store::{ApiKeyRecord, Store, StoreError, Tenant};

/// What subjects of keys begin with.
const SUBJECT: &str = "key|";
/// The claim that names the key with which a line of keys began that made each other.
const MADE_BY: &str = "madeBy";

impl ApiKeyRecord {
    /// Who callers with it are.
    pub fn subject(&self) -> String {
        format!("{SUBJECT}{}", self.id)
    }

    /// What else is known of them.
    pub fn identity(&self) -> Result<Identity, serde_json::Error> {
        serde_json::from_str(&self.subject_claims)
    }

    /// What it may be used for.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.split(' ').filter(|scope| !scope.is_empty())
    }

    /// The routes that it is for. A list that cannot be read names none.
    pub fn route_list(&self) -> Option<Vec<String>> {
        self.routes.as_ref().map(|routes| serde_json::from_str(routes).unwrap_or_default())
    }

    /// The key with which the line of keys began that made this one: itself, if people made it.
    pub fn root(&self) -> String {
        let identity = self.identity().unwrap_or_default();
        let made_by = identity.claims.get(MADE_BY).and_then(|root| root.as_str());
        made_by.map_or_else(|| self.subject(), ToOwned::to_owned)
    }
}

/// Writes down which key made this one.
pub(super) fn note_maker(identity: &mut Identity, maker: &ApiKeyRecord) {
    identity.claims.insert(MADE_BY.to_owned(), maker.root().into());
}

/// Whose program a caller is, if it is a key: keys that made each other are one program. Nobody else is one.
pub async fn root_of(store: &Store, tenant: &Tenant, subject: &str) -> Result<Option<String>, StoreError> {
    let Some(id) = subject.strip_prefix(SUBJECT) else { return Ok(None) };
    Ok(store.api_key(tenant, id).await?.map(|record| record.root()))
}
