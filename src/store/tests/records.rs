//! What each kind of record promises.

use std::time::Duration;

use super::{
    bench::{Bench, START, T, in_minutes},
    samples::{account, api_key, client, code, consent, digest, grant, login, refresh, session, signing_key},
};
use crate::store::{CodeUse, KeyState, Rotation, StoreError};

pub(super) async fn oauth_56_clients_are_kept_counted_and_forgotten_when_nobody_uses_them(bench: Bench) {
    let store = &bench.store;
    bench.write(async |work| work.insert_client(&client("used")).await).await;
    bench.write(async |work| work.insert_client(&client("unused")).await).await;
    assert_eq!(store.client(&T, "used").await.unwrap(), Some(client("used")));
    assert_eq!(store.client(&T, "nobody").await.unwrap(), None);
    assert_eq!(store.clients_count(&T).await.unwrap(), 2);
    assert_eq!(store.clients_from(&T, "192.0.2.7", START).await.unwrap(), 2);
    assert_eq!(store.clients_from(&T, "192.0.2.7", in_minutes(1)).await.unwrap(), 0);
    assert_eq!(store.clients_from(&T, "192.0.2.8", START).await.unwrap(), 0);
    bench.write(async |work| work.touch_client("used", in_minutes(10)).await).await;
    bench.write(async |work| work.touch_client("nobody", in_minutes(10)).await).await;
    assert_eq!(store.client(&T, "used").await.unwrap().unwrap().last_used_at, Some(in_minutes(10)));
    let forgotten = bench.write(async |work| work.delete_clients_unused_since(in_minutes(5)).await).await;
    assert_eq!((forgotten, store.clients_count(&T).await.unwrap()), (1, 1));
    let mut work = store.begin(&T).await.unwrap();
    let twice = work.insert_client(&client("used")).await.unwrap_err();
    assert!(matches!(twice, StoreError::Corrupt(_)), "{twice}");
}

pub(super) async fn oauth_24_a_sign_in_is_taken_up_once(bench: Bench) {
    bench.write(async |work| work.insert_login(&login("state")).await).await;
    assert_eq!(bench.write(async |work| work.take_login(&digest("other")).await).await, None);
    assert_eq!(bench.write(async |work| work.take_login(&digest("state")).await).await, Some(login("state")));
    assert_eq!(bench.write(async |work| work.take_login(&digest("state")).await).await, None);
}

pub(super) async fn sessions_end_one_by_one_or_all_of_a_person(bench: Bench) {
    for (cookie, subject) in [("1", "ada"), ("2", "ada"), ("3", "ada"), ("4", "bob")] {
        bench.write(async |work| work.insert_session(&session(cookie, subject)).await).await;
    }
    assert_eq!(bench.store.session(&T, &digest("1")).await.unwrap(), Some(session("1", "ada")));
    assert!(bench.write(async |work| work.delete_session(&digest("1")).await).await);
    assert!(!bench.write(async |work| work.delete_session(&digest("1")).await).await);
    assert_eq!(bench.write(async |work| work.delete_sessions_of("ada").await).await, 2);
    assert_eq!(bench.store.session(&T, &digest("2")).await.unwrap(), None);
    assert_eq!(bench.store.session(&T, &digest("4")).await.unwrap(), Some(session("4", "bob")));
}

pub(super) async fn accounts_are_asked_about_by_one_caller_at_a_time(bench: Bench) {
    let provider = "https://id.example";
    let claim = async |before, now, until| {
        bench.write(async |work| work.claim_account(provider, "ada", before, now, until).await).await
    };
    let [now, soon, late] = [in_minutes(5), in_minutes(6), in_minutes(7)];
    assert_eq!(claim(now, now, soon).await, None, "there is none");
    bench.write(async |work| work.put_account(&account("ada")).await).await;
    assert_eq!(bench.store.account(&T, provider, "ada").await.unwrap(), Some(account("ada")));
    assert_eq!(claim(START, now, soon).await, None, "it was asked lately");
    assert_eq!(claim(now, now, soon).await, Some(account("ada")));
    assert_eq!(claim(now, now, soon).await, None, "somebody asks at present");
    assert_eq!(claim(now, soon, late).await, Some(account("ada")), "who asked has not answered in time");
    let mut renewed = account("ada");
    (renewed.identity, renewed.refresh_token, renewed.refreshed_at) = (b"{}".to_vec(), None, soon);
    bench.write(async |work| work.put_account(&renewed).await).await;
    assert_eq!(claim(late, soon, late).await, Some(renewed), "an answer ends the claim");
}

