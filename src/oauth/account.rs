//! Who people are, asked again: roles and groups follow the provider, and whoever is locked out there is locked out here.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::{
    clock::Timestamp,
    sign_in::{OpenIdProvider, Provider, SignIn},
};

use super::{
    Authority,
    error::{Code, OAuthError},
    provider::{ProviderError, Renewed},
};
use crate::store::{AccountRecord, GrantRecord};

/// A provider is asked about a person at most so often, however many clients the person has.
const OFTEN: Duration = Duration::from_mins(1);
/// How long one question may keep others from asking.
const ASKING: Duration = Duration::from_secs(30);

impl Authority {
    /// Asks the provider anew who somebody is, when one of their clients refreshes. Where the provider cannot say, what
    /// is known stays; where it says that they may no longer, everything of theirs is revoked.
    pub(super) async fn refresh_identity(
        self: &Arc<Self>,
        grant: &GrantRecord,
        sign_in: &SignIn,
    ) -> Result<(), OAuthError> {
        let Provider::OpenId(provider) = &sign_in.provider else { return Ok(()) };
        let now = self.clock.now();
        let mut work = self.store.begin(&self.tenant).await?;
        let account =
            work.claim_account(&grant.provider, &grant.subject, now.minus(OFTEN), now, now.plus(ASKING)).await?;
        work.commit().await?;
        let Some(account) = account else { return self.adopt(grant).await };
        // In a task of its own: the provider may have given a new token in the place of the old one when the client hangs
        // up, and the new one must be kept.
        let (this, provider, grant) = (Arc::clone(self), provider.clone(), grant.clone());
        let asking = tokio::spawn(async move {
            this.ask_about(&provider, account).await?;
            this.adopt(&grant).await
        });
        asking.await.map_err(|_| OAuthError::new(Code::ServerError, "the gateway failed; its log says why"))?
    }

    /// Asks the provider about somebody, and keeps what it says.
    pub(super) async fn ask_about(&self, provider: &OpenIdProvider, account: AccountRecord) -> Result<(), OAuthError> {
        let Some(token) = account.refresh_token.as_deref().and_then(|token| std::str::from_utf8(token).ok()) else {
            return Ok(());
        };
        match self.ask_again(provider, token).await {
            Ok(Renewed { vouched: Some((identity, _)), .. }) if *identity.subject != *account.subject => {
                tracing::error!(subject = account.subject, "the provider now names somebody else; what is known stays");
            }
            Ok(Renewed { vouched, refresh_token }) => {
                let (identity, id_token) = vouched.unzip();
                let identity = identity.and_then(|identity| serde_json::to_vec(&identity).ok());
                let seen = account.refreshed_at;
                let account = AccountRecord {
                    identity: identity.unwrap_or(account.identity),
                    id_token: id_token.map(String::into_bytes).or(account.id_token),
                    refresh_token: refresh_token.map(String::into_bytes).or(account.refresh_token),
                    refreshed_at: self.clock.now(),
                    ..account
                };
                self.replace(&account, seen).await?;
            }
            Err(ProviderError::Refused { code, .. }) if code == "invalid_grant" => {
                self.no_longer_vouched(provider, account).await?;
            }
            Err(error) => {
                tracing::warn!(subject = account.subject, %error, "claims could not be refreshed; what is known stays");
            }
        }
        Ok(())
    }

    async fn replace(&self, account: &AccountRecord, seen: Timestamp) -> Result<bool, OAuthError> {
        let mut work = self.store.begin(&self.tenant).await?;
        let replaced = work.replace_account(account, seen).await?;
        work.commit().await?;
        Ok(replaced)
    }

    /// Gives the grant the claims that the account has.
    async fn adopt(&self, grant: &GrantRecord) -> Result<(), OAuthError> {
        let Some(account) = self.store.account(&self.tenant, &grant.provider, &grant.subject).await? else {
            return Ok(());
        };
        if account.identity == grant.identity {
            return Ok(());
        }
        let mut work = self.store.begin(&self.tenant).await?;
        work.update_grant_identity(&grant.id, &account.identity).await?;
        work.commit().await?;
        self.grants.update(&GrantRecord { identity: account.identity, ..grant.clone() });
        Ok(())
    }

    /// The provider does not take its refresh token any more. If it was one that outlives the person's session there, the
    /// person was locked out; else the session has ended, which says nothing. Either way the token is dead, and whoever
    /// signs in again is not judged by it.
    async fn no_longer_vouched(&self, provider: &OpenIdProvider, account: AccountRecord) -> Result<(), OAuthError> {
        let seen = account.refreshed_at;
        let account = AccountRecord { refresh_token: None, refreshed_at: self.clock.now(), ..account };
        let is_newest = self.replace(&account, seen).await?;
        if !is_newest || !provider.is_asked_for_offline_access() {
            return Ok(());
        }
        tracing::warn!(
            subject = account.subject,
            "the provider no longer vouches for somebody: all of theirs is revoked"
        );
        self.revoke_all_of(&account.subject, "the provider no longer vouches for them").await?;
        Err(OAuthError::new(Code::InvalidGrant, "the sign-in provider ended this person's access; sign in again"))
    }

    /// Takes back everything that somebody was given: sessions of browsers and grants of clients.
    pub(super) async fn revoke_all_of(&self, subject: &str, why: &str) -> Result<(), OAuthError> {
        let mut work = self.store.begin(&self.tenant).await?;
        work.delete_sessions_of(subject).await?;
        let grants = work.revoke_grants_of(subject, why).await?;
        work.commit().await?;
        for id in &grants {
            self.forget_grant(id);
        }
        // Those that an attempt took back whose answer was lost.
        Ok(self.listen().await?)
    }
}
