//! Who signed a token, by the gateway's own verifier and the issuer's keys.

use std::sync::Arc;

use portcullis_policies::kit::{
    jwt::{JwtError, Token as Jwt},
    sign_in::OutsideIssuer,
};
use url::Url;

use super::{
    super::{check::Running, finding::Finding},
    case::Token,
    route::issuer_of,
};
use crate::{fault::Fault, fetch};

pub(super) fn verified(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        let Some(expectations) = &case.expectations else { return Vec::new() };
        let (Ok(token), Some(client)) = (Jwt::parse(&case.text), &expectations.fetch) else { return Vec::new() };
        let mut issuers = expectations.compared().filter_map(|route| Some((issuer_of(&token, route)?, route.is_own)));
        let Some((issuer, is_own)) = issuers.next() else {
            return vec![Finding::skipped("no route takes tokens of its issuer, so its keys are nobody's to ask for")];
        };
        let own_host = issuer.jwks_url.as_ref().filter(|_| is_own).and_then(Url::host);
        // The gateway's own keys: its public host may have an address inside, and the operator has named it.
        let client = match own_host {
            Some(host) => client.trusting(&host).await,
            None => client.clone(),
        };
        vec![judge(token, issuer, &client, case).await]
    })
}

async fn judge(token: Jwt<'_>, issuer: &OutsideIssuer, client: &fetch::Client, case: &Token) -> Finding {
    let name = &*issuer.rules.issuer;
    let keys = match issuer.keys(Arc::new(client.clone())).look().await {
        Ok(keys) => keys,
        Err(why) => {
            let finding = Finding::of(Fault::TokenKeysUnavailable, &format!("the keys of {name} cannot be had: {why}"));
            return Url::parse(name).map_or(finding.clone(), |at| finding.at(&at));
        }
    };
    match token.verify(&keys, &issuer.rules, case.now) {
        Err(error @ (JwtError::Signature | JwtError::UnknownKey)) => {
            Finding::of(Fault::TokenSignature, &format!("by the keys of {name}, {error}"))
        }
        Err(error @ JwtError::Algorithm) => {
            Finding::of(Fault::TokenAlgorithm, &format!("by the keys of {name}, {error}"))
        }
        // Whatever else is wrong with it, another check has told.
        Ok(_) | Err(_) => Finding::ok(&format!("it is signed with a key of {name}")),
    }
}
