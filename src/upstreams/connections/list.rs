//! What there is: connections for people to see, and the gateway's own addresses at upstreams.

use portcullis_policies::kit::credential::OAuthUpstream;
use serde_json::{Value, json};
use url::Url;

use super::{ConnectionBook, ConnectionView, UpstreamRoute, links::host, refresh::oauth_upstream};
use crate::store::{ConnectionStage, ConnectionSummary, StoreError};

impl ConnectionBook {
    /// Where somebody stands with every upstream that people connect to, and with those that they were connected to and
    /// that the configuration does not know any more.
    pub async fn of(&self, subject: &str) -> Result<Vec<ConnectionView>, StoreError> {
        let mut kept = self.0.store.connections_of(&self.0.tenant, subject).await?;
        let mut views = Vec::<ConnectionView>::new();
        for route in self.0.routes.all() {
            let is_known = views.iter().any(|view| *view.upstream == *route.auth.id);
            if is_known || !route.auth.mode.is_connected_by_people() {
                continue;
            }
            let at = kept.iter().position(|record| *record.key.upstream == *route.auth.id);
            let record = at.map(|at| kept.remove(at));
            views.push(self.view(subject, &route, record).await?);
        }
        views.extend(kept.into_iter().map(orphan));
        Ok(views)
    }

    async fn view(
        &self,
        subject: &str,
        route: &UpstreamRoute,
        record: Option<ConnectionSummary>,
    ) -> Result<ConnectionView, StoreError> {
        // What was connected at another address is not connected at this one.
        let record = record.filter(|record| *record.target == *route.target.0);
        let standing = match &record {
            Some(record) => record.state.into(),
            None if self.has_offered(subject, route).await? => ConnectionStage::Authenticating,
            None => ConnectionStage::None,
        };
        Ok(ConnectionView {
            upstream: route.auth.id.to_string(),
            display_name: route.auth.display_name.clone(),
            summary: route.auth.summary.clone(),
            route: Some(route.path.to_string()),
            target_host: host(&route.target.0),
            standing,
            because: record.as_ref().map(|record| record.because.clone()).unwrap_or_default(),
            connected_at: record.as_ref().map(|record| record.created_at),
            scope: record.and_then(|record| record.scope),
        })
    }

    /// The client-id metadata document for the authorization server of this upstream, if the gateway can have one there.
    pub fn client_document(&self, upstream: &str) -> Option<Value> {
        let is_there = |route: &UpstreamRoute| *route.auth.id == *upstream && is_code_grant(route);
        let route = self.0.routes.all().into_iter().find(is_there)?;
        let url = self.document_url(upstream, oauth_upstream(&route.auth.mode)?)?;
        Some(json!({
            "client_id": url,
            "client_name": self.0.client_name,
            "client_uri": self.0.origin,
            "redirect_uris": [self.redirect_uri(upstream)],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }))
    }

    pub(super) fn redirect_uri(&self, upstream: &str) -> Url {
        redirect_uri(&self.0.origin, upstream)
    }

    pub(super) fn document_url(&self, id: &str, upstream: &OAuthUpstream) -> Option<Url> {
        document_url(&self.0.origin, id, upstream)
    }

    /// One of the gateway's own addresses.
    pub(super) fn at(&self, path: &[&str]) -> Url {
        own(&self.0.origin, path)
    }
}

/// Where browsers come back from an upstream's authorization server: another address for each upstream.
pub fn redirect_uri(origin: &Url, upstream: &str) -> Url {
    own(origin, &["connect", "callback", upstream])
}

/// Where the gateway's document for an upstream is: only https counts as a client's id.
pub fn document_url(origin: &Url, id: &str, upstream: &OAuthUpstream) -> Option<Url> {
    let published = || (origin.scheme() == "https").then(|| own(origin, &[".well-known", "oauth-client", id]));
    upstream.client_document.clone().or_else(published)
}

fn own(origin: &Url, path: &[&str]) -> Url {
    let mut url = origin.clone();
    // Fails only for URLs without a host, which no origin is.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(path);
    }
    url
}

fn is_code_grant(route: &UpstreamRoute) -> bool {
    use portcullis_policies::kit::credential::AuthMode;
    matches!(route.auth.mode, AuthMode::UserOAuth(_) | AuthMode::SharedOAuth(_))
}

/// A connection to what the configuration does not know any more.
fn orphan(record: ConnectionSummary) -> ConnectionView {
    ConnectionView {
        display_name: record.key.upstream.clone(),
        upstream: record.key.upstream,
        summary: None,
        route: None,
        target_host: host(&record.target),
        standing: record.state.into(),
        because: record.because,
        scope: record.scope,
        connected_at: Some(record.created_at),
    }
}
