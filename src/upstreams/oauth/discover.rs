//! Finding the authorization server of an upstream.
//!
//! ```text
//! the challenge, the configuration or well-known places say where the upstream's metadata are
//!   → its issuers, one of them → that issuer's metadata
//!   → no metadata (2025-03-26) → metadata of its origin, else /authorize, /token and /register there
//! classic: the configuration says everything, and nothing is asked
//! ```

use portcullis_policies::kit::credential::{ClassicOAuth, OAuthUpstream, UpstreamChallenge};
use url::Url;

use super::{
    Discovered, Flow, SetupCode, SetupError, Transcript, UpstreamOAuth,
    challenge::{Asked, scopes, union},
    places,
    resource::Resource,
    server::{OFFLINE_ACCESS, plain_server},
    survey::Survey,
    transcript::bare,
};

impl UpstreamOAuth {
    /// Finds out how tokens for the upstream at `target` are had. `challenge` is what it answered when it was asked
    /// without one, if it was.
    ///
    /// # Errors
    ///
    /// [`SetupError`], with what was asked until then.
    pub async fn discover(
        &self,
        flow: Flow,
        upstream: &OAuthUpstream,
        target: &Url,
        challenge: Option<&UpstreamChallenge>,
    ) -> Result<Discovered, SetupError> {
        let asked = challenge.map(Asked::of).unwrap_or_default();
        let mut survey = Survey { fetch: &self.fetch, target, transcript: Transcript::default() };
        let mut server = match &upstream.classic {
            Some(classic) => survey.classic(flow, upstream, classic, &asked)?,
            None => survey.modern(flow, upstream, &asked).await?,
        };
        server.scope_delimiter.clone_from(&upstream.scope_delimiter);
        survey.transcript.decided("authorization server", &server.issuer);
        server.transcript = survey.transcript;
        Ok(server)
    }
}

impl Survey<'_> {
    async fn modern(&mut self, flow: Flow, upstream: &OAuthUpstream, asked: &Asked) -> Result<Discovered, SetupError> {
        let resource = self.resource(upstream, asked.resource_metadata.as_ref()).await?;
        let issuer = self.issuer(upstream, resource.as_ref())?;
        let document = match &issuer {
            Some(issuer) => Some(self.server(issuer).await?),
            None => self.server_of_origin().await?,
        };
        let mut server = match document {
            Some(document) => self.believed(document, flow)?,
            None => self.guessed(flow)?,
        };
        let (identifier, known) = match resource {
            Some(resource) => (resource.identifier, scopes(&resource.scopes.join(" "))),
            None => (places::canonical(self.target), Vec::new()),
        };
        server.resource = Some(identifier);
        server.scopes = wanted(upstream, asked, &known);
        server.possible_scopes = union(&server.scopes, &known);
        if upstream.scopes.is_empty() && !server.offline_access {
            // It is no scope of a resource: only the authorization server can know it.
            server.scopes.retain(|scope| **scope != *OFFLINE_ACCESS);
            server.possible_scopes.retain(|scope| **scope != *OFFLINE_ACCESS);
        }
        Ok(server)
    }

    /// Which authorization server: the one of the configuration, which the upstream must trust, or the first that it
    /// does.
    fn issuer(&mut self, upstream: &OAuthUpstream, resource: Option<&Resource>) -> Result<Option<String>, SetupError> {
        let trusted = resource.map(|resource| resource.issuers.as_slice());
        match (&upstream.issuer, trusted) {
            (Some(issuer), None | Some([])) => Ok(Some(issuer.clone())),
            (Some(issuer), Some(trusted)) if trusted.contains(issuer) => Ok(Some(issuer.clone())),
            (Some(issuer), Some(trusted)) => {
                let words = format!("the upstream does not trust {issuer}, but only {}", trusted.join(", "));
                Err(self.fails(SetupCode::IssuerNotTrusted, &words))
            }
            (None, Some([first, ..])) => Ok(Some(first.clone())),
            (None, Some([])) => Err(self.fails(
                SetupCode::NoAuthorizationServer,
                "the upstream's metadata name no authorization server; `authorizationServer` can say which one it trusts",
            )),
            (None, None) => Ok(None),
        }
    }

    /// The endpoints of 2025-03-26 for a server without metadata.
    fn guessed(&mut self, flow: Flow) -> Result<Discovered, SetupError> {
        if !places::is_secure(&places::at(self.target, "/"), self.target) {
            return Err(self.insecure("origin", bare(self.target)));
        }
        self.transcript
            .decided("metadata", "there are none: /authorize, /token and /register of the origin, as of 2025-03-26");
        let at = |path| places::at(self.target, path);
        Ok(Discovered {
            is_guess: true,
            authorization_endpoint: Some(at("/authorize")),
            registration_endpoint: Some(at("/register")),
            ..plain_server(flow, self.target.origin().ascii_serialization(), at("/token"))
        })
    }

    /// What the configuration says of a vendor.
    fn classic(
        &mut self,
        flow: Flow,
        upstream: &OAuthUpstream,
        classic: &ClassicOAuth,
        asked: &Asked,
    ) -> Result<Discovered, SetupError> {
        self.transcript.decided("endpoints", "as the configuration says");
        let endpoints = [&classic.authorization_endpoint, &classic.revocation_endpoint];
        for url in endpoints.into_iter().flatten().chain([&classic.token_endpoint]) {
            if !places::is_secure(url, url) {
                return Err(self.insecure("address", url.as_str()));
            }
        }
        if flow == Flow::Code && classic.authorization_endpoint.is_none() {
            let words = "people cannot connect without `classicOAuth.authorizeUrl`";
            return Err(self.fails(SetupCode::NoAuthorizationEndpoint, words));
        }
        let issuer = upstream.issuer.clone();
        let origin = || classic.token_endpoint.origin().ascii_serialization();
        Ok(Discovered {
            is_issuer_known: issuer.is_some(),
            authorization_endpoint: classic.authorization_endpoint.clone(),
            revocation_endpoint: classic.revocation_endpoint.clone(),
            parameters: classic.parameters.clone(),
            pkce: classic.pkce,
            resource: classic.resource.then(|| places::canonical(self.target)),
            scopes: wanted(upstream, asked, &[]),
            ..plain_server(flow, issuer.unwrap_or_else(origin), classic.token_endpoint.clone())
        })
    }
}

/// The scopes to ask for: those of the configuration, else those of the challenge, else all that the resource knows.
fn wanted(upstream: &OAuthUpstream, asked: &Asked, known: &[Box<str>]) -> Vec<Box<str>> {
    let lists = [&upstream.scopes, &asked.scopes];
    lists.into_iter().find(|list| !list.is_empty()).map_or_else(|| known.to_vec(), Clone::clone)
}
