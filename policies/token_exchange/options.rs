//! How the policy is set up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use crate::kit::jwt::Algorithm;

/// Which credential the upstream sees, and how it is got.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenExchangeOptions {
    /// Names the upstream in the store, in links and in the log: lower-case letters, digits and hyphens. It must never
    /// change, and never mean another upstream.
    pub id: String,
    /// The upstream's name for people.
    pub display_name: String,
    /// A sentence on what people connect to.
    pub summary: Option<String>,
    /// Whose credential it is, and where it comes from.
    #[serde(default)]
    pub auth_mode: Mode,
    /// Where the upstream's protected-resource metadata are (RFC 9728). Default: where its address says.
    pub protected_resource_metadata_url: Option<String>,
    /// The issuer of the authorization server to use, where the upstream names several.
    pub authorization_server: Option<String>,
    /// Scopes to ask for. Default: what the upstream asks for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands between scopes, for vendors that do not take a space.
    pub scope_delimiter: Option<String>,
    /// The gateway's registration at the authorization server. Default: it registers itself.
    pub client_registration: Option<ClientRegistration>,
    /// For vendors that speak OAuth, but not MCP authorization: where everything is.
    #[serde(rename = "classicOAuth")]
    pub classic_oauth: Option<ClassicOptions>,
    /// `user-key`: what each person types in.
    pub keys: Option<Vec<KeyOptions>>,
    /// `shared-key`: headers that show the credential.
    pub headers: Option<Vec<HeaderOptions>>,
    /// `token-exchange`: where, and by whom.
    pub token_exchange: Option<ExchangeOptions>,
    /// `id-jag`: where, and by whom.
    pub id_jag: Option<IdJagOptions>,
}

/// Whose credential it is, and where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each person's own, by OAuth: they connect in a browser, once.
    #[default]
    #[serde(rename = "user-oauth")]
    UserOAuth,
    /// One for all, by OAuth: an operator connects, once.
    #[serde(rename = "shared-oauth")]
    SharedOAuth,
    /// Each person's own key, which they type into a page, once.
    UserKey,
    /// One key for all, from this file.
    SharedKey,
    /// The gateway's own, by the client-credentials grant.
    ClientCredentials,
    /// Each person's own, exchanged for what they signed in with (RFC 8693).
    TokenExchange,
    /// Each person's own, by an identity assertion of their identity provider (cross-app access).
    IdJag,
}

impl Mode {
    /// As written in `routes.json`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UserOAuth => "user-oauth",
            Self::SharedOAuth => "shared-oauth",
            Self::UserKey => "user-key",
            Self::SharedKey => "shared-key",
            Self::ClientCredentials => "client-credentials",
            Self::TokenExchange => "token-exchange",
            Self::IdJag => "id-jag",
        }
    }

    /// Does each person have a credential of their own?
    pub(super) fn is_personal(self) -> bool {
        matches!(self, Self::UserOAuth | Self::UserKey | Self::TokenExchange | Self::IdJag)
    }
}

/// The gateway's registration at an authorization server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientRegistration {
    /// Does the gateway register itself, or did an operator?
    #[serde(default)]
    pub mode: RegistrationMode,
    /// `manual`: the gateway's id there.
    pub client_id: Option<String>,
    /// `auto`: where the gateway's client-id metadata document is published, if authorization servers cannot fetch it from
    /// the gateway: an https address that serves what the gateway has at `/.well-known/oauth-client/ID`.
    pub client_metadata_url: Option<String>,
    /// Its secret there; `$env(NAME)` keeps it out of the file.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// How it proves to be itself. Default: by what is given, a secret as `client_secret_basic`.
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// `private_key_jwt`: the key in PEM; `$file(PATH)` keeps it out of the file.
    #[schemars(with = "Option<String>")]
    pub private_key_pem: Option<SecretString>,
    /// `private_key_jwt`: the algorithm to sign with.
    pub algorithm: Option<Algorithm>,
    /// `private_key_jwt`: the key's id, if the server asks for one.
    pub key_id: Option<String>,
}

