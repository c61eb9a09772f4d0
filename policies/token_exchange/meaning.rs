//! From options to what they mean, with every mistake on the way.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    check::{Check, is_field_name, is_id},
    client::{Credentials, client},
    options::{
        ClassicOptions, ClientOptions, ExchangeOptions, HeaderOptions, IdJagOptions, KeyOptions, Mode,
        RegistrationMode, SubjectTokenOption, TokenExchangeOptions,
    },
};
use crate::kit::{
    credential::{
        AuthMode, ClassicOAuth, ClientAuth, Exchange, IdJag, KeyField, OAuthUpstream, SubjectToken, UpstreamAuth,
    },
    policy::Problem,
};

/// What the options mean.
pub(super) enum Meaning {
    /// A credential that the program's connections give.
    Connection(Box<UpstreamAuth>),
    /// Always the same headers.
    Constant(Vec<(HeaderName, HeaderValue)>),
}

/// Finds every problem, not only the first.
pub(super) fn meaning(options: &TokenExchangeOptions) -> Result<Meaning, Vec<Problem>> {
    let mut check = Check::default();
    check.names(options);
    check.pieces_of_other_modes(options);
    let mode = match options.auth_mode {
        Mode::SharedKey => {
            let headers = check.headers(options.headers.as_deref());
            return check.done(|| headers.map(Meaning::Constant));
        }
        Mode::UserOAuth => Some(AuthMode::UserOAuth(check.oauth(options))),
        Mode::SharedOAuth => Some(AuthMode::SharedOAuth(check.oauth(options))),
        Mode::ClientCredentials => Some(AuthMode::ClientCredentials(check.oauth(options))),
        Mode::UserKey => check.keys(options.keys.as_deref()).map(AuthMode::UserKey),
        Mode::TokenExchange => check.exchange(options).map(AuthMode::TokenExchange),
        Mode::IdJag => check.id_jag(options.id_jag.as_ref()).map(AuthMode::IdJag),
    };
    check.done(|| {
        Some(Meaning::Connection(Box::new(UpstreamAuth {
            id: options.id.as_str().into(),
            display_name: options.display_name.clone(),
            summary: options.summary.clone(),
            mode: mode?,
        })))
    })
}

impl Check {
    fn names(&mut self, options: &TokenExchangeOptions) {
        let id = &options.id;
        if !is_id(id) {
            let why = format!("{id:?} is not an id: 1 to 63 lower-case letters, digits and hyphens, no hyphen first");
            let tame: String = id
                .to_lowercase()
                .chars()
                .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
                .collect();
            let tame: String = tame.trim_matches('-').chars().take(63).collect();
            let hint = if is_id(&tame) { format!("write {tame:?}") } else { "write it like \"linear\"".to_owned() };
            self.problem("/id", why, hint);
        }
        self.words("/displayName", &options.display_name, 80);
        if let Some(summary) = &options.summary {
            self.words("/summary", summary, 300);
        }
    }

