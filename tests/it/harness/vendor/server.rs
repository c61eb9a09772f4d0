//! The vendor's authorization server.

use std::{collections::HashMap, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    super::{Answer, Received},
    AUTHORIZE, Access, Connection, REGISTER, REVOKE, Refresh, SERVER_METADATA, State, VENDOR_TOKEN,
};

type Form = HashMap<String, String>;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

impl State {
    pub(super) fn server(&mut self, request: &Received) -> Answer {
        let form: Form = url::form_urlencoded::parse(&request.body).into_owned().collect();
        match request.path() {
            SERVER_METADATA => self.document(SERVER_METADATA, self.server_metadata()),
            REGISTER => self.register(&request.message()),
            VENDOR_TOKEN => self.token(request, &form).unwrap_or_else(refused),
            REVOKE => self.revoke(request, &form).unwrap_or_else(refused),
            _ => Answer::status(404),
        }
    }

    fn server_metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}{AUTHORIZE}"),
            "token_endpoint": format!("{issuer}{VENDOR_TOKEN}"),
            "registration_endpoint": format!("{issuer}{REGISTER}"),
            "revocation_endpoint": format!("{issuer}{REVOKE}"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", EXCHANGE, ASSERTION],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.lets_documents_in,
        })
    }

    fn register(&mut self, metadata: &Value) -> Answer {
        let id = format!("registered-{}", self.number());
        let secret = (metadata["token_endpoint_auth_method"] != "none").then(|| self.mint("secret"));
        self.clients.insert(id.clone(), secret.clone());
        self.counts.registrations += 1;
        let mut told = metadata.clone();
        told["client_id"] = id.into();
        if let Some(secret) = secret {
            told["client_secret"] = secret.into();
            told["client_secret_expires_at"] = 0.into();
        }
        Answer::body(201, "application/json", told.to_string())
    }

    pub(super) fn is_client(&self, id: &str) -> bool {
        self.clients.contains_key(id) || (self.lets_documents_in && id.starts_with("https://"))
    }

    /// Who asks at the token endpoint.
    fn client(&mut self, request: &Received, form: &Form) -> Result<String, &'static str> {
        let basic = request.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let shown = basic.and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
        let shown = shown.as_deref().and_then(|shown| shown.split_once(':'));
        let (id, secret) = match shown {
            Some((id, secret)) => (decoded(id), Some(decoded(secret))),
            None => (form.get("client_id").cloned().ok_or("invalid_client")?, form.get("client_secret").cloned()),
        };
        let asserted = form.contains_key("client_assertion");
        match self.clients.get(&id) {
            Some(expected) if *expected == secret || asserted => Ok(id),
            None if self.is_client(&id) && secret.is_none() => Ok(id),
            _ => Err("invalid_client"),
        }
    }

    fn token(&mut self, request: &Received, form: &Form) -> Result<Answer, &'static str> {
        let client = self.client(request, form)?;
        let shown = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match shown("grant_type") {
            "authorization_code" => self.redeem(&client, form),
            "refresh_token" => self.refresh(&client, shown("refresh_token"), form.get("scope")),
            "client_credentials" => Ok(self.direct(&client, &client, shown("scope"))),
            EXCHANGE if shown("requested_token_type") == ID_JAG => Ok(assertion(shown("subject_token"))),
            EXCHANGE => Ok(self.direct(&subject(shown("subject_token")), &client, shown("scope"))),
            ASSERTION => Ok(self.direct(&subject(shown("assertion")), &client, shown("scope"))),
            _ => Err("unsupported_grant_type"),
        }
    }

    fn redeem(&mut self, client: &str, form: &Form) -> Result<Answer, &'static str> {
        let code = self.codes.get(form.get("code").ok_or("invalid_request")?).ok_or("invalid_grant")?;
        if let Some(connection) = code.connection {
            self.counts.reuses += 1;
            self.connections.remove(&connection);
            return Err("invalid_grant");
        }
        let verifier = form.get("code_verifier");
        let shown = verifier.map(|verifier| URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
        if code.client != client || Some(&code.redirect) != form.get("redirect_uri") || code.challenge != shown {
            return Err("invalid_grant");
        }
        let (person, scope) = (code.person.clone(), code.scope.clone());
        self.minted.extend(verifier.cloned());
        let connection = self.begin(&person, client, &scope);
        self.codes.get_mut(&form["code"]).unwrap().connection = Some(connection);
        self.counts.codes += 1;
        Ok(self.tokens(connection, true))
    }

    fn refresh(&mut self, client: &str, token: &str, scope: Option<&String>) -> Result<Answer, &'static str> {
        let known = self.refresh.get_mut(token).ok_or("invalid_grant")?;
        let connection = known.connection;
        if known.spent {
            self.counts.reuses += 1;
            self.connections.remove(&connection);
            return Err("invalid_grant");
        }
        let entry = self.connections.get(&connection).filter(|entry| entry.client == client).ok_or("invalid_grant")?;
        let granted = |name: &str| entry.scope.split(' ').any(|granted| granted == name);
        if scope.is_some_and(|scope| !scope.split(' ').all(granted)) {
            return Err("invalid_scope");
        }
        known.spent = self.rotates;
        self.counts.refreshes += 1;
        Ok(self.tokens(connection, self.rotates))
    }

    fn revoke(&mut self, request: &Received, form: &Form) -> Result<Answer, &'static str> {
        self.client(request, form)?;
        let token = form.get("token").ok_or("invalid_request")?;
        let access = self.access.get(token).map(|access| access.connection);
        let connection = access.or(self.refresh.get(token).map(|refresh| refresh.connection));
        if connection.is_some_and(|connection| self.connections.remove(&connection).is_some()) {
            self.counts.revocations += 1;
        }
        Ok(Answer::status(200))
    }

    /// A token that no browser was needed for.
    fn direct(&mut self, person: &str, client: &str, scope: &str) -> Answer {
        self.counts.direct += 1;
        let connection = self.begin(person, client, scope);
        self.tokens(connection, false)
    }

    fn begin(&mut self, person: &str, client: &str, scope: &str) -> usize {
        let number = self.number();
        let (person, client, scope) = (person.to_owned(), client.to_owned(), scope.to_owned());
        self.connections.insert(number, Connection { person, client, scope });
        number
    }

    fn tokens(&mut self, connection: usize, with_refresh: bool) -> Answer {
        let life = Duration::from_secs(self.token_seconds.unsigned_abs());
        let expires_at = self.clock.now().plus(life);
        let access = self.mint("access");
        self.access.insert(access.clone(), Access { connection, expires_at });
        let mut told = json!({ "access_token": access, "token_type": "Bearer", "expires_in": self.token_seconds });
        let scope = &self.connections[&connection].scope;
        if !scope.is_empty() {
            told["scope"] = scope.as_str().into();
        }
        if with_refresh {
            let refresh = self.mint("refresh");
            self.refresh.insert(refresh.clone(), Refresh { connection, spent: false });
            told["refresh_token"] = refresh.into();
        }
        Answer::json(&told).header("Cache-Control", "no-store")
    }
}

fn refused(code: &'static str) -> Answer {
    let status = if code == "invalid_client" { 401 } else { 400 };
    Answer::body(status, "application/json", json!({ "error": code }).to_string())
}

/// An identity assertion, as an identity provider gives it: good for nothing but being redeemed here.
fn assertion(subject_token: &str) -> Answer {
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": subject(subject_token) }).to_string());
    let token = format!("e30.{claims}.canary-assertion");
    Answer::json(&json!({ "access_token": token, "issued_token_type": ID_JAG, "token_type": "N_A", "expires_in": 300 }))
}

/// Whose a token is: the `sub` of a JWT, which is not checked here, or the token itself.
fn subject(token: &str) -> String {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.and_then(|claims| claims["sub"].as_str().map(ToOwned::to_owned)).unwrap_or_else(|| token.to_owned())
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().unwrap().into_owned()
}
