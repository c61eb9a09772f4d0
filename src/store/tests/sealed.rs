//! What somebody gets who has the database and not the key, or the wrong one.

use super::{
    bench::{Bench, START, T, hex, in_minutes, master, write},
    samples::{
        account, api_key, approval, audit_key, client, code, connect_flow, connect_link, connection, consent, digest,
        grant, login, refresh, session, signing_key, upstream_client,
    },
};
use crate::store::{KeyState, MasterKey, OpenError, Sealer, StoreError, Tenant, Unsealable, sql::values};

pub(super) const OTHER_KEY: &str = "7c19e5d0b3428fa6641d9be07f35c2a8d1604be93f7a5c2816de40b97fa3c581";

pub(super) async fn oauth_31_no_secret_stands_in_the_tables(bench: Bench) {
    bench.write(async |work| work.insert_client(&client("a client that is no secret")).await).await;
    bench.write(async |work| work.insert_login(&login("state-c0de")).await).await;
    bench.write(async |work| work.insert_session(&session("cookie-c0de", "ada")).await).await;
    bench.write(async |work| work.put_account(&account("ada")).await).await;
    bench.write(async |work| work.remember_consent(&consent("ada"), START).await).await;
    bench.write(async |work| work.insert_grant(&grant("g", "ada")).await).await;
    bench.write(async |work| work.insert_code(&code("code-c0de", "g")).await).await;
    bench.write(async |work| work.insert_refresh(&refresh("token-c0de", "g")).await).await;
    bench.write(async |work| work.insert_signing_key(&signing_key("kid", KeyState::Active)).await).await;
    bench.write(async |work| work.insert_api_key(&api_key("id")).await).await;
    bench.write(async |work| work.put_connection(&connection("ada", "upstream-token-c0de")).await).await;
    bench.write(async |work| work.insert_connect_link(&connect_link("link-c0de", "ada")).await).await;
    bench.write(async |work| work.insert_connect_flow(&connect_flow("flow-c0de")).await).await;
    bench.write(async |work| work.insert_audit_key(&audit_key("audit")).await).await;
    bench.write(async |work| work.put_upstream_client(&upstream_client("https://a.example", "c"), None).await).await;
    bench.write(async |work| work.insert_approval(&approval("call-c0de", "ada")).await).await;
    let found = bench.everything().await;
    assert!(found.contains("a client that is no secret"), "what is no secret is found, so we look at the right place");
    assert!(found.contains(&hex(digest("token-c0de").as_bytes())), "bytes are found too");
    let secrets = [
        "state-c0de",
        "verifier of",
        "cookie-c0de",
        "ada in",
        "given by the provider",
        "signed by the provider",
        "groups",
        "ada@example.com",
        "code-c0de",
        "token-c0de",
        "private part of",
        "private half of",
        "the key",
        "upstream-token-c0de",
        "link-c0de",
        "flow-c0de",
        "upstream verifier of",
        "client secret of",
        "arguments of",
    ];
    for secret in secrets {
        assert!(!found.contains(secret) && !found.contains(&hex(secret.as_bytes())), "{secret}");
    }
}

pub(super) async fn oauth_96_sealed_values_do_not_open_in_another_row(bench: Bench) {
    const SWAP: &str = "UPDATE logins SET sealed_secret = (SELECT sealed_secret FROM logins WHERE tenant = $1 \
                        AND state_digest = $3) WHERE tenant = $1 AND state_digest = $2";
    let (mine, theirs) = (digest("mine"), digest("theirs"));
    bench.write(async |work| work.insert_login(&login("mine")).await).await;
    bench.write(async |work| work.insert_login(&login("theirs")).await).await;
    assert_eq!(bench.sql(SWAP, values![mine, theirs]).await, 1);
    let mut work = bench.store.begin(&T).await.unwrap();
    let refused = work.take_login(&mine).await.unwrap_err();
    let why = Unsealable::Forged;
    assert!(matches!(refused, StoreError::Unsealable { why: found, .. } if found == why), "{refused}");
    drop(work);
    // Nor in another tenant.
    let other = Tenant::new("other");
    write(&bench.store, &other, async |work| work.insert_login(&login("theirs")).await).await;
    bench
        .raw(
            "UPDATE logins SET sealed_secret = (SELECT l.sealed_secret FROM logins l WHERE l.tenant = 'default' \
               AND l.state_digest = logins.state_digest) WHERE tenant = 'other'"
                .to_owned(),
        )
        .await;
    let mut work = bench.store.begin(&other).await.unwrap();
    work.take_login(&theirs).await.unwrap_err();
    drop(work);
    assert_eq!(bench.write(async |work| work.take_login(&theirs).await).await, Some(login("theirs")));
}