    fn pieces_of_other_modes(&mut self, options: &TokenExchangeOptions) {
        use Mode::{ClientCredentials, IdJag, SharedKey, SharedOAuth, TokenExchange, UserKey, UserOAuth};
        const OAUTH: &[Mode] = &[UserOAuth, SharedOAuth, ClientCredentials];
        const SCOPES: &[Mode] = &[UserOAuth, SharedOAuth, ClientCredentials, TokenExchange];
        let pieces: [(&str, bool, &[Mode]); 10] = [
            ("protectedResourceMetadataUrl", options.protected_resource_metadata_url.is_some(), OAUTH),
            ("authorizationServer", options.authorization_server.is_some(), OAUTH),
            ("scopes", !options.scopes.is_empty(), SCOPES),
            ("scopeDelimiter", options.scope_delimiter.is_some(), OAUTH),
            ("clientRegistration", options.client_registration.is_some(), OAUTH),
            ("classicOAuth", options.classic_oauth.is_some(), OAUTH),
            ("keys", options.keys.is_some(), &[UserKey]),
            ("headers", options.headers.is_some(), &[SharedKey]),
            ("tokenExchange", options.token_exchange.is_some(), &[TokenExchange]),
            ("idJag", options.id_jag.is_some(), &[IdJag]),
        ];
        let mode = options.auth_mode;
        for (piece, _, modes) in pieces.into_iter().filter(|(_, given, modes)| *given && !modes.contains(&mode)) {
            let modes: Vec<_> = modes.iter().map(|mode| format!("{:?}", mode.name())).collect();
            let hint = match piece {
                "scopes" | "scopeDelimiter" if mode == IdJag => format!("write it as `idJag.{piece}`"),
                _ => format!("remove it, or say \"authMode\": {}", modes.join(" or ")),
            };
            self.problem(format!("/{piece}"), format!("`{piece}` means nothing with {:?}", mode.name()), hint);
        }
    }