pub(super) async fn a_yes_is_to_exactly_what_was_asked(bench: Bench) {
    bench.write(async |work| work.remember_consent(&consent("ada"), START).await).await;
    bench.write(async |work| work.remember_consent(&consent("ada"), in_minutes(1)).await).await;
    let mut others = vec![consent("ada"); 7];
    others[0].provider.push('x');
    others[1].subject.push('x');
    others[2].client_id.push('x');
    others[3].redirect_uri.push('x');
    others[4].resource.push('x');
    others[5].scope.push('x');
    others[6].client_digest = digest("Editor with another name");
    assert!(bench.store.has_consent(&T, &consent("ada")).await.unwrap());
    for other in others {
        assert!(!bench.store.has_consent(&T, &other).await.unwrap(), "{other:?}");
    }
    let mut long = consent("ada");
    long.redirect_uri = format!("https://client.example/{}", "a1b2".repeat(4000));
    bench.write(async |work| work.remember_consent(&long, START).await).await;
    assert!(bench.store.has_consent(&T, &long).await.unwrap());
    assert_eq!(bench.write(async |work| work.forget_consents_of("ada").await).await, 2);
    assert!(!bench.store.has_consent(&T, &consent("ada")).await.unwrap());
}

pub(super) async fn oauth_28_a_code_is_fresh_once_and_its_second_use_is_recognised(bench: Bench) {
    bench.write(async |work| work.insert_grant(&grant("g", "ada")).await).await;
    bench.write(async |work| work.insert_code(&code("code", "g")).await).await;
    bench.write(async |work| work.insert_code(&code("slow", "g")).await).await;
    let show = async |code, now| bench.write(async |work| work.use_code(&digest(code), now).await).await;
    assert_eq!(show("other", START).await, CodeUse::Unknown);
    assert_eq!(show("code", START).await, CodeUse::Fresh(code("code", "g")));
    assert_eq!(show("code", START).await, CodeUse::Used(code("code", "g")));
    assert_eq!(show("slow", in_minutes(1)).await, CodeUse::Unknown, "too late");
    bench.store.sweep(&T, in_minutes(23 * 60)).await.unwrap();
    assert_eq!(show("code", in_minutes(23 * 60)).await, CodeUse::Used(code("code", "g")), "a late replay");
}

pub(super) async fn a_refresh_token_is_first_once(bench: Bench) {
    bench.write(async |work| work.insert_grant(&grant("g", "ada")).await).await;
    bench.write(async |work| work.insert_refresh(&refresh("token", "g")).await).await;
    let rotate = async |token, now| bench.write(async |work| work.rotate_refresh(&digest(token), now).await).await;
    let mut used = refresh("token", "g");
    assert_eq!(bench.store.refresh_token(&T, &digest("token")).await.unwrap(), Some(used.clone()));
    assert_eq!(rotate("other", START).await, Rotation::Unknown);
    used.rotated_at = Some(in_minutes(1));
    assert_eq!(rotate("token", in_minutes(1)).await, Rotation::First(used.clone()));
    assert_eq!(rotate("token", in_minutes(2)).await, Rotation::Again(used.clone()), "the time of the first use stays");
    assert_eq!(bench.store.refresh_token(&T, &digest("token")).await.unwrap(), Some(used));
}

