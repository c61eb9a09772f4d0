//! Two tenants with the same names for everything.

use std::fmt::Debug;

use proptest::{
    prelude::{Just, Strategy, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use super::{
    bench::{Bench, START, in_minutes},
    samples::{account, api_key, client, code, consent, digest, grant, login, refresh, session, signing_key},
};
use crate::store::{KeyState, Store, StoreError, Tenant, Work};

const HISTORIES: usize = 12;
const STEPS: usize = 60;

/// Everything that can be done to a store, to one of a few names.
#[derive(Clone, Copy, Debug)]
enum Step {
    Client,
    TouchClient,
    ForgetClients,
    Login,
    TakeLogin,
    Session,
    EndSession,
    EndSessions,
    Account,
    ClaimAccount,
    Consent,
    ForgetConsents,
    Grant,
    RenewGrant,
    ExtendGrant,
    RevokeGrant,
    RevokeGrants,
    Code,
    UseCode,
    Refresh,
    Rotate,
    Key,
    RetireKey,
    DeleteKey,
    ApiKey,
    RevokeApiKey,
    TouchApiKey,
    Assertion,
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        prop_oneof![Just(Client), Just(TouchClient), Just(ForgetClients), Just(Login), Just(TakeLogin)],
        prop_oneof![Just(Session), Just(EndSession), Just(EndSessions), Just(Account), Just(ClaimAccount)],
        prop_oneof![Just(Consent), Just(ForgetConsents), Just(Assertion), Just(Assertion), Just(Sweep)],
        prop_oneof![
            Just(Grant),
            Just(Grant),
            Just(RenewGrant),
            Just(ExtendGrant),
            Just(RevokeGrant),
            Just(RevokeGrants)
        ],
        prop_oneof![Just(Code), Just(UseCode), Just(Refresh), Just(Rotate)],
        prop_oneof![Just(Key), Just(RetireKey), Just(DeleteKey), Just(ApiKey), Just(RevokeApiKey), Just(TouchApiKey)],
    ]
}

/// Does it, and says what came of it.
async fn take(store: &Store, tenant: &Tenant, step: Step, name: &str) -> String {
    let mut work = store.begin(tenant).await.unwrap();
    let outcome = match step {
        Step::Sweep => {
            drop(work);
            return said(store.sweep(tenant, in_minutes(30)).await);
        }
        Step::Client | Step::TouchClient | Step::ForgetClients | Step::Login | Step::TakeLogin => {
            of_browsers(&mut work, step, name).await
        }
        Step::Grant | Step::RenewGrant | Step::ExtendGrant | Step::RevokeGrant | Step::RevokeGrants => {
            of_grants(&mut work, step, name).await
        }
        Step::Code | Step::UseCode | Step::Refresh | Step::Rotate => of_tokens(&mut work, step, name).await,
        Step::Key | Step::RetireKey | Step::DeleteKey | Step::ApiKey | Step::RevokeApiKey | Step::TouchApiKey => {
            of_keys(&mut work, step, name).await
        }
        _ => of_people(&mut work, step, name).await,
    };
    if outcome != FAILED {
        work.commit().await.unwrap();
    }
    outcome
}

const FAILED: &str = "failed";

/// The words of a failure differ between databases, and in names.
fn said<R: Debug>(outcome: Result<R, StoreError>) -> String {
    outcome.map_or(FAILED.to_owned(), |outcome| format!("{outcome:?}"))
}

async fn of_browsers(work: &mut Work, step: Step, name: &str) -> String {
    match step {
        Step::Client => said(work.insert_client(&client(name)).await),
        Step::TouchClient => said(work.touch_client(name, in_minutes(1)).await),
        Step::ForgetClients => said(work.delete_clients_unused_since(in_minutes(1)).await),
        Step::Login => said(work.insert_login(&login(name)).await),
        _ => said(work.take_login(&digest(name)).await.map(|login| login.map(|login| login.secret))),
    }
}

async fn of_people(work: &mut Work, step: Step, name: &str) -> String {
    let provider = "https://id.example";
    match step {
        Step::Session => said(work.insert_session(&session(name, "ada")).await),
        Step::EndSession => said(work.delete_session(&digest(name)).await),
        Step::EndSessions => said(work.delete_sessions_of("ada").await),
        Step::Account => said(work.put_account(&account(name)).await),
        Step::ClaimAccount => {
            let claim = work.claim_account(provider, name, in_minutes(1), in_minutes(1), in_minutes(2)).await;
            said(claim.map(|account| account.map(|account| account.identity)))
        }
        Step::Consent => said(work.remember_consent(&consent(name), START).await),
        Step::ForgetConsents => said(work.forget_consents_of(name).await),
        _ => said(work.remember_assertion("editor", &digest(name), in_minutes(20)).await),
    }
}

async fn of_grants(work: &mut Work, step: Step, name: &str) -> String {
    match step {
        Step::Grant => said(work.insert_grant(&grant(name, "ada")).await),
        Step::RenewGrant => said(work.update_grant_identity(name, b"{}").await),
        Step::ExtendGrant => said(work.extend_grant(name, in_minutes(90)).await),
        Step::RevokeGrant => said(work.revoke_grant(name, "asked").await),
        _ => said(work.revoke_grants_of("ada", "locked out").await.map(|mut ids| {
            ids.sort();
            ids
        })),
    }
}

async fn of_tokens(work: &mut Work, step: Step, name: &str) -> String {
    match step {
        Step::Code => said(work.insert_code(&code(name, name)).await),
        Step::UseCode => said(work.use_code(&digest(name), START).await),
        Step::Refresh => said(work.insert_refresh(&refresh(name, name)).await),
        _ => said(work.rotate_refresh(&digest(name), START).await),
    }
}

async fn of_keys(work: &mut Work, step: Step, name: &str) -> String {
    match step {
        Step::Key => said(work.insert_signing_key(&signing_key(name, KeyState::Active)).await),
        Step::RetireKey => said(work.set_signing_key_state(name, KeyState::Retired, START).await),
        Step::DeleteKey => said(work.delete_signing_key(name).await),
        Step::ApiKey => said(work.insert_api_key(&api_key(name)).await),
        Step::RevokeApiKey => said(work.revoke_api_key(name).await),
        _ => said(work.touch_api_keys(&[(name, in_minutes(1))]).await),
    }
}

/// All that a tenant can read.
async fn look(store: &Store, tenant: &Tenant) -> Vec<String> {
    let mut seen = vec![
        said(store.clients_count(tenant).await),
        said(store.clients_from(tenant, "192.0.2.7", START).await),
        said(store.grants_of(tenant, "ada").await),
        said(store.grants_revoked_since(tenant, START).await.map(|mut revoked| {
            revoked.sort();
            revoked
        })),
        said(store.signing_keys(tenant).await),
        said(store.api_keys(tenant).await),
        said(store.api_keys_changed_since(tenant, START).await),
    ];
    for name in NAMES {
        seen.push(said(store.client(tenant, name).await));
        seen.push(said(store.session(tenant, &digest(name)).await));
        seen.push(said(store.account(tenant, "https://id.example", name).await));
        seen.push(said(store.has_consent(tenant, &consent(name)).await));
        seen.push(said(store.grant(tenant, name).await));
        seen.push(said(store.refresh_token(tenant, &digest(name)).await));
        seen.push(said(store.api_key(tenant, name).await));
    }
    seen
}

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Two tenants' steps in any order come to the same as if each were alone.
pub(super) async fn sec_b1_what_one_tenant_does_changes_nothing_for_another(bench: Bench) {
    let mut runner = TestRunner::deterministic();
    let history = proptest::collection::vec((0..2_usize, step(), 0..NAMES.len()), STEPS);
    let mut outcomes = std::collections::BTreeSet::new();
    for number in 0..HISTORIES {
        let history = history.new_tree(&mut runner).unwrap().current();
        let together = [0, 1].map(|tenant| Tenant::new(format!("together {number} {tenant}")));
        let alone = [0, 1].map(|tenant| Tenant::new(format!("alone {number} {tenant}")));
        let mut mixed = [Vec::new(), Vec::new()];
        for (tenant, step, name) in &history {
            mixed[*tenant].push(take(&bench.store, &together[*tenant], *step, NAMES[*name]).await);
        }
        for tenant in [0, 1] {
            let mut by_itself = Vec::new();
            for (_, step, name) in history.iter().filter(|(whose, ..)| *whose == tenant) {
                by_itself.push(take(&bench.store, &alone[tenant], *step, NAMES[*name]).await);
            }
            assert_eq!(mixed[tenant], by_itself, "{history:?}");
            let (seen, expected) =
                (look(&bench.store, &together[tenant]).await, look(&bench.store, &alone[tenant]).await);
            assert_eq!(seen, expected, "{history:?}");
            outcomes.extend(seen);
        }
    }
    assert!(outcomes.len() > 20, "the histories were about something: {outcomes:?}");
}
