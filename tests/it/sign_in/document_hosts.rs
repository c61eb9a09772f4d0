//! From where documents of clients are fetched, and from where they are not.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use super::{
    assertions,
    documents::{both, client, page, refused},
    public, setup,
};
use crate::harness::{Browser, DocumentHost, OAuthClient, Request, Route, address};

#[tokio::test]
async fn oauth_60_oauth_61_as_05_an_id_that_is_not_the_plain_address_of_a_document_is_not_even_fetched() {
    let (host, gateway) = both().await;
    let port = host.url("").rsplit(':').next().unwrap().to_owned();
    for id in [
        "http://desk.example/c.json".to_owned(),
        format!("https://localhost:{port}"),
        format!("https://localhost:{port}/"),
        format!("https://localhost:{port}/c.json#x"),
        format!("https://user@localhost:{port}/c.json"),
        format!("https://u:p@localhost:{port}/c.json"),
        format!("https://localhost:{port}/a/../c.json"),
        format!("https://localhost:{port}/./c.json"),
        format!("https://localhost:{port}/%2e%2e/c.json"),
        format!("https://LOCALHOST:{port}/c.json"),
        format!("https://localhost:0{port}/c.json"),
        format!("https://localhost.:{port}/c.json"),
        "https://localhost:443/c.json".to_owned(),
        format!("https://2130706433:{port}/c.json"),
        format!("https://0x7f.1:{port}/c.json"),
    ] {
        let page = page(&gateway, &id).await;
        assert_eq!(page.reply.status, 400, "{id}: {}", page.text());
    }
    assert_eq!(host.count(), 0);
}

#[tokio::test]
async fn oauth_68_sb_11_the_operator_says_whose_documents_are_taken() {
    let host = DocumentHost::new().await;
    let lists = [
        json!({ "allowedHosts": ["127.0.0.1", ".localhost", "localhost.example"] }),
        json!({ "allowedHosts": [] }),
        json!({ "blockedHosts": ["localhost"] }),
        json!({ "allowedHosts": ["localhost"], "blockedHosts": ["localhost"] }),
    ];
    let id = host.publish("/desk.json", &json!({}));
    for list in lists {
        let setup = setup().gateway("oauth", json!({ "clientDocuments": list }));
        let gateway = host.trusted_by(setup).start().await;
        refused(&gateway, &id, "not on this gateway").await;
    }
    assert_eq!(host.count(), 0);
    let list = json!({ "allowedHosts": ["localhost"], "blockedHosts": ["127.0.0.1"] });
    let gateway = host.trusted_by(setup().gateway("oauth", json!({ "clientDocuments": list }))).start().await;
    assert_eq!(page(&gateway, &id).await.reply.status, 200);
}

#[tokio::test]
async fn oauth_70_where_documents_are_turned_off_none_is_fetched_and_none_is_advertised() {
    let host = DocumentHost::new().await;
    let off = || Route::demo().policy("dev-login", &json!({ "gateway": { "cimdEnabled": false } }));
    let gateway = host.trusted_by(setup()).route("/mcp", off()).route("/other", off()).start().await;
    let client = client(&gateway, &host.publish("/desk.json", &json!({})));
    let mut without_resource = client.request("/mcp");
    without_resource.retain(|(name, _)| *name != "resource");
    for url in [client.url("/mcp"), client.url("/other"), address(&without_resource)] {
        let page = Browser::at(&gateway).open(&url).await.page();
        assert!(page.reply.status == 400 && page.text().contains("unknown_client"), "{}", page.text());
    }
    assert_eq!(client.redeem(&gateway, "x").await.json()["error"], "invalid_client");
    assert_eq!(host.count(), 0);
    let metadata = gateway.ask(&Request::get("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    // On one route alone: the other does not suffer.
    let gateway = host.trusted_by(setup()).route("/other", off()).start().await;
    let client = OAuthClient::known(&gateway, &client.id, DocumentHost::REDIRECT);
    assert_eq!(Browser::at(&gateway).open(&client.url("/mcp")).await.page().reply.status, 200);
    assert_eq!(Browser::at(&gateway).open(&client.url("/other")).await.page().reply.status, 400);
}

#[tokio::test]
async fn oauth_65_sec_c1_sec_c5_documents_inside_are_not_reached() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let gateway = public().start().await;
    let hosts = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
    ];
    for host in hosts {
        let id = format!("https://{host}:{port}/c.json");
        let mut asked = client(&gateway, &id).request("/mcp");
        asked.retain(|(name, _)| *name != "resource");
        let page = Browser::at(&gateway).open(&address(&asked)).await.page();
        assert!(page.reply.status == 400 && page.text().contains("bad_client_document"), "{host}: {}", page.text());
        assert!(
            page.text().contains("not a public address") || page.text().contains("normal form"),
            "{host}: {}",
            page.text()
        );
    }
    assert_nobody_came(canary).await;
}

#[tokio::test]
async fn oauth_65_the_keys_of_a_document_inside_are_not_reached_either() {
    let canary = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let (host, gateway) = both().await;
    for (number, inside) in ["[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "0.0.0.0", "10.0.0.1"].iter().enumerate() {
        let keys = format!("https://{inside}:{port}/keys");
        let path = format!("/{number}.json");
        let id = host.publish(&path, &json!({ "jwks_uri": keys, "token_endpoint_auth_method": "private_key_jwt" }));
        let client = client(&gateway, &id);
        let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
        let jwt = assertions::good(&gateway, &client.id).sign();
        assert_eq!(assertions::redeem(&gateway, &client, &code, &jwt).await.status, 401, "{inside}");
    }
    assert_nobody_came(canary).await;
}

async fn assert_nobody_came(canary: TcpListener) {
    let came = tokio::time::timeout(Duration::from_millis(100), canary.accept()).await;
    assert!(came.is_err(), "{came:?}");
}

#[tokio::test]
async fn oauth_55_sec_c5_one_address_has_sixty_documents_fetched_in_a_minute() {
    let (host, gateway) = both().await;
    let good = host.publish("/good.json", &json!({}));
    assert_eq!(page(&gateway, &good).await.reply.status, 200);
    let mut statuses = Vec::new();
    for number in 0..62 {
        statuses.push(page(&gateway, &host.url(&format!("/{number}"))).await.reply.status);
    }
    let too_many = statuses.iter().filter(|status| **status == 429).count();
    // A few come back while we ask.
    assert!(statuses[..59].iter().all(|status| *status == 400) && too_many > 0, "{statuses:?}");
    assert_eq!(host.count(), 1 + 62 - too_many);
    assert_eq!(page(&gateway, &good).await.reply.status, 200, "what is kept is not fetched, and not counted");
}
