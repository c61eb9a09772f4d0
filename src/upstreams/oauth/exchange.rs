//! Tokens for tokens: RFC 8693, and with it the first of the two steps of cross-app access (ID-JAG).

use portcullis_policies::kit::credential::{Exchange, IdJag, SubjectToken};
use secrecy::SecretString;
use url::Url;

use super::{
    GrantError, TokenSet, UpstreamOAuth,
    answer::{self, TokenType},
    form::Form,
    places,
    token::Party,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(super) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

impl UpstreamOAuth {
    /// Exchanges what somebody signed in with for a token of the upstream at `target` (RFC 8693 §2.1).
    pub async fn exchange(
        &self,
        exchange: &Exchange,
        subject_token: &SecretString,
        target: &Url,
    ) -> Result<TokenSet, GrantError> {
        let token_type = match exchange.subject_token {
            SubjectToken::IdToken => ID_TOKEN,
            SubjectToken::Inbound => ACCESS_TOKEN,
        };
        let mut form = subject(subject_token, token_type);
        form.push_given("requested_token_type", exchange.requested_token_type.as_deref());
        form.push_given("audience", exchange.audience.as_deref());
        form.push("resource", &places::canonical(target));
        form.push_given("scope", Some(&exchange.scopes.join(" ")));
        let endpoint = &exchange.token_endpoint;
        self.tokens(&Party { endpoint, client: &exchange.client, audience: endpoint.as_str() }, form).await
    }

    /// Has the identity provider assert to the upstream's authorization server who somebody is, and redeems the
    /// assertion there (RFC 7523 §2.1).
    pub async fn id_jag(
        &self,
        id_jag: &IdJag,
        subject_token: &SecretString,
        target: &Url,
    ) -> Result<TokenSet, GrantError> {
        let assertion = self.assertion(id_jag, subject_token, target).await?;
        let mut form = Form::of(JWT_BEARER);
        form.push_secret("assertion", &assertion.access_token);
        if id_jag.send_scope {
            let asked = id_jag.scopes.join(&id_jag.scope_delimiter);
            form.push_given("scope", Some(assertion.scope.as_deref().unwrap_or(&asked)));
        }
        let endpoint = &id_jag.token_endpoint;
        self.tokens(&Party { endpoint, client: &id_jag.client, audience: &id_jag.audience }, form).await
    }

    /// The assertion, in the place of an access token, as RFC 8693 §2.2.1 puts everything there.
    async fn assertion(
        &self,
        id_jag: &IdJag,
        subject_token: &SecretString,
        target: &Url,
    ) -> Result<TokenSet, GrantError> {
        let mut form = subject(subject_token, ID_TOKEN);
        form.push("requested_token_type", ID_JAG);
        form.push("audience", &id_jag.audience);
        form.push("resource", &places::canonical(target));
        form.push_given("scope", Some(&id_jag.scopes.join(&id_jag.scope_delimiter)));
        let endpoint = &id_jag.idp_token_endpoint;
        let party = Party { endpoint, client: &id_jag.idp_client, audience: endpoint.as_str() };
        let (answer, secrets) = self.ask(&party, form).await?;
        answer::tokens(&answer, TokenType::IdJag, &secrets)
    }
}

fn subject(token: &SecretString, token_type: &str) -> Form {
    let mut form = Form::of(TOKEN_EXCHANGE);
    form.push_secret("subject_token", token);
    form.push("subject_token_type", token_type);
    form
}
