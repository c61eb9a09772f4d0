//! What an authorization server says about itself (RFC 8414, OpenID Connect Discovery).

use serde::Deserialize;
use url::Url;

use super::{
    Discovered, Flow, SetupCode, SetupError, Transcript, places,
    survey::{Found, Survey},
    transcript::plain,
};

/// The members of the metadata that matter here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    client_id_metadata_document_supported: Option<bool>,
}

const WHAT: &str = "authorization server metadata";

impl Survey<'_> {
    /// The metadata of an issuer that somebody named. Only a document of exactly this issuer counts (RFC 8414 §3.3):
    /// otherwise one server could speak for another.
    pub(super) async fn server(&mut self, issuer: &str) -> Result<Document, SetupError> {
        let url = self.endpoint("issuer", Some(issuer))?;
        let places = url.as_ref().map(places::of_server).unwrap_or_default();
        let found = self.first_of(&places, |document| document.issuer == issuer).await?;
        found.ok_or_else(|| {
            let words = format!("{issuer} publishes no metadata of an authorization server (RFC 8414)");
            self.fails(SetupCode::NoAuthorizationServerMetadata, &words)
        })
    }

    /// As 2025-03-26 has it, for an upstream without metadata of its own: its origin is its authorization server.
    /// There, nobody named the issuer, so it may have the slash that every origin has as a URL.
    pub(super) async fn server_of_origin(&mut self) -> Result<Option<Document>, SetupError> {
        let origin = self.target.origin().ascii_serialization();
        let places = places::of_server(&places::at(self.target, "/"));
        self.first_of(&places, |document| document.issuer.trim_end_matches('/') == origin).await
    }

    async fn first_of(
        &mut self,
        places: &[Url],
        is_theirs: impl Fn(&Document) -> bool,
    ) -> Result<Option<Document>, SetupError> {
        let mut other = None;
        for place in places {
            match self.document::<Document>(WHAT, place).await? {
                Found::Is(document) if is_theirs(&document) => return Ok(Some(document)),
                Found::Is(document) => {
                    self.transcript.asked(WHAT, place, format!("discarded: of the issuer {:?}", document.issuer));
                    other = Some(document.issuer);
                }
                Found::Nothing => {}
            }
        }
        match other {
            None => Ok(None),
            Some(issuer) => {
                let words = format!(
                    "its metadata are of the issuer {:?}, which is not the one that was asked; a vendor that \
                     does so has to mend it, or be given by hand in `classicOAuth`",
                    plain(&issuer)
                );
                Err(self.fails(SetupCode::IssuerMismatch, &words))
            }
        }
    }

    /// Judges metadata before anything in them is used.
    pub(super) fn believed(&mut self, document: Document, flow: Flow) -> Result<Discovered, SetupError> {
        let authorization_endpoint =
            self.endpoint("authorization_endpoint", document.authorization_endpoint.as_deref())?;
        let token_endpoint = self.endpoint("token_endpoint", document.token_endpoint.as_deref())?;
        let Some(token_endpoint) = token_endpoint else {
            let words = format!("the metadata of {} have no token_endpoint", document.issuer);
            return Err(self.fails(SetupCode::NoAuthorizationServerMetadata, &words));
        };
        if flow == Flow::Code {
            self.check_code_flow(&document)?;
        }
        let scopes = document.scopes_supported.unwrap_or_default();
        Ok(Discovered {
            authorization_endpoint,
            registration_endpoint: self.endpoint("registration_endpoint", document.registration_endpoint.as_deref())?,
            revocation_endpoint: self.endpoint("revocation_endpoint", document.revocation_endpoint.as_deref())?,
            auth_methods: document.token_endpoint_auth_methods_supported.unwrap_or_default(),
            offline_access: scopes.iter().any(|scope| scope == OFFLINE_ACCESS),
            names_itself: document.authorization_response_iss_parameter_supported.unwrap_or_default(),
            client_documents: document.client_id_metadata_document_supported.unwrap_or_default(),
            ..plain_server(flow, document.issuer, token_endpoint)
        })
    }

    fn check_code_flow(&mut self, document: &Document) -> Result<(), SetupError> {
        if document.authorization_endpoint.is_none() {
            let words = format!("the metadata of {} have no authorization_endpoint", document.issuer);
            return Err(self.fails(SetupCode::NoAuthorizationEndpoint, &words));
        }
        let methods = document.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if methods.iter().any(|method| method == "S256") {
            return Ok(());
        }
        let words = format!(
            "{} does not list S256 in `code_challenge_methods_supported`, and without PKCE a code can be stolen; where \
             the vendor knows PKCE all the same, give its addresses by hand in `classicOAuth`",
            document.issuer
        );
        Err(self.fails(SetupCode::NoPkceSupport, &words))
    }
}

/// The scope that OpenID Connect asks for refresh tokens with (Core §11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// A server of which nothing is known but who it is and where it gives tokens.
pub(super) fn plain_server(flow: Flow, issuer: String, token_endpoint: Url) -> Discovered {
    Discovered {
        flow,
        issuer,
        is_issuer_known: true,
        is_guess: false,
        authorization_endpoint: None,
        token_endpoint,
        registration_endpoint: None,
        revocation_endpoint: None,
        auth_methods: Vec::new(),
        resource: None,
        scopes: Vec::new(),
        possible_scopes: Vec::new(),
        scope_delimiter: " ".to_owned(),
        offline_access: false,
        pkce: true,
        parameters: std::collections::BTreeMap::default(),
        names_itself: false,
        client_documents: false,
        transcript: Transcript::default(),
    }
}