pub(super) async fn fault_another_master_key_is_refused(bench: Bench) {
    let refused = bench.open(MasterKey::parse(OTHER_KEY).unwrap()).await.unwrap_err();
    assert!(matches!(refused, OpenError::WrongKey), "{refused}");
    assert!(refused.to_string().contains("another master key"), "{refused}");
    bench.open(master()).await.unwrap();
}

pub(super) async fn fault_an_earlier_master_key_opens_what_it_sealed(bench: Bench) {
    bench.write(async |work| work.insert_session(&session("old", "ada")).await).await;
    let both =
        MasterKey::parse(&format!("{OTHER_KEY}, b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e"));
    let rotated = bench.open(both.unwrap()).await.unwrap();
    assert_eq!(rotated.session(&T, &digest("old")).await.unwrap(), Some(session("old", "ada")));
    write(&rotated, &T, async |work| work.insert_session(&session("new", "ada")).await).await;
    let refused = bench.open(master()).await.unwrap_err();
    assert!(matches!(refused, OpenError::WrongKey), "the earlier key seals nothing any more: {refused}");
    let alone = bench.open(MasterKey::parse(OTHER_KEY).unwrap()).await.unwrap();
    assert_eq!(alone.session(&T, &digest("new")).await.unwrap(), Some(session("new", "ada")));
    let unsealable = alone.session(&T, &digest("old")).await.unwrap_err();
    assert!(unsealable.to_string().contains("give that key too"), "{unsealable}");
}

pub(super) async fn fault_a_newer_schema_serves_an_older_gateway(bench: Bench) {
    let (truth, sum) = if bench.url.is_some() { ("true", "'\\x00'") } else { ("1", "x'00'") };
    bench.raw("ALTER TABLE clients ADD COLUMN of_a_later_version TEXT".to_owned()).await;
    let applied = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)";
    bench.raw(format!("{applied} VALUES (9999, 'later', {truth}, {sum}, 0)")).await;
    let older = bench.node().await;
    write(&older, &T, async |work| work.insert_client(&client("a")).await).await;
    assert_eq!(older.client(&T, "a").await.unwrap(), Some(client("a")));
}

#[test]
fn a_sealed_value_opens_only_whole_and_where_it_belongs() {
    let sealer = Sealer::new(&master());
    let sealed = sealer.seal("consent", "browser", b"yes");
    assert_eq!(**sealer.open("consent", "browser", &sealed).as_ref().unwrap(), *b"yes");
    assert_ne!(sealed, sealer.seal("consent", "browser", b"yes"), "nobody sees that two are the same");
    for (purpose, context) in [("consen", "tbrowser"), ("consentb", "rowser"), ("consent", ""), ("", "consentbrowser")]
    {
        assert_eq!(sealer.open(purpose, context, &sealed).unwrap_err(), Unsealable::Forged, "{purpose} {context}");
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        sealer.open("consent", "browser", &changed).unwrap_err();
        sealer.open("consent", "browser", &sealed[..at]).unwrap_err();
    }
    let other = Sealer::new(&MasterKey::parse(OTHER_KEY).unwrap());
    assert_eq!(other.open("consent", "browser", &sealed).unwrap_err(), Unsealable::UnknownKey);
}

#[test]
fn what_is_derived_depends_on_key_label_and_input() {
    let sealer = Sealer::new(&master());
    let derived = sealer.prf("refresh token", b"a");
    assert_eq!(derived, Sealer::new(&master()).prf("refresh token", b"a"));
    let other = Sealer::new(&MasterKey::parse(OTHER_KEY).unwrap());
    let others = [sealer.prf("refresh token", b"b"), sealer.prf("cookie", b"a"), other.prf("refresh token", b"a")];
    assert!(others.iter().all(|other| *other != derived));
}

#[test]
fn records_with_secrets_print_none() {
    let (mut login, mut account, mut key) = (login("s"), account("ada"), signing_key("kid", KeyState::Next));
    (login.expires_at, login.secret) = (in_minutes(1), vec![201; 4]);
    (account.identity, account.refresh_token) = (vec![201; 4], Some(vec![201; 4]));
    key.private = vec![201; 4];
    let (mut connection, mut flow, mut client) =
        (connection("ada", "s"), connect_flow("s"), upstream_client("https://a.example", "a client"));
    (connection.secrets, flow.secret) = (Some(vec![201; 4].into()), vec![201; 4]);
    client.secrets = vec![201; 4].into();
    let printed = format!("{login:?} {account:?} {key:?} {:?} {:?}", master(), Sealer::new(&master()));
    let printed = format!("{printed} {connection:?} {flow:?} {client:?}");
    assert!(["ada", "kid", "linear", "a client"].iter().all(|shown| printed.contains(shown)), "{printed}");
    assert!(!printed.contains("201") && !printed.contains("[c9") && !printed.contains("c9c9"), "{printed}");
}