    /// A piece that the mode cannot do without.
    fn demand<'a, T: ?Sized>(&mut self, piece: &str, mode: Mode, given: Option<&'a T>) -> Option<&'a T> {
        if given.is_none() {
            let why = format!("{:?} needs `{piece}`", mode.name());
            self.problem("", why, format!("add `{piece}`; the policy's page has an example"));
        }
        given
    }

    fn oauth(&mut self, options: &TokenExchangeOptions) -> OAuthUpstream {
        let metadata =
            self.optional_url("/protectedResourceMetadataUrl", options.protected_resource_metadata_url.as_ref());
        self.optional_url("/authorizationServer", options.authorization_server.as_ref());
        if options.classic_oauth.is_some() {
            for (piece, given) in [
                ("protectedResourceMetadataUrl", metadata.is_some()),
                ("authorizationServer", options.authorization_server.is_some()),
            ] {
                if given {
                    self.problem(format!("/{piece}"), "nothing is looked up where `classicOAuth` says it", "remove it");
                }
            }
        }
        let delimiter = self.delimiter("/scopeDelimiter", options.scope_delimiter.as_deref());
        let scopes = self.scopes("/scopes", &options.scopes, &delimiter);
        let client = self.registration(options);
        let client_document = self.client_document(options);
        let classic = options.classic_oauth.as_ref().and_then(|classic| self.classic(classic, options.auth_mode));
        OAuthUpstream {
            protected_resource_metadata: metadata,
            issuer: options.authorization_server.clone(),
            scopes,
            scope_delimiter: delimiter,
            client,
            client_document,
            classic,
        }
    }

    fn registration(&mut self, options: &TokenExchangeOptions) -> Option<ClientAuth> {
        let given = options.client_registration.clone().unwrap_or_default();
        let id = given.client_id.as_deref();
        match (given.mode, id) {
            (RegistrationMode::Manual, None) => {
                let hint = "copy it from the application that you registered there";
                self.problem("/clientRegistration", "`manual` needs the `clientId` of the registration", hint);
                None
            }
            (RegistrationMode::Auto, Some(_)) => {
                let why = "with `auto` the gateway registers itself, and a `clientId` has no meaning";
                self.problem("/clientRegistration/clientId", why, "say \"mode\": \"manual\"");
                None
            }
            (RegistrationMode::Auto, None) => {
                self.must_be_manual(options);
                None
            }
            (RegistrationMode::Manual, Some(client_id)) => {
                let credentials = Credentials {
                    client_id,
                    secret: given.client_secret.as_ref(),
                    method: given.token_endpoint_auth_method,
                    method_key: "tokenEndpointAuthMethod",
                    key: given.private_key_pem.as_ref(),
                    algorithm: given.algorithm,
                    key_id: given.key_id.as_ref(),
                };
                client(self, "/clientRegistration", &credentials)
            }
        }
    }

    /// A client's id is an https URL with a path (OAuth Client ID Metadata Document §3).
    fn client_document(&mut self, options: &TokenExchangeOptions) -> Option<Url> {
        const AT: &str = "/clientRegistration/clientMetadataUrl";
        let given = options.client_registration.as_ref()?;
        let url = self.optional_url(AT, given.client_metadata_url.as_ref())?;
        if given.mode == RegistrationMode::Manual {
            self.problem(AT, "a gateway that an operator registered is known by its `clientId`", "remove one of them");
        } else if url.scheme() != "https" || url.path() == "/" {
            let hint = "write the https address of the document, such as \"https://www.example.com/portcullis.json\"";
            self.problem(AT, format!("{:?} cannot be a client's id", url.as_str()), hint);
        }
        Some(url)
    }

    /// Where nobody can register by themselves.
    fn must_be_manual(&mut self, options: &TokenExchangeOptions) {
        let why = if options.auth_mode == Mode::ClientCredentials {
            "the client-credentials grant needs a registration that an operator made"
        } else if options.classic_oauth.is_some() {
            "where `classicOAuth` says everything, nobody can register by themselves"
        } else {
            return;
        };
        let hint =
            "add \"clientRegistration\": { \"mode\": \"manual\", \"clientId\": \"…\", \"clientSecret\": \"$env(…)\" }";
        self.problem("", why, hint);
    }

    fn classic(&mut self, classic: &ClassicOptions, mode: Mode) -> Option<ClassicOAuth> {
        /// The gateway's own to say.
        const RESERVED: [&str; 10] = [
            "response_type",
            "response_mode",
            "client_id",
            "redirect_uri",
            "state",
            "scope",
            "code_challenge",
            "code_challenge_method",
            "resource",
            "request_uri",
        ];
        let authorization_endpoint = self.optional_url("/classicOAuth/authorizeUrl", classic.authorize_url.as_ref());
        let token_endpoint = self.url("/classicOAuth/tokenUrl", &classic.token_url);
        let revocation_endpoint = self.optional_url("/classicOAuth/revocationUrl", classic.revocation_url.as_ref());
        match (mode, &classic.authorize_url) {
            (Mode::ClientCredentials, Some(_)) => {
                let why = "no person says yes in the client-credentials grant";
                self.problem("/classicOAuth/authorizeUrl", why, "remove it");
            }
            (Mode::UserOAuth | Mode::SharedOAuth, None) => {
                let why = format!("{:?} needs the `authorizeUrl`, where people say yes", mode.name());
                self.problem("/classicOAuth", why, "add it from the vendor's documentation");
            }
            _ => {}
        }
        for name in classic.parameters.keys().filter(|name| RESERVED.contains(&name.as_str())) {
            let why = format!("the gateway itself sends `{name}`");
            self.problem(format!("/classicOAuth/parameters/{name}"), why, "remove it");
        }
        Some(ClassicOAuth {
            authorization_endpoint,
            token_endpoint: token_endpoint?,
            revocation_endpoint,
            parameters: classic.parameters.clone(),
            pkce: classic.pkce,
            resource: classic.resource,
        })
    }

    fn exchange(&mut self, options: &TokenExchangeOptions) -> Option<Exchange> {
        let given: &ExchangeOptions =
            self.demand("tokenExchange", Mode::TokenExchange, options.token_exchange.as_ref())?;
        let scopes = self.scopes("/scopes", &options.scopes, " ");
        let token_endpoint = self.url("/tokenExchange/tokenUrl", &given.token_url);
        let client = self.client("/tokenExchange/clientAuth", &given.client_auth);
        Some(Exchange {
            token_endpoint: token_endpoint?,
            client: client?,
            audience: given.audience.clone(),
            scopes,
            subject_token: match given.subject_token {
                SubjectTokenOption::IdToken => SubjectToken::IdToken,
                SubjectTokenOption::Inbound => SubjectToken::Inbound,
            },
            requested_token_type: given.requested_token_type.clone(),
        })
    }

    fn id_jag(&mut self, given: Option<&IdJagOptions>) -> Option<IdJag> {
        let given = self.demand("idJag", Mode::IdJag, given)?;
        let scope_delimiter = self.delimiter("/idJag/scopeDelimiter", given.scope_delimiter.as_deref());
        let scopes = self.scopes("/idJag/scopes", &given.scopes, &scope_delimiter);
        let idp_token_endpoint = self.url("/idJag/idp/tokenUrl", &given.idp.token_url);
        let idp_client = self.client("/idJag/idp/clientAuth", &given.idp.client_auth);
        let resource = &given.resource_as;
        let token_endpoint = self.url("/idJag/resourceAs/tokenUrl", &resource.token_url);
        self.url("/idJag/resourceAs/audience", &resource.audience);
        let client = self.client("/idJag/resourceAs/clientAuth", &resource.client_auth);
        Some(IdJag {
            idp_token_endpoint: idp_token_endpoint?,
            idp_client: idp_client?,
            audience: resource.audience.clone(),
            token_endpoint: token_endpoint?,
            client: client?,
            scopes,
            scope_delimiter,
            send_scope: given.send_scope,
        })
    }

    fn client(&mut self, at: &str, given: &ClientOptions) -> Option<ClientAuth> {
        let credentials = Credentials {
            client_id: &given.client_id,
            secret: given.client_secret.as_ref(),
            method: given.method,
            method_key: "method",
            key: given.private_key_pem.as_ref(),
            algorithm: given.algorithm,
            key_id: given.key_id.as_ref(),
        };
        client(self, at, &credentials)
    }

    fn keys(&mut self, given: Option<&[KeyOptions]>) -> Option<Vec<KeyField>> {
        let keys = self.demand("keys", Mode::UserKey, given)?;
        self.some_but_not_too_many("/keys", keys.len());
        let mut fields: Vec<KeyField> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let at = format!("/keys/{index}");
            if !is_field_name(&key.name) {
                let why = format!("{:?} is not a name for a field of a form", key.name);
                self.problem(format!("{at}/name"), why, "write letters, digits, `_` and `-`, such as \"apiKey\"");
            }
            if fields.iter().any(|other| other.name == key.name) {
                self.problem(format!("{at}/name"), format!("{:?} is there twice", key.name), "give each its own name");
            }
            let header = self.header(&format!("{at}/header"), &key.header, fields.iter().map(|other| &other.header));
            let bearer =
                || if key.header.eq_ignore_ascii_case("authorization") { "Bearer ".to_owned() } else { String::new() };
            let prefix = key.prefix.clone().unwrap_or_else(bearer);
            if HeaderValue::from_str(&prefix).is_err() {
                self.problem(
                    format!("{at}/prefix"),
                    "no header may have this in its value",
                    "remove control characters",
                );
            }
            fields.extend(header.map(|header| KeyField {
                name: key.name.clone(),
                label: key.label.clone().unwrap_or_else(|| key.name.clone()),
                help: key.help.clone(),
                header,
                prefix,
            }));
        }
        Some(fields)
    }

    fn headers(&mut self, given: Option<&[HeaderOptions]>) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let given = self.demand("headers", Mode::SharedKey, given)?;
        self.some_but_not_too_many("/headers", given.len());
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (index, one) in given.iter().enumerate() {
            let at = format!("/headers/{index}");
            let name = self.header(&format!("{at}/name"), &one.name, headers.iter().map(|(name, _)| name));
            let value = self.header_value(&format!("{at}/value"), &one.value);
            headers.extend(name.zip(value));
        }
        Some(headers)
    }

    fn some_but_not_too_many(&mut self, at: &str, count: usize) {
        if !(1..=16).contains(&count) {
            self.problem(
                at,
                format!("{count} are not between 1 and 16"),
                "write one, or the few that the upstream wants",
            );
        }
    }
}
