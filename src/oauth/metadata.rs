//! What clients read first: where to sign in (RFC 9728), how (RFC 8414), and with which keys tokens are signed (RFC 7517).

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::{Authority, Origin, Routes, client::AuthMethod, scope::Scopes};

/// The routes as protected resources: whose tokens each of them takes.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The public address.
    pub origin: Origin,
    /// The routes of the configuration in force.
    pub routes: Arc<dyn Routes>,
}

impl Resources {
    /// The metadata of a route (RFC 9728 §2). `None` if it takes no tokens.
    pub(super) fn protected_resource(&self, route: &str) -> Option<Value> {
        let (servers, scopes) = match self.routes.outside(route) {
            Some(outside) => (
                outside.issuers.iter().map(|one| one.rules.issuer.to_string()).collect(),
                outside.scopes.iter().map(ToString::to_string).collect(),
            ),
            None => {
                let sign_in = self.routes.sign_in(route)?;
                (vec![self.origin.issuer(None)], scopes(&Scopes::default_of(&sign_in)))
            }
        };
        Some(json!({
            "resource": self.origin.resource(route),
            "authorization_servers": servers,
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": format!("Portcullis {route}"),
        }))
    }

    /// The protected resource where no route is named: the only one, if there is only one.
    pub(super) fn only_protected_resource(&self) -> Option<Value> {
        match self.routes.signed_in().as_slice() {
            [only] => self.protected_resource(only),
            _ => None,
        }
    }
}

impl Authority {
    /// This authorization server (RFC 8414 §2), or, with a route, the one of that route alone.
    pub(super) fn authorization_server(&self, route: Option<&str>) -> Option<Value> {
        let routes: Vec<Arc<str>> = match route {
            Some(route) => vec![route.into()],
            None => self.routes.signed_in(),
        };
        let signed_in: Vec<_> = routes.iter().filter_map(|route| self.routes.sign_in(route)).collect();
        if route.is_some() && signed_in.is_empty() {
            return None;
        }
        let mut supported: Vec<String> =
            signed_in.iter().flat_map(|sign_in| scopes(&Scopes::all_of(sign_in))).collect();
        supported.sort();
        supported.dedup();
        let at = |path: &str| self.origin.at(path);
        let mut document = json!({
            "issuer": self.origin.issuer(route),
            "authorization_endpoint": at(&format!("/oauth/authorize{}", route.unwrap_or_default())),
            "token_endpoint": at("/oauth/token"),
            "jwks_uri": at("/oauth/jwks"),
            "revocation_endpoint": at("/oauth/revoke"),
            "introspection_endpoint": at("/oauth/introspect"),
            "scopes_supported": supported,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": AuthMethod::ALL,
            "token_endpoint_auth_signing_alg_values_supported": ["EdDSA", "ES256", "ES384", "RS256", "PS256"],
            "revocation_endpoint_auth_methods_supported": AuthMethod::ALL,
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": signed_in.iter().any(|sign_in| sign_in.client_documents),
            "subject_types_supported": ["public"],
            "protected_resources": routes.iter().map(|route| self.origin.resource(route)).collect::<Vec<_>>(),
        });
        if self.options.registration.enabled {
            document["registration_endpoint"] = at("/oauth/register").into();
        }
        Some(document)
    }

    /// The public keys.
    pub(super) fn jwks(&self) -> Value {
        self.keys.document()
    }
}

fn scopes(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(ToOwned::to_owned).collect()
}

/// A document for everybody, kept for a few minutes. Shorter than the overlap of keys by far.
pub(crate) fn public_document(document: Option<Value>) -> Response {
    match document {
        Some(document) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
            (headers, document.to_string()).into_response()
        }
        None => {
            let why = json!({
                "error": "not_found",
                "error_description": "no route that asks for a sign-in is at this address; \
                    put the route's path behind the well-known one",
            });
            (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "application/json")], why.to_string()).into_response()
        }
    }
}
