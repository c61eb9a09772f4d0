//! Connections for calls that are only rehearsed: whether there is one is read, and no credential is opened, renewed or
//! fetched.

use std::{future::ready, pin::Pin, sync::Arc};

use portcullis_policies::kit::{
    clock::Clock,
    credential::{
        ConnectRequired, ConnectState, Connections, CredentialRefused, NoCredential, Obtained, Obtaining,
        UpstreamCredential, Wanted,
    },
    refusal::Reason,
    rehearsal::Trace,
};

use super::obtain::{is_stored, message, no_store, subject};
use crate::store::{ConnectionState, ConnectionSummary, Store, Tenant};

/// Reads who is connected. Where there is no store yet, nobody is.
#[derive(Debug)]
pub struct Rehearsed {
    store: Option<Store>,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    trace: Trace,
}

impl Rehearsed {
    /// What `store` says by `clock`, to whoever looks at `trace`.
    pub fn new(store: Option<Store>, tenant: Tenant, clock: Arc<dyn Clock>, trace: Trace) -> Self {
        Self { store, tenant, clock, trace }
    }

    async fn look(&self, wanted: Wanted<'_>) -> Obtained {
        let subject = subject(&wanted).map_err(NoCredential::Refused)?;
        if !is_stored(&wanted.auth.mode) {
            self.trace.note(format!("would have a credential fetched ({})", wanted.auth.mode.name()));
            return Ok(UpstreamCredential::new(&*wanted.auth.id, 0, Vec::new()));
        }
        let connected = self.connection(&wanted.auth.id, subject).await?;
        match connected.filter(|connection| *connection.target == *wanted.target.0) {
            Some(connection) if connection.state == ConnectionState::Connected => {
                let is_over = connection.expires_at.is_some_and(|end| end <= self.clock.now());
                let first = if is_over { ", renewed first" } else { "" };
                let whose =
                    if subject.is_empty() { "the credential that all share" } else { "the caller's own credential" };
                self.trace.note(format!("would show {whose} for {}{first}", wanted.auth.id));
                Ok(UpstreamCredential::new(connection.id, connection.version, Vec::new()))
            }
            _ if subject.is_empty() => Err(Reason::OperatorMustConnect.into()),
            Some(connection) => Err(connect(wanted, ConnectState::ReconsentRequired, &connection.because)),
            None => Err(connect(wanted, ConnectState::Authenticating, "nobody has connected it for you yet")),
        }
    }

    async fn connection(&self, upstream: &str, subject: &str) -> Result<Option<ConnectionSummary>, NoCredential> {
        let Some(store) = &self.store else { return Ok(None) };
        let all = store.connections_of(&self.tenant, subject).await;
        let all = all.map_err(|error| NoCredential::Refused(no_store(&error)))?;
        Ok(all.into_iter().find(|connection| connection.key.upstream == upstream))
    }
}

/// The link would be made for the call.
fn connect(wanted: Wanted<'_>, state: ConnectState, because: &str) -> NoCredential {
    let message = message(&wanted.auth.display_name, state, because);
    let url = "(a link of the caller's own)".to_owned();
    NoCredential::Connect(ConnectRequired { state, url, elicitation_id: String::new(), message })
}

impl Connections for Rehearsed {
    fn obtain<'a>(&'a self, wanted: Wanted<'a>, _: Option<&'a str>) -> Obtaining<'a> {
        Obtaining::Pending(Box::pin(self.look(wanted)))
    }

    /// Nobody refuses a credential that is shown to nobody.
    fn renew<'a>(&'a self, _: Wanted<'a>, _: &'a CredentialRefused, _: Option<&'a str>) -> Obtaining<'a> {
        Obtaining::Ready(Err(Reason::CredentialUnavailable.into()))
    }

    fn give_up<'a>(
        &'a self,
        _: Wanted<'a>,
        _: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>> {
        Box::pin(ready(Reason::CredentialUnavailable.into()))
    }

    fn suspect(&self, _: &CredentialRefused) {}
}
