//! The identity providers, asked by the code that signs people in.

use portcullis_policies::kit::sign_in::OpenIdProvider;
use url::Url;

use super::{
    super::{check::Running, finding::Finding},
    case::Deployment,
};
use crate::{
    fault::Fault,
    oauth::{ProviderError, ProviderFlaw, Providers},
};

pub(super) fn usable(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let all = case.identity_providers();
        if all.is_empty() {
            return vec![Finding::skipped("no policy signs people in at an identity provider")];
        }
        let known = Providers::new(case.client.clone(), case.clock());
        let mut findings = Vec::new();
        for provider in &all {
            let issuer = &provider.issuer;
            findings.push(match known.look(provider).await {
                Ok(page) => Finding::ok(&format!("{issuer}: signs in at {}, its keys can be used", page.path())),
                Err(flaw) => finding(provider, flaw),
            });
        }
        findings
    })
}

fn finding(provider: &OpenIdProvider, flaw: ProviderFlaw) -> Finding {
    let document = || {
        let issuer = provider.issuer.trim_end_matches('/');
        Url::parse(&format!("{issuer}/.well-known/openid-configuration")).ok()
    };
    let (fault, why, at) = match flaw {
        ProviderFlaw::Keys(at, why) => (Fault::ProviderKeys, why, Some(at)),
        ProviderFlaw::Discovery(error) => {
            let fault = match error {
                ProviderError::Unreachable(_) => Fault::ProviderUnreachable,
                ProviderError::Unbelievable(_) => Fault::ProviderIssuer,
                ProviderError::Nonsense(_) | ProviderError::Refused { .. } => Fault::ProviderUnreadable,
            };
            (fault, error.to_string(), document())
        }
    };
    let finding = Finding::of(fault, &format!("{}: {why}", provider.issuer));
    match at {
        Some(at) => finding.at(&at),
        None => finding,
    }
}
