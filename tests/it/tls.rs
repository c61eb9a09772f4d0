//! TLS, towards clients and towards upstreams.

use serde_json::json;

use crate::harness::{
    Answer, Authority, Client, Gate, Gateway, Http2, Reply, Request, Route, Setup, Upstream, call, list_tools, pause,
    run, soon,
};

fn request() -> Request {
    Request::post("/mcp", &list_tools(1)).with("Host", "localhost")
}

/// Serves HTTPS with a certificate of this authority.
fn https(authority: &Authority, route: Route) -> Setup {
    let pair = authority.issue(&["localhost"]);
    Setup::new()
        .route("/mcp", route)
        .file("cert.pem", &pair.certificate)
        .file("key.pem", &pair.key)
        .gateway("tls", json!({ "certificate": "cert.pem", "key": "key.pem" }))
}

#[tokio::test]
async fn clients_speak_http_1_or_http_2_as_they_agree_in_the_handshake() {
    let authority = Authority::new();
    let gateway = https(&authority, Route::demo()).start().await;

    assert_eq!(authority.client(gateway.address).await.ask(&request()).await.status, 200);

    let stream = authority.connect(gateway.address, "h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut http2 = Http2::over(stream, format!("127.0.0.1:{}", gateway.address.port()).parse().unwrap()).await;
    let request = http2.post("/mcp", list_tools(1).to_string());
    assert_eq!(http2.ask(request).await.status, 200);
}

#[tokio::test]
async fn whoever_speaks_without_tls_gets_nothing_and_disturbs_nobody() {
    let authority = Authority::new();
    let gateway = https(&authority, Route::demo()).start().await;
    let mut plain = Client::to(gateway.address).await;
    plain.send(&request()).await;
    assert!(plain.reply().await.is_err());
    assert_eq!(authority.client(gateway.address).await.ask(&request()).await.status, 200);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let authority = Authority::new();
    let gateway = https(&authority, Route::demo()).listener_limit("handshakeSeconds", 1).start().await;
    let mut silent = Client::to(gateway.address).await;
    assert!(silent.is_closed().await);
}

#[tokio::test]
async fn fault_a_certificate_that_is_replaced_serves_new_connections_and_breaks_no_old_one() {
    let (old, new) = (Authority::new(), Authority::new());
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        Answer::events().write(": began\n\n").wait(&script).event(&request.says("the end"))
    })
    .await;
    let setup = https(&old, Route::to(&upstream));
    let gateway = setup.with_background().start().await;
    let mut stream = old.client(gateway.address).await.start(&request()).await;
    assert_eq!(stream.event().await.as_deref(), Some(": began"));

    let pair = new.issue(&["localhost"]);
    gateway.write_beside("key.pem", &pair.key);
    gateway.write_beside("cert.pem", &pair.certificate);
    soon("the new certificate is shown", async {
        while new.try_connect(gateway.address, "http/1.1").await.is_err() {
            pause(20).await;
        }
    })
    .await;
    assert!(old.try_connect(gateway.address, "http/1.1").await.is_err());
    gate.open();
    assert_eq!(stream.message().await.unwrap()["result"]["content"][0]["text"], "the end");
}

#[tokio::test]
async fn a_certificate_that_is_no_good_does_not_replace_one_that_is() {
    let (authority, other) = (Authority::new(), Authority::new());
    let gateway = https(&authority, Route::demo()).spawn();
    let address = gateway.address().await;
    assert_eq!(authority.client(address).await.ask(&request()).await.status, 200);

    // A certificate that does not belong to the key.
    gateway.write_beside("cert.pem", &other.issue(&["localhost"]).certificate);
    gateway.says("the certificate in force stays").await;
    assert_eq!(authority.client(address).await.ask(&request()).await.status, 200);
}

#[tokio::test]
async fn a_gateway_without_its_certificate_does_not_start() {
    let setup = Setup::new().route("/mcp", Route::demo());
    let folder = setup.gateway("tls", json!({ "certificate": "missing.pem", "key": "missing.pem" })).into_folder();
    let file = folder.path().join("routes.json");
    let output = run(&["serve", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.pem"));
}

/// A call to an upstream whose certificate is for these names.
async fn call_over_tls(authority: &Authority, names: &[&str], trusted: Option<&Authority>) -> (Reply, usize) {
    let upstream = Upstream::with_tls(authority.server(names), |request| Answer::json(&request.says("over TLS"))).await;
    let mut route = Route::to(&upstream);
    let mut setup = Setup::new();
    if let Some(trusted) = trusted {
        setup = setup.file("root.pem", &trusted.pem());
        route = route.upstream("tls", json!({ "roots": ["root.pem"] }));
    }
    let gateway: Gateway = setup.route("/mcp", route).start().await;
    (gateway.post(&call(1, "f", &json!({}))).await, upstream.count())
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_authority_that_the_route_names() {
    let authority = Authority::new();
    let (reply, calls) = call_over_tls(&authority, &["127.0.0.1"], Some(&authority)).await;
    assert_eq!((reply.said().as_str(), calls), ("over TLS", 1));
}

#[tokio::test]
async fn an_upstream_of_an_unknown_authority_is_sent_nothing() {
    let authority = Authority::new();
    for trusted in [None, Some(&Authority::new())] {
        let (reply, calls) = call_over_tls(&authority, &["127.0.0.1"], trusted).await;
        assert_eq!((reply.status, reply.reason().as_str(), calls), (502, "upstream_tls", 0));
        assert!(reply.outcome().is_null(), "nothing was sent, and the error says so");
    }
}

#[tokio::test]
async fn an_upstream_with_another_s_name_is_sent_nothing() {
    let authority = Authority::new();
    let (reply, calls) = call_over_tls(&authority, &["elsewhere.example", "127.0.0.2"], Some(&authority)).await;
    assert_eq!((reply.status, reply.reason().as_str(), calls), (502, "upstream_tls", 0));
}

#[tokio::test]
async fn what_one_route_trusts_no_other_does() {
    let authority = Authority::new();
    let upstream =
        Upstream::with_tls(authority.server(&["127.0.0.1"]), |request| Answer::json(&request.says("over TLS"))).await;
    let trusting = Route::to(&upstream).upstream("tls", json!({ "roots": ["root.pem"] }));
    let setup = Setup::new().file("root.pem", &authority.pem());
    let gateway = setup.route("/trusting", trusting).route("/mcp", Route::to(&upstream)).start().await;

    assert_eq!(gateway.ask(&Request::post("/trusting", &list_tools(1))).await.said(), "over TLS");
    let reply = gateway.ask(&Request::post("/mcp", &list_tools(1))).await;
    assert_eq!((reply.reason().as_str(), upstream.count()), ("upstream_tls", 1));
}
