//! Two tenants with the same names for everything.

use std::fmt::Debug;

use portcullis_policies::kit::pins::Standing;
use proptest::{
    prelude::{Just, Strategy, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use super::{
    bench::{Bench, START, in_minutes},
    connections::secrets,
    samples::{
        REDIRECT, account, api_key, client, code, connect_flow, connect_link, connection, connection_event,
        connection_key, consent, definition, digest, grant, login, refresh, session, signing_key, upstream_client,
    },
};
use crate::store::{ConnectionRecord, ConnectionState, KeyState, Store, StoreError, Tenant, Work};

const HISTORIES: usize = 12;
const STEPS: usize = 90;

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
    Connect,
    ClaimConnection,
    RefreshConnection,
    Reconsent,
    Disconnect,
    Event,
    Link,
    UseLink,
    Flow,
    TakeFlow,
    UpstreamClient,
    ForgetUpstreamClient,
    BeginPins,
    PinFirst,
    SeePin,
    ApprovePin,
    ForgetPin,
    ForgetPins,
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
        prop_oneof![
            Just(Connect),
            Just(Connect),
            Just(ClaimConnection),
            Just(RefreshConnection),
            Just(Reconsent),
            Just(Disconnect)
        ],
        prop_oneof![Just(Event), Just(Link), Just(UseLink), Just(Flow), Just(TakeFlow)],
        prop_oneof![Just(UpstreamClient), Just(ForgetUpstreamClient)],
        prop_oneof![Just(BeginPins), Just(PinFirst), Just(SeePin), Just(ApprovePin), Just(ForgetPin), Just(ForgetPins)],
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
        Step::Connect | Step::ClaimConnection | Step::RefreshConnection | Step::Reconsent | Step::Disconnect => {
            of_connections(&mut work, step, name).await
        }
        Step::Event | Step::Link | Step::UseLink | Step::Flow | Step::TakeFlow => {
            of_connecting(&mut work, step, name).await
        }
        Step::UpstreamClient | Step::ForgetUpstreamClient => of_registrations(&mut work, step, name).await,
        Step::BeginPins | Step::PinFirst | Step::SeePin | Step::ApprovePin | Step::ForgetPin | Step::ForgetPins => {
            of_pins(&mut work, step, name).await
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

async fn of_connections(work: &mut Work, step: Step, name: &str) -> String {
    let key = connection_key("linear", name);
    let told = |found: Option<ConnectionRecord>| found.map(|found| (format!("{found:?}"), secrets(&found)));
    match step {
        Step::Connect => said(work.put_connection(&connection(name, name)).await),
        Step::ClaimConnection => {
            let claim = work.claim_connection(&key, 1, in_minutes(1), in_minutes(2)).await;
            said(claim.map(|claim| claim.map(|claim| (claim.fence, claim.unfinished, told(Some(claim.record))))))
        }
        Step::RefreshConnection => said(work.finish_refresh(&connection(name, name), 1).await),
        Step::Reconsent => said(work.mark_connection(&key, 1, ConnectionState::ReconsentRequired, "revoked").await),
        _ => said(work.delete_connection(&key).await.map(told)),
    }
}

async fn of_connecting(work: &mut Work, step: Step, name: &str) -> String {
    match step {
        Step::Event => said(work.insert_connection_event(&connection_event(name, 1)).await),
        Step::Link => said(work.insert_connect_link(&connect_link(name, "ada")).await),
        Step::UseLink => said(work.use_connect_link(&digest(name), START).await),
        Step::Flow => said(work.insert_connect_flow(&connect_flow(name)).await),
        _ => said(work.take_connect_flow(&digest(name)).await.map(|flow| flow.map(|flow| flow.secret))),
    }
}

async fn of_registrations(work: &mut Work, step: Step, name: &str) -> String {
    let issuer = "https://a.example";
    match step {
        Step::UpstreamClient => said(work.put_upstream_client(&upstream_client(issuer, name), Some("one")).await),
        _ => said(work.delete_upstream_client(issuer, REDIRECT, name).await),
    }
}

async fn of_pins(work: &mut Work, step: Step, name: &str) -> String {
    let (first, other) = (definition(name, "first"), definition(name, "other"));
    match step {
        Step::BeginPins => said(work.begin_pins("up").await),
        Step::PinFirst => said(work.pin_first("up", &first).await),
        Step::SeePin => said(work.put_waiting("up", &other, Standing::Held).await),
        Step::ApprovePin => said(work.approve_pin("up", name, other.digest, "ada").await),
        Step::ForgetPin => said(work.forget_pin("up", name).await),
        _ => said(work.forget_pins("up").await),
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
        said(store.connections(tenant, None, 10).await),
        said(store.changed_connections(tenant, START).await.map(|mut changes| {
            changes.sort_by(|one, other| one.key.cmp(&other.key));
            changes
        })),
        said(store.connection_events(tenant, None, 100).await),
        said(store.pinned(tenant, "up").await),
        said(store.pins_of(tenant, "up").await),
        said(store.pinned_upstreams(tenant).await),
        said(store.changed_pins(tenant, START).await),
        said(store.upstream_client(tenant, "https://a.example", REDIRECT).await),
    ];
    for name in NAMES {
        seen.push(said(store.client(tenant, name).await));
        seen.push(said(store.session(tenant, &digest(name)).await));
        seen.push(said(store.account(tenant, "https://id.example", name).await));
        seen.push(said(store.has_consent(tenant, &consent(name)).await));
        seen.push(said(store.grant(tenant, name).await));
        seen.push(said(store.refresh_token(tenant, &digest(name)).await));
        seen.push(said(store.api_key(tenant, name).await));
        seen.push(said(store.connections_of(tenant, name).await));
        seen.push(said(
            store
                .connection(tenant, &connection_key("linear", name))
                .await
                .map(|found| found.map(|found| (format!("{found:?}"), secrets(&found)))),
        ));
        seen.push(said(store.connect_link(tenant, &digest(name)).await));
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
