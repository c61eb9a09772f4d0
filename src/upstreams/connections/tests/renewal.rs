//! Tokens that are over, nearly over, or refused.

use tokio::task::JoinSet;

use super::*;

const CROWD: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn cl_14_five_hundred_calls_with_an_expired_token_redeem_one_refresh_token() {
    let (town, node) = Town::with_ada().await;
    let node = Arc::new(node);
    town.vendor.script().delay = Duration::from_millis(50);
    town.later(3601);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let node = Arc::clone(&node);
        crowd.spawn(async move { shown(&node.obtain("ada").await.unwrap()).to_owned() });
    }
    let shown = crowd.join_all().await;
    assert!(shown.iter().all(|shown| shown == "Bearer at-2"), "{shown:?}");
    let script = town.vendor.script();
    assert_eq!((script.refreshes, script.reused), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_of_five_hundred_calls_whose_token_is_refused_one_refreshes_and_then_all_must_connect_once_more() {
    let (town, node) = Town::with_ada().await;
    let node = Arc::new(node);
    let first = node.obtain("ada").await.unwrap();
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (node, first) = (Arc::clone(&node), first.clone());
        crowd.spawn(async move {
            let second = node.renew("ada", &refused(&first)).await.unwrap();
            assert_eq!(shown(&second), "Bearer at-2");
            connect_required(Err(node.give_up("ada", &refused(&second)).await))
        });
    }
    let told = crowd.join_all().await;
    let (state, link) = told[0].clone();
    assert_eq!(state, "reconsent_required");
    assert!(told.iter().all(|told| told.1 == link), "all of them are given one link");
    assert_eq!(town.vendor.script().refreshes, 1);
    assert!(first.is_over());
    let history = node.history("ada").await;
    assert_eq!(history[1..], ["authenticating → connected", "connected → reconsent_required"]);
    assert_eq!(connect_required(node.obtain("ada").await), (state, link));
    node.connect("ada").await.unwrap();
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-3");
}

#[tokio::test]
async fn cl_14_a_token_is_replaced_before_it_ends_while_calls_go_on_with_it() {
    let (town, node) = Town::with_ada().await;
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-1");
    town.later(3600 - 50);
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-1", "nobody waits");
    let is_new = async || shown(&node.obtain("ada").await.unwrap()) == "Bearer at-2";
    soon("the next one comes by itself", is_new).await;
    assert_eq!(town.vendor.script().refreshes, 1);
}

#[tokio::test]
async fn oauth_91_without_a_new_refresh_token_the_old_one_stays() {
    let (town, node) = Town::with_ada().await;
    town.vendor.script().rotates = false;
    for token in ["Bearer at-2", "Bearer at-3", "Bearer at-4"] {
        town.later(3601);
        assert_eq!(shown(&node.obtain("ada").await.unwrap()), token);
    }
}

#[tokio::test]
async fn a_refused_token_that_was_replaced_meanwhile_costs_no_refresh() {
    let (town, node) = Town::with_ada().await;
    let first = node.obtain("ada").await.unwrap();
    let second = node.renew("ada", &refused(&first)).await.unwrap();
    let again = node.renew("ada", &refused(&first)).await.unwrap();
    assert!(again.is(&second));
    assert_eq!(town.vendor.script().refreshes, 1);
    node.book.suspect(&refused(&second));
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-3", "what is suspected is not used again");
}

#[tokio::test]
async fn cl_08_oauth_92_a_step_up_asks_the_person_for_all_scopes_and_at_most_twice() {
    let town = Town::new().await;
    let reading = OAuthUpstream { scopes: vec!["read".into()], ..oauth_upstream() };
    town.routes.put(AuthMode::UserOAuth(reading), &town.vendor.target());
    let node = town.node().await;
    node.connect("ada").await.unwrap();
    let credential = node.obtain("ada").await.unwrap();
    let challenges = [
        r#"Bearer error="insufficient_scope", scope="write""#,
        r#"Bearer error="insufficient_scope", scope="write""#,
        r#"Bearer error="insufficient_scope", scope="admin""#,
    ];
    let mut link = String::new();
    for challenge in challenges {
        let refused = said(&credential, StatusCode::FORBIDDEN, challenge);
        let (state, url) = connect_required(node.renew("ada", &refused).await);
        assert_eq!(state, "reconsent_required");
        link = url;
    }
    let more = said(&credential, StatusCode::FORBIDDEN, r#"Bearer error="insufficient_scope", scope="root""#);
    assert_eq!(reason(node.renew("ada", &more).await), "upstream_unauthorized", "the third question is not asked");
    assert!(node.obtain("ada").await.unwrap().is(&credential), "what works goes on");

    let token = link.strip_prefix("https://gateway.example.com/connect/").unwrap();
    let departure = node.book.begin(token, "ada", browser("ada")).await.unwrap();
    let scope = departure.url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    assert_eq!(scope, "read admin", "what she said yes to, and what was asked for last");
    let changed = format!("{token}x");
    assert!(node.book.link(&changed).await.unwrap().is_none(), "nobody writes scopes into a link");
}

#[tokio::test]
async fn cl_11_oauth_88_another_authorization_server_never_sees_what_is_of_the_first() {
    let (town, node) = Town::with_ada().await;
    let first = node.obtain("ada").await.unwrap();
    let moved = Vendor::start().await;
    town.vendor.script().trusts = Some(moved.origin.clone());
    // A set-up is believed for a moment.
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(connect_required(node.renew("ada", &refused(&first)).await).0, "reconsent_required");
    assert_eq!((town.vendor.script().refreshes, moved.script().registrations), (0, 1));
    node.connect("ada").await.unwrap();
    assert_eq!(node.row("ada").await.unwrap().summary.issuer.unwrap(), moved.origin);
    assert!(!moved.script().heard.contains("rt-1") && !moved.script().heard.contains("client_id=client-0"));
}
