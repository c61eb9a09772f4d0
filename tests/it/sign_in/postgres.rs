//! The same gateway on PostgreSQL. These stories run where `PORTCULLIS_TEST_POSTGRES` is the URL of a server on which they
//! may make databases: `cargo test --test it sign_in::postgres -- --ignored`; `.ci/run` starts one.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use url::Url;

use super::{boot::SOME_KEY, setup};
use crate::harness::{
    Browser, Gateway, OAuthClient, Process, Reply, Request, Tokens, form, list_tools, parameters, pause, soon,
};

/// A database of its own on the server.
pub(crate) async fn database(name: &str) -> Url {
    let server = std::env::var("PORTCULLIS_TEST_POSTGRES").expect("PORTCULLIS_TEST_POSTGRES is the URL of a server");
    let mut admin = PgConnection::connect(&server).await.expect("the server of PORTCULLIS_TEST_POSTGRES answers");
    let name = format!("story_{name}_{}", std::process::id());
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    url
}

/// Stands between the gateway and the server; when it is dropped, the server is gone.
struct Wire {
    address: SocketAddr,
    task: AbortHandle,
}

impl Wire {
    async fn to(database: &Url, at: &str) -> Self {
        let listener = soon("the address is free", async {
            loop {
                match TcpListener::bind(at).await {
                    Ok(listener) => break listener,
                    Err(_) => pause(20).await,
                }
            }
        })
        .await;
        let address = listener.local_addr().unwrap();
        let server = format!("{}:{}", database.host_str().unwrap(), database.port().unwrap_or(5432));
        let carry = async move {
            let mut wires = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                wires.spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        };
        Self { address, task: tokio::spawn(carry).abort_handle() }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn call(gateway: &Gateway, token: &str) -> Reply {
    gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await
}

#[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
#[tokio::test]
async fn on_postgres_a_client_signs_in_refreshes_and_gives_back() {
    let gateway = setup()
        .gateway("encryptionKey", json!(SOME_KEY))
        .gateway("store", json!(database("flow").await.as_str()))
        .start()
        .await;
    let first = gateway.post(&list_tools(1)).await;
    assert_eq!(first.status, 401);
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::at(&gateway);
    let code = client.code(&mut browser, "/mcp", "ada").await;
    let tokens = Tokens::of(&client.redeem(&gateway, &code).await);
    assert_eq!(call(&gateway, &tokens.access).await.status, 200);
    // The browser is known, and the consent for another route is a new one.
    let page = browser.open(&client.url("/other")).await.page();
    assert!(page.text().contains("ada"), "{}", page.text());
    let consent = [("request", page.field("request")), ("decision", "deny".to_owned())];
    let consent: Vec<_> = consent.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let back = browser.submit("/oauth/consent", &consent).await.elsewhere();
    assert_eq!(parameters(&back)["error"], "access_denied");
    // Refreshed, by two at once; then given back.
    let (one, other) =
        tokio::join!(client.refresh(&gateway, &tokens.refresh), client.refresh(&gateway, &tokens.refresh));
    let (one, other) = (Tokens::of(&one), Tokens::of(&other));
    assert_eq!(one.refresh, other.refresh, "one successor for both");
    let revoke = form("/oauth/revoke", &[("token", one.refresh.as_str()), ("client_id", &client.id)]);
    assert_eq!(gateway.ask(&revoke).await.status, 200);
    assert_eq!(call(&gateway, &tokens.access).await.status, 401);
    // The code was used; whoever shows it again gets nothing.
    assert_eq!(client.redeem(&gateway, &code).await.status, 400);
}

#[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
#[tokio::test]
async fn fault_postgres_down_known_tokens_work_and_the_rest_comes_back_without_a_restart() {
    let database = database("down").await;
    let wire = Wire::to(&database, "127.0.0.1:0").await;
    let at = wire.address.to_string();
    let mut through = database.clone();
    through.set_ip_host(wire.address.ip()).unwrap();
    through.set_port(Some(wire.address.port())).unwrap();
    let gateway =
        setup().gateway("encryptionKey", json!(SOME_KEY)).gateway("store", json!(through.as_str())).start().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/mcp", "ada").await;
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "bob").await;

    drop(wire);
    assert_eq!(call(&gateway, &tokens.access).await.status, 200);
    let refused = soon("both are refused", async {
        tokio::join!(client.refresh(&gateway, &tokens.refresh), client.redeem(&gateway, &code))
    })
    .await;
    for reply in [refused.0, refused.1] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")), "{reply:?}");
    }
    assert_eq!(call(&gateway, &tokens.access).await.status, 200);

    let _wire = Wire::to(&database, &at).await;
    let refreshed = soon("the gateway comes back by itself", async {
        loop {
            let reply = client.refresh(&gateway, &tokens.refresh).await;
            if reply.status == 200 {
                break Tokens::of(&reply);
            }
            assert_eq!(reply.status, 503, "{reply:?}");
            pause(100).await;
        }
    })
    .await;
    assert_eq!(call(&gateway, &refreshed.access).await.status, 200);
    let redeemed = Tokens::of(&client.redeem(&gateway, &code).await);
    assert_eq!(call(&gateway, &redeemed.access).await.status, 200);
}

#[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
#[tokio::test]
async fn sec_a19_two_nodes_on_one_server_share_tokens_and_revocations() {
    let store = database("nodes").await;
    let node: Process = setup()
        .gateway("publicUrl", json!("http://localhost:9"))
        .gateway("encryptionKey", json!(SOME_KEY))
        .gateway("store", json!(store.as_str()))
        .spawn();
    let (one, other) = (node.place().await, node.again());
    let two = other.place().await;
    let client = OAuthClient::register(&one).await;
    let tokens = client.sign_in(&one, "/mcp", "ada").await;
    let request = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
    assert_eq!((one.ask(&request).await.status, two.ask(&request).await.status), (200, 200));
    assert!(node.command(&["grants", "revoke", "dev|ada"]).status.success());
    let revoked = tokio::time::Instant::now();
    while (one.ask(&request).await.status, two.ask(&request).await.status) != (401, 401) {
        assert!(revoked.elapsed() < Duration::from_secs(1), "still good after {:?}", revoked.elapsed());
        pause(20).await;
    }
}