pub(super) async fn sec_a19_a_revoked_grant_is_revoked_for_every_reader(bench: Bench) {
    let store = &bench.store;
    for (id, subject) in [("1", "ada"), ("2", "ada"), ("3", "ada"), ("4", "bob")] {
        bench.write(async |work| work.insert_grant(&grant(id, subject)).await).await;
    }
    assert_eq!(store.grant(&T, "1").await.unwrap(), Some(grant("1", "ada")));
    bench.clock.advance(Duration::from_mins(1));
    assert!(bench.write(async |work| work.revoke_grant("1", "its client gave it back").await).await);
    bench.clock.advance(Duration::from_mins(1));
    assert!(!bench.write(async |work| work.revoke_grant("1", "again").await).await);
    let mut others = bench.write(async |work| work.revoke_grants_of("ada", "locked out").await).await;
    others.sort();
    assert_eq!(others, ["2", "3"]);
    assert_eq!(store.grant(&T, "1").await.unwrap().unwrap().revoked_at, Some(in_minutes(1)), "the first time stays");
    assert_eq!(bench.write(async |work| work.grant("2").await).await.unwrap().revoked_at, Some(in_minutes(2)));
    assert_eq!(store.grants_of(&T, "bob").await.unwrap(), [grant("4", "bob")]);
    let since = async |at| {
        let mut ids: Vec<_> = store.grants_revoked_since(&T, at).await.unwrap();
        ids.sort();
        ids.into_iter().map(|(id, at)| format!("{id} {}", at.since(START).as_secs() / 60)).collect::<Vec<_>>()
    };
    assert_eq!(since(in_minutes(1)).await, ["1 1", "2 2", "3 2"]);
    assert_eq!(since(in_minutes(2)).await, ["2 2", "3 2"]);
    bench.write(async |work| work.update_grant_identity("4", b"{}").await).await;
    bench.write(async |work| work.extend_grant("4", in_minutes(90)).await).await;
    bench.write(async |work| work.extend_grant("4", in_minutes(70)).await).await;
    let four = store.grant(&T, "4").await.unwrap().unwrap();
    assert_eq!((&*four.identity, four.refreshed_at, four.expires_at), (&b"{}"[..], in_minutes(2), in_minutes(90)));
}

pub(super) async fn signing_keys_succeed_each_other(bench: Bench) {
    use KeyState::{Active, Next, Retired};
    let insert =
        async |kid, state| bench.write(async |work| work.insert_signing_key(&signing_key(kid, state)).await).await;
    assert!(insert("a", Active).await);
    assert!(!insert("b", Active).await, "one key signs");
    assert!(insert("c", Next).await);
    assert!(!insert("d", Next).await, "one key is next");
    for (kid, state) in [("a", Retired), ("c", Active)] {
        assert!(bench.write(async |work| work.set_signing_key_state(kid, state, in_minutes(1)).await).await);
        assert!(!bench.write(async |work| work.set_signing_key_state(kid, state, in_minutes(2)).await).await);
    }
    let mut expected = [signing_key("a", Retired), signing_key("c", Active)];
    for key in &mut expected {
        key.changed_at = in_minutes(1);
    }
    assert_eq!(bench.store.signing_keys(&T).await.unwrap(), expected);
    assert!(bench.write(async |work| work.delete_signing_key("a").await).await);
    assert!(!bench.write(async |work| work.delete_signing_key("a").await).await);
    assert_eq!(bench.store.signing_keys(&T).await.unwrap().len(), 1);
}

pub(super) async fn api_keys_are_revoked_once_and_their_use_is_noted(bench: Bench) {
    let store = &bench.store;
    bench.write(async |work| work.insert_api_key(&api_key("1")).await).await;
    let mut endless = api_key("2");
    (endless.routes, endless.expires_at) = (None, None);
    bench.write(async |work| work.insert_api_key(&endless).await).await;
    assert_eq!(store.api_key(&T, "2").await.unwrap(), Some(endless));
    assert_eq!(store.api_key(&T, "3").await.unwrap(), None);
    let first = store.api_keys_after(&T, None, 1).await.unwrap();
    assert_eq!((first.len(), first[0].id.as_str()), (1, "1"));
    let next = store.api_keys_after(&T, Some((first[0].created_at, "1")), 9).await.unwrap();
    assert_eq!(next.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["2"]);
    bench.clock.advance(Duration::from_mins(1));
    assert!(bench.write(async |work| work.revoke_api_key("1").await).await);
    assert!(!bench.write(async |work| work.revoke_api_key("1").await).await);
    let uses = [("1", in_minutes(3)), ("1", in_minutes(2)), ("3", in_minutes(1))];
    bench.write(async |work| work.touch_api_keys(&uses).await).await;
    let mut expected = api_key("1");
    (expected.revoked_at, expected.last_used_at) = (Some(in_minutes(1)), Some(in_minutes(3)));
    assert_eq!(store.api_keys_changed_since(&T, in_minutes(1)).await.unwrap(), [expected.clone()]);
    assert_eq!(store.api_keys_changed_since(&T, START).await.unwrap().len(), 2);
    assert_eq!(store.api_keys(&T).await.unwrap()[0], expected);
}

