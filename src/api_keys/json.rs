//! Keys as programs read them: on the command line, and by the REST API.

use portcullis_policies::kit::host::Identity;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::Made;
use crate::{store::ApiKeyRecord, wire::date};

/// An API key without its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApiKey")]
pub struct ApiKeyJson {
    /// Names it. Callers with it are known as `key|` and this.
    id: String,
    /// What people call it.
    name: String,
    /// What it may be used for.
    scopes: Vec<String>,
    /// The routes that it is for; without any, all that take keys.
    routes: Option<Vec<String>>,
    /// E-mail address of whoever answers for it.
    email: Option<String>,
    /// Its groups.
    groups: Vec<String>,
    /// Its roles.
    roles: Vec<String>,
    /// The key that made it, or began the line of those that did.
    made_by: Option<String>,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it ends.
    expires_at: Option<String>,
    /// When it was taken back.
    revoked_at: Option<String>,
    /// When it was last used, about.
    last_used_at: Option<String>,
}

/// A key that was just made. Its secret is shown this once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewApiKey")]
pub struct NewKeyJson {
    #[serde(flatten)]
    made: ApiKeyJson,
    /// What programs send as `Authorization: Bearer`.
    key: String,
}

impl From<&ApiKeyRecord> for ApiKeyJson {
    fn from(record: &ApiKeyRecord) -> Self {
        let Identity { email, groups, roles, .. } = record.identity().unwrap_or_default();
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            scopes: record.scopes().map(str::to_owned).collect(),
            routes: record.route_list(),
            email,
            groups,
            roles,
            made_by: Some(record.root()).filter(|root| *root != record.subject()),
            created_at: date(record.created_at),
            expires_at: record.expires_at.map(date),
            revoked_at: record.revoked_at.map(date),
            last_used_at: record.last_used_at.map(date),
        }
    }
}

impl From<&Made> for NewKeyJson {
    fn from(made: &Made) -> Self {
        Self { made: (&made.record).into(), key: made.key.expose_secret().to_owned() }
    }
}
