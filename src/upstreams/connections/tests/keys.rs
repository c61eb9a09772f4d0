//! Keys that people type in, and what is shared by all.

use http::HeaderName;
use portcullis_policies::kit::credential::{ClientAuth, ClientAuthMethod, KeyField};

use super::*;

fn user_key(prefix: &str) -> AuthMode {
    AuthMode::UserKey(vec![KeyField {
        name: "key".to_owned(),
        label: "API key".to_owned(),
        help: None,
        header: HeaderName::from_static("x-api-key"),
        prefix: prefix.to_owned(),
    }])
}

fn typed(value: &str) -> Vec<(String, SecretString)> {
    vec![("key".to_owned(), value.into())]
}

#[tokio::test]
async fn each_persons_key_is_sent_for_them_alone_and_follows_the_configuration() {
    let town = Town::new().await;
    town.routes.put(user_key("Key "), &town.vendor.target());
    let node = town.node().await;
    let token = node.link("ada").await;
    for (value, words) in [(" ", "API key is missing"), ("a\nb", "API key has characters")] {
        let refused = node.book.put_key(&token, "ada", &typed(value)).await.unwrap_err();
        assert!(refused.to_string().starts_with(words), "{refused}");
    }
    assert!(matches!(node.book.put_key(&token, "bob", &typed("k")).await, Err(ConnectError::NotYours)));
    node.book.put_key(&token, "ada", &typed("k-ada ")).await.unwrap();
    assert!(matches!(node.book.put_key(&token, "ada", &typed("k")).await, Err(ConnectError::Gone)));
    let credential = node.obtain("ada").await.unwrap();
    assert_eq!((credential.headers()[0].0.as_str(), shown(&credential)), ("x-api-key", "Key k-ada"));
    assert_eq!(connect_required(node.obtain("bob").await).0, "authenticating");

    town.routes.put(user_key("Token "), &town.vendor.target());
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Token k-ada");
    let newest = node.obtain("ada").await.unwrap();
    assert_eq!(connect_required(node.renew("ada", &refused(&newest)).await).0, "reconsent_required");
}

#[tokio::test]
async fn where_all_share_a_connection_the_operator_makes_it() {
    let town = Town::new().await;
    town.routes.put(AuthMode::SharedOAuth(oauth_upstream()), &town.vendor.target());
    let node = town.node().await;
    assert_eq!(reason(node.obtain("ada").await), "operator_must_connect");
    assert!(node.book.link_for("ada", ROUTE).await.is_err(), "no person gets a link to it");
    let departure = node.book.begin(&node.link("").await, "whoever", browser("op")).await.unwrap();
    node.book.complete("notes", brought(&departure.state), None, Some(browser("op"))).await.unwrap();
    let one = node.obtain("ada").await.unwrap();
    assert!(node.obtain("bob").await.unwrap().is(&one));
}

#[tokio::test]
async fn the_gateways_own_token_is_fetched_once_for_all_and_again_when_it_is_over() {
    let town = Town::new().await;
    let client = ClientAuth { client_id: "gateway".to_owned(), method: ClientAuthMethod::Basic("secret".into()) };
    let upstream = OAuthUpstream { client: Some(client), ..oauth_upstream() };
    town.routes.put(AuthMode::ClientCredentials(upstream), &town.vendor.target());
    let node = town.node().await;
    let first = node.obtain("ada").await.unwrap();
    assert_eq!(shown(&first), "Bearer at-1");
    assert!(node.obtain("bob").await.unwrap().is(&first));
    let second = node.renew("bob", &refused(&first)).await.unwrap();
    assert_eq!((shown(&second), first.is_over()), ("Bearer at-2", true));
    town.later(3601);
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-3");
    assert_eq!(
        reason(Err(node.give_up("ada", &refused(&node.obtain("ada").await.unwrap())).await)),
        "upstream_unauthorized"
    );
    let other = town.node().await;
    assert_eq!(other.obtain("ada").await.unwrap().connection(), first.connection(), "sessions go on at other nodes");
}