pub(super) async fn oauth_38_an_assertion_is_good_once(bench: Bench) {
    let show = async |issuer, jti| {
        bench.write(async |work| work.remember_assertion(issuer, &digest(jti), in_minutes(5)).await).await
    };
    assert!(show("editor", "1").await);
    assert!(!show("editor", "1").await);
    assert!(show("editor", "2").await);
    assert!(show("another", "1").await);
    bench.store.sweep(&T, in_minutes(6)).await.unwrap();
    assert!(show("editor", "1").await, "it has expired: its own expiry refuses it from now on");
}

pub(super) async fn what_has_expired_is_swept_and_what_has_not_stays(bench: Bench) {
    let insert = async |name: &str, minutes| {
        let mut grant = grant(name, "ada");
        grant.expires_at = in_minutes(minutes);
        let (mut code, mut token) = (code(name, name), refresh(name, name));
        (code.expires_at, token.expires_at) = (grant.expires_at, grant.expires_at);
        let (mut login, mut session) = (login(name), session(name, "ada"));
        (login.expires_at, session.expires_at) = (grant.expires_at, grant.expires_at);
        let all = async |work: &mut crate::store::Work| {
            work.insert_grant(&grant).await?;
            work.insert_code(&code).await?;
            work.insert_refresh(&token).await?;
            work.insert_login(&login).await?;
            work.insert_session(&session).await
        };
        bench.write(all).await;
    };
    insert("long over", 1).await;
    insert("just over", 24 * 60).await;
    insert("good", 48 * 60).await;
    bench.store.sweep(&T, in_minutes(24 * 60 + 2)).await.unwrap();
    for (name, brief, long) in [("long over", false, false), ("just over", false, true), ("good", true, true)] {
        let store = &bench.store;
        assert_eq!(store.session(&T, &digest(name)).await.unwrap().is_some(), brief, "session {name}");
        assert_eq!(store.refresh_token(&T, &digest(name)).await.unwrap().is_some(), brief, "token {name}");
        assert_eq!(store.grant(&T, name).await.unwrap().is_some(), long, "grant {name}");
        assert_eq!(bench.write(async |work| work.take_login(&digest(name)).await).await.is_some(), brief, "{name}");
        let code = bench.write(async |work| work.use_code(&digest(name), START).await).await;
        assert_eq!(code != CodeUse::Unknown, long, "code {name}");
    }
}

pub(super) async fn a_unit_of_work_that_is_not_committed_never_was(bench: Bench) {
    let mut work = bench.store.begin(&T).await.unwrap();
    work.insert_client(&client("a")).await.unwrap();
    work.insert_grant(&grant("g", "ada")).await.unwrap();
    assert!(work.grant("g").await.unwrap().is_some(), "the work itself sees it");
    assert_eq!(bench.store.client(&T, "a").await.unwrap(), None, "nobody else does");
    drop(work);
    bench.write(async |work| work.insert_client(&client("b")).await).await;
    assert_eq!(bench.store.clients_count(&T).await.unwrap(), 1);
    assert_eq!(bench.store.grant(&T, "g").await.unwrap(), None);
    let mut work = bench.store.begin(&T).await.unwrap();
    work.insert_code(&code("code", "no such grant")).await.unwrap_err();
}
