//! What an upstream says about itself: protected-resource metadata (RFC 9728).

use portcullis_policies::kit::credential::OAuthUpstream;
use serde::Deserialize;
use url::Url;

use super::{
    SetupCode, SetupError, places,
    survey::{Found, Survey},
    transcript::{bare, plain},
};

/// The members of the metadata that matter here.
#[derive(Debug, Deserialize)]
struct Document {
    resource: String,
    authorization_servers: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// What the metadata say.
#[derive(Debug)]
pub(super) struct Resource {
    /// Its name for itself, which tokens are asked for with.
    pub(super) identifier: String,
    /// The issuers that it trusts.
    pub(super) issuers: Vec<String>,
    /// The scopes that it knows.
    pub(super) scopes: Vec<String>,
}

const WHAT: &str = "protected-resource metadata";

impl Survey<'_> {
    /// The metadata of the upstream: where its challenge or the configuration says, else at the well-known places.
    /// None, if nobody said where they are and they are nowhere: the upstream may be of 2025-03-26, which knows none.
    pub(super) async fn resource(
        &mut self,
        upstream: &OAuthUpstream,
        told: Option<&Url>,
    ) -> Result<Option<Resource>, SetupError> {
        let configured = upstream.protected_resource_metadata.as_ref();
        let told = configured.or(told);
        let candidates = told.map_or_else(|| places::of_resource(self.target), |place| vec![place.clone()]);
        for place in &candidates {
            if let Found::Is(document) = self.document::<Document>(WHAT, place).await? {
                return self.judged(document, place, configured.is_some()).map(Some);
            }
        }
        match told {
            None => Ok(None),
            Some(_) => Err(self.fails(
                SetupCode::NoProtectedResourceMetadata,
                "the upstream's protected-resource metadata (RFC 9728) are not where they should be; \
                 `protectedResourceMetadataUrl` says where they are",
            )),
        }
    }

    /// RFC 9728 §3.3: metadata are believed only about the resource that was asked for, or an upstream could have a
    /// token made for another resource. A resource that holds the target is believed where whoever holds it vouches for
    /// it: at its own well-known place, or because the operator says where to look.
    fn judged(&mut self, document: Document, place: &Url, by_operator: bool) -> Result<Resource, SetupError> {
        let named = Url::parse(&document.resource).ok();
        let is_ours = named.is_some_and(|named| {
            let vouched = by_operator || places::resource_at(place).is_some_and(|own| places::is_same(&own, &named));
            places::is_same(&named, self.target) || (vouched && places::covers(&named, self.target))
        });
        if !is_ours {
            let words = format!(
                "the metadata at {} are of the resource {:?}, and not of {}; if the upstream publishes others, \
                 `protectedResourceMetadataUrl` says where",
                bare(place),
                plain(&document.resource),
                bare(self.target)
            );
            return Err(self.fails(SetupCode::ResourceMismatch, &words));
        }
        self.transcript.decided("resource", &document.resource);
        Ok(Resource {
            identifier: document.resource,
            issuers: document.authorization_servers.unwrap_or_default(),
            scopes: document.scopes_supported.unwrap_or_default(),
        })
    }
}
