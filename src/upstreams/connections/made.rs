//! A connection that somebody has just made: by what an authorization server gave for their yes, or by the key that they
//! typed in.

use std::{collections::BTreeMap, time::Duration};

use portcullis_policies::kit::{
    credential::{AuthMode, KeyField},
    random,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    ConnectError, Connected, ConnectionBook,
    kept::{self, Kept, Value},
    transition::Transition,
};
use crate::store::{ConnectionKey, ConnectionRecord, ConnectionStage, ConnectionState, ConnectionSummary, Digest};

/// A connection that is to be kept.
#[derive(Debug)]
pub(super) struct Made<'a> {
    pub(super) key: ConnectionKey,
    pub(super) target: &'a str,
    pub(super) kept: Kept,
    pub(super) issuer: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) lasting: Option<Duration>,
    pub(super) because: &'static str,
    /// The link that is used up by it, if it is not yet.
    pub(super) link: Option<Digest>,
}

impl ConnectionBook {
    /// `subject` typed in their key, each value under the name of its field: uses the link up.
    pub async fn put_key(
        &self,
        token: &str,
        subject: &str,
        values: &[(String, SecretString)],
    ) -> Result<Connected, ConnectError> {
        let (link, route) = self.link_of(token, subject).await?;
        let AuthMode::UserKey(fields) = &route.auth.mode else { return Err(ConnectError::Gone) };
        let values = fields.iter().map(|field| typed(field, values)).collect::<Result<BTreeMap<_, _>, _>>()?;
        let made = Made {
            key: ConnectionKey { upstream: link.upstream, subject: link.subject },
            target: &link.target,
            kept: Kept::Values(values),
            issuer: None,
            scope: None,
            lasting: None,
            because: "the person gave their key",
            link: Some(link.digest),
        };
        self.connect(made).await?;
        Ok(Connected { display_name: route.auth.display_name.clone() })
    }

    /// Somebody has connected: that counts from the next call on, here at once and elsewhere within a second.
    pub(super) async fn connect(&self, made: Made<'_>) -> Result<(), ConnectError> {
        let Made { key, target, kept, issuer, scope, lasting, because, link } = made;
        let now = self.0.clock.now();
        let secrets = Some(kept.seal()?);
        let summary = ConnectionSummary {
            target: target.to_owned(),
            id: random::id(),
            version: 0,
            state: ConnectionState::Connected,
            because: because.to_owned(),
            issuer,
            scope,
            expires_at: lasting.map(|lasting| now.plus(lasting)),
            created_at: now,
            changed_at: now,
            key,
        };
        let record = ConnectionRecord { summary, secrets };
        let before = self.summary(&record.key).await?;
        let transition = Transition {
            key: &record.key,
            from: before.map_or(ConnectionStage::Authenticating, |before| before.state.into()),
            to: ConnectionStage::Connected,
            because,
            request_id: None,
        };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        if let Some(link) = link {
            work.use_connect_link(&link, now).await?.ok_or(ConnectError::Gone)?;
        }
        let version = work.put_connection(&record).await?;
        transition.record(&mut work, now).await?;
        work.commit().await?;
        self.renumber(&record.key, version);
        transition.log();
        Ok(())
    }
}

/// The value of a field, as it was typed.
fn typed(field: &KeyField, values: &[(String, SecretString)]) -> Result<(String, Value), ConnectError> {
    let value = values.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value.expose_secret().trim());
    let value = value.filter(|value| !value.is_empty());
    let value = SecretString::from(value.ok_or_else(|| ConnectError::Unusable(format!("{} is missing", field.label)))?);
    if kept::header(field, &value).is_none() {
        let words = format!("{} has characters that cannot be sent: copy it once more", field.label);
        return Err(ConnectError::Unusable(words));
    }
    Ok((field.name.clone(), Value(value)))
}
