//! From the first call to the connection, and who may go that way.

use super::*;

#[tokio::test]
async fn cl_18_a_person_is_asked_once_connects_and_calls_with_their_own_token_from_then_on() {
    let town = Town::new().await;
    let node = town.node().await;
    let (state, link) = connect_required(node.obtain("ada").await);
    assert_eq!(state, "authenticating");
    assert_eq!(connect_required(node.obtain("ada").await).1, link, "calls that ask again get the same link");
    let token = link.strip_prefix("https://gateway.example.com/connect/").unwrap();
    let departure = node.book.begin(token, "ada", browser("ada")).await.unwrap();
    assert!(departure.url.as_str().starts_with(&format!("{}/authorize?", town.vendor.origin)));
    let connected = node.book.complete("notes", brought(&departure.state), Some("ada"), Some(browser("ada"))).await;
    assert_eq!(connected.unwrap().display_name, "Notes");

    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-1");
    assert!(node.is_ready("ada").await, "the next call finds it at hand");
    assert_eq!(node.history("ada").await, ["none → authenticating", "authenticating → connected"]);
    assert_eq!(connect_required(node.obtain("bob").await).0, "authenticating", "nobody else is connected by that");
}

#[tokio::test]
async fn sec_a3_cl_17_a_link_in_somebody_elses_hands_is_refused_and_changes_nothing() {
    let town = Town::new().await;
    let node = town.node().await;
    let token = node.link("ada").await;
    let opened = node.book.begin(&token, "bob", browser("bob")).await;
    assert!(matches!(opened, Err(ConnectError::NotYours)), "{opened:?}");
    assert_eq!(town.vendor.script().heard, "", "the vendor was not even asked");

    let departure = node.book.begin(&token, "ada", browser("ada")).await.unwrap();
    let other = node.book.complete("notes", brought(&departure.state), Some("ada"), Some(browser("bob"))).await;
    assert!(matches!(other, Err(ConnectError::OtherBrowser)), "{other:?}");
    let departure = node.book.begin(&node.link("ada").await, "ada", browser("ada")).await.unwrap();
    let other = node.book.complete("notes", brought(&departure.state), Some("bob"), Some(browser("ada"))).await;
    assert!(matches!(other, Err(ConnectError::NotYours)), "{other:?}");
    for subject in ["ada", "bob"] {
        assert!(node.row(subject).await.is_none(), "{subject}");
    }
    assert_eq!(town.vendor.script().redemptions, 0);
}

#[tokio::test]
async fn oauth_86_links_and_states_are_good_once_and_for_ten_minutes() {
    let town = Town::new().await;
    let node = town.node().await;
    let token = node.link("ada").await;
    let departure = node.book.begin(&token, "ada", browser("ada")).await.unwrap();
    let again = node.book.begin(&token, "ada", browser("ada")).await;
    assert!(matches!(again, Err(ConnectError::Gone)), "{again:?}");
    assert!(node.book.link(&token).await.unwrap().is_none());
    let back = || node.book.complete("notes", brought(&departure.state), Some("ada"), Some(browser("ada")));
    back().await.unwrap();
    assert!(matches!(back().await, Err(ConnectError::Gone)));

    let late = node.link("bob").await;
    assert_ne!(late, token);
    let departed = node.book.begin(&late, "bob", browser("bob")).await.unwrap();
    let unused = node.link("bob").await;
    town.later(601);
    assert!(matches!(node.book.begin(&unused, "bob", browser("bob")).await, Err(ConnectError::Gone)));
    let back = node.book.complete("notes", brought(&departed.state), Some("bob"), Some(browser("bob"))).await;
    assert!(matches!(back, Err(ConnectError::Gone)), "{back:?}");
    assert_eq!(town.vendor.script().redemptions, 1);
}

#[tokio::test]
async fn sb_09_an_answer_at_another_upstreams_callback_is_not_used() {
    let town = Town::new().await;
    let node = town.node().await;
    let departure = node.book.begin(&node.link("ada").await, "ada", browser("ada")).await.unwrap();
    let back = node.book.complete("mail", brought(&departure.state), Some("ada"), Some(browser("ada"))).await;
    assert!(matches!(back, Err(ConnectError::Mixup)), "{back:?}");
    let departure = node.book.begin(&node.link("ada").await, "ada", browser("ada")).await.unwrap();
    let lied = CallbackParameters { iss: Some("https://evil.example".to_owned()), ..brought(&departure.state) };
    let back = node.book.complete("notes", lied, Some("ada"), Some(browser("ada"))).await;
    assert!(matches!(back, Err(ConnectError::Mixup)), "{back:?}");
    assert!(node.row("ada").await.is_none());
    assert_eq!(town.vendor.script().redemptions, 0);
}

#[tokio::test]
async fn cl_11_nodes_that_set_up_one_after_the_other_share_one_registration() {
    let (town, node) = Town::with_ada().await;
    let other = town.node().await;
    other.connect("bob").await.unwrap();
    node.connect("eve").await.unwrap();
    assert_eq!(town.vendor.script().registrations, 1);
}

#[tokio::test]
async fn cl_15_each_upstream_has_a_redirect_uri_and_a_document_of_its_own() {
    let town = Town::new().await;
    let document = town.node().await.book.client_document("notes").unwrap();
    assert_eq!(document["client_id"], "https://gateway.example.com/.well-known/oauth-client/notes");
    assert_eq!(document["redirect_uris"][0], "https://gateway.example.com/connect/callback/notes");
    assert_eq!(town.node().await.book.client_document("mail"), None);
}

#[tokio::test]
async fn a_vendor_that_cannot_be_set_up_is_asked_once_and_the_link_stays_good() {
    let town = Town::new().await;
    let node = town.node().await;
    town.vendor.script().trusts = Some(format!("{}/nobody", town.vendor.origin));
    let token = node.link("ada").await;
    for _ in 0..2 {
        let begun = node.book.begin(&token, "ada", browser("ada")).await;
        assert!(
            matches!(&begun, Err(ConnectError::Setup(failure)) if failure.code == "no_authorization_server_metadata")
        );
    }
    assert!(node.book.link(&token).await.unwrap().is_some());
}