/// Who registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationMode {
    /// The gateway: by its client-id metadata document, else dynamically (RFC 7591).
    #[default]
    Auto,
    /// An operator did.
    Manual,
}

/// How a client proves to be itself at a token endpoint (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// It does not.
    None,
    /// Id and secret in the `Authorization` header.
    ClientSecretBasic,
    /// Id and secret in the form.
    ClientSecretPost,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
}

/// A client at a token endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientOptions {
    /// How it proves to be itself. Default: by what is given, a secret as `client_secret_basic`.
    pub method: Option<AuthMethod>,
    /// Its id.
    pub client_id: String,
    /// Its secret; `$env(NAME)` keeps it out of the file.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// `private_key_jwt`: the key in PEM.
    #[schemars(with = "Option<String>")]
    pub private_key_pem: Option<SecretString>,
    /// `private_key_jwt`: the algorithm to sign with.
    pub algorithm: Option<Algorithm>,
    /// `private_key_jwt`: the key's id, if the server asks for one.
    pub key_id: Option<String>,
}

/// Where a vendor does what that publishes no metadata.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassicOptions {
    /// Where people say yes. Not for `client-credentials`.
    pub authorize_url: Option<String>,
    /// Where codes and refresh tokens are redeemed.
    pub token_url: String,
    /// Where tokens are revoked.
    pub revocation_url: Option<String>,
    /// Further parameters of the authorization request, such as `"access_type": "offline"`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Is a PKCE challenge sent?
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Is the vendor told which resource the token is for (RFC 8707)?
    #[serde(default)]
    pub resource: bool,
}

fn yes() -> bool {
    true
}

/// What a person types in, and the header that it becomes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyOptions {
    /// Its name in the form.
    pub name: String,
    /// What the page calls it. Default: its name.
    pub label: Option<String>,
    /// Where people find it.
    pub help: Option<String>,
    /// The header.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before the value in the header. Default: `Bearer ` in `Authorization`, else nothing.
    pub prefix: Option<String>,
}

fn authorization() -> String {
    "Authorization".to_owned()
}

/// A header that shows the credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderOptions {
    /// Its name.
    pub name: String,
    /// Its value; `$env(NAME)` keeps it out of the file.
    #[schemars(with = "String")]
    pub value: SecretString,
}

/// Token exchange (RFC 8693).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExchangeOptions {
    /// The token endpoint that exchanges.
    pub token_url: String,
    /// Who asks there.
    pub client_auth: ClientOptions,
    /// What the token shall be for, where the server wants that besides the resource.
    pub audience: Option<String>,
    /// What is exchanged.
    #[serde(default)]
    pub subject_token: SubjectTokenOption,
    /// `requested_token_type`, where the server wants one.
    pub requested_token_type: Option<String>,
}

/// What a person signed in with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectTokenOption {
    /// The ID token of the identity provider.
    #[default]
    IdToken,
    /// The token of the call itself, on routes that take tokens of others (`jwt-inbound`).
    Inbound,
}

/// Cross-app access.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdJagOptions {
    /// Scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands between scopes, if it is not a space.
    pub scope_delimiter: Option<String>,
    /// Is the assertion redeemed with a `scope`? Some servers refuse one there.
    #[serde(default = "yes")]
    pub send_scope: bool,
    /// The identity provider, which gives the assertion.
    pub idp: IdpOptions,
    /// The resource's authorization server, which takes it.
    pub resource_as: ResourceAsOptions,
}

/// The identity provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdpOptions {
    /// Its token endpoint.
    pub token_url: String,
    /// Who asks there.
    pub client_auth: ClientOptions,
}

/// The resource's authorization server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceAsOptions {
    /// Its token endpoint.
    pub token_url: String,
    /// Its issuer: the assertion's audience.
    pub audience: String,
    /// Who redeems there.
    pub client_auth: ClientOptions,
}
