//! What people see when something does not work: the error itself names the cause and the fix, in the words of the doctor, and
//! leads to the page that explains it.

use portcullis::fault::Fault;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{
    Answer, Authority, Gateway, Reply, Request, Route, Setup, Upstream, Vendor, call, list_tools, run,
};

/// What the error says of its cause, and the address of the page without its host.
fn told(reply: &Reply) -> (String, String, String) {
    let data = &reply.json()["error"]["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    let help = text("help");
    (text("cause"), text("remedy"), help[help.find("/trouble").unwrap_or_default()..].to_owned())
}

fn names(reply: &Reply, fault: Fault) {
    let expected = (fault.code().to_owned(), fault.fix().to_owned(), format!("/troubleshooting#{}", fault.code()));
    assert_eq!(told(reply), expected, "{reply:?}");
}

async fn through_a_gateway_to(url: &str) -> Reply {
    Gateway::with(Route::url(url)).await.call("f").await
}

async fn answered(answer: Answer) -> (Upstream, Reply) {
    let upstream = Upstream::new(move |_| answer.clone()).await;
    let reply = through_a_gateway_to(&upstream.url()).await;
    (upstream, reply)
}

/// What the doctor says is wrong with a server, and how that is mended.
async fn examined(url: String) -> Vec<(String, String)> {
    let output = tokio::task::spawn_blocking(move || run(&["doctor", &url, "--json"], &[])).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let faults = report["diagnosis"].as_array().unwrap().iter();
    faults.map(|fault| (text(fault, "code"), text(fault, "fix"))).collect()
}

#[tokio::test]
async fn what_an_upstream_answers_that_is_no_mcp_server_has_one_text_in_the_error_and_at_the_doctor() {
    for (answer, status, fault) in [
        (Answer::body(200, "text/html", "<h1>Welcome</h1>"), 502, Fault::AnswersHtml),
        (Answer::status(302).header("Location", "/mcp/"), 502, Fault::Redirects),
        (Answer::body(404, "text/html", "<h1>nginx</h1>"), 404, Fault::NotFound),
        (Answer::body(405, "text/html", "<h1>nginx</h1>"), 405, Fault::PostNotAllowed),
        (Answer::body(503, "text/html", "<h1>Sorry</h1>"), 503, Fault::ServerError),
        (Answer::body(503, "text/html", "<h1>Sorry</h1>").header("Via", "1.1 edge"), 503, Fault::BadGateway),
        (Answer::body(502, "text/html", "<h1>nginx</h1>").header("Server", "nginx/1.27.1"), 502, Fault::BadGateway),
        (Answer::body(504, "text/html", "<h1>nginx</h1>"), 504, Fault::GatewayTimeout),
        (Answer::body(421, "text/plain", "Misdirected Request"), 421, Fault::HostRefused),
        (Answer::body(403, "text/plain", "Invalid Host header"), 403, Fault::HostRefused),
        (Answer::body(403, "text/plain", "No."), 403, Fault::Forbidden),
    ] {
        let (upstream, reply) = answered(answer).await;
        names(&reply, fault);
        assert_eq!(reply.status, status, "{reply:?}");
        let found = examined(upstream.url()).await;
        let (code, fix) = found.first().unwrap();
        assert!(code == fault.code() && fix.ends_with(fault.fix()), "{found:?}");
    }
    let (_, reply) = answered(Answer::body(200, "text/plain", "hello")).await;
    names(&reply, Fault::NotMcp);
    let (_, reply) = answered(Answer::body(400, "text/plain", "no such tool")).await;
    assert_eq!(told(&reply).0, "", "a server may refuse one message so: {reply:?}");

    // The doctor knows besides what to change in this very product.
    let page = Answer::body(403, "text/html", "<script>window._cf_chl_opt={}</script>");
    let access = Answer::status(302).header("Location", "https://team.cloudflareaccess.com/cdn-cgi/access/login");
    for (answer, fault) in [(page, Fault::ChallengePage), (access, Fault::AccessGate)] {
        let (upstream, reply) = answered(answer).await;
        names(&reply, fault);
        assert_eq!(examined(upstream.url()).await.first().unwrap().0, fault.code());
    }
}

#[tokio::test]
async fn a_credential_of_the_gateway_that_the_upstream_refuses_is_not_told_as_the_caller_s_token() {
    for status in [401, 403] {
        let challenge = r#"Bearer error="insufficient_scope", scope="notes""#;
        let upstream = Upstream::new(move |_| Answer::status(status).header("WWW-Authenticate", challenge)).await;
        let headers = json!([{ "name": "Authorization", "value": "Bearer canary" }]);
        let key = json!({ "id": "v", "displayName": "V", "authMode": "shared-key", "headers": headers });
        let gateway = Gateway::with(Route::to(&upstream).policy("mcp-token-exchange", &key)).await;
        let reply = gateway.call("f").await;
        names(&reply, Fault::UpstreamRefuses);
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream_unauthorized"));
    }
}

#[tokio::test]
async fn where_time_ran_out_before_there_was_a_connection_no_cause_is_made_up() {
    // The system takes the connection, and nobody answers in it.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp", silent.local_addr().unwrap());
    let gateway = Gateway::with(Route::url(&url).clock("connect", 0.2).clock("tls", 0.2)).await;
    let reply = gateway.call("f").await;
    assert_eq!((reply.reason().as_str(), told(&reply).0.as_str()), ("upstream_connect_timeout", ""), "{reply:?}");
}

#[tokio::test]
async fn who_signed_the_certificate_of_an_upstream_for_whom_and_until_when_is_told_to_callers_too() {
    let authority = Authority::new();
    for (server, trusted, fault) in [
        (authority.server(&["127.0.0.1"]), false, Fault::CertificateUntrusted),
        (authority.server(&["elsewhere.example"]), true, Fault::CertificateWrongName),
        (authority.server_of(&["127.0.0.1"], 2020..2021), true, Fault::CertificateExpired),
        (authority.server_of(&["127.0.0.1"], 2090..2091), true, Fault::CertificateNotYetValid),
    ] {
        let upstream = Upstream::with_tls(server, |request| Answer::json(&request.says("never"))).await;
        let trust = if trusted { json!({ "roots": ["root.pem"] }) } else { json!({}) };
        let setup = Setup::new().file("root.pem", &authority.pem());
        let gateway = setup.route("/mcp", Route::to(&upstream).upstream("tls", trust)).start().await;
        let reply = gateway.call("f").await;
        names(&reply, fault);
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream_tls"));
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_told_from_one_that_speaks_no_tls() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    names(&through_a_gateway_to(&format!("http://{gone}/mcp")).await, Fault::ConnectionRefused);
    names(&through_a_gateway_to("http://nobody..invalid/mcp").await, Fault::NoAddress);
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket.shutdown().await.unwrap();
        crate::harness::pause(1_000).await;
    });
    let reply = through_a_gateway_to(&format!("https://{address}/mcp")).await;
    names(&reply, Fault::NotTls);
    answering.abort();
}

#[tokio::test]
async fn the_log_names_the_fault_and_the_fix() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Setup::new().route("/mcp", Route::url(&format!("http://{gone}/mcp"))).spawn();
    let reply = gateway.post(&call(1, "f", &json!({}))).await;
    names(&reply, Fault::ConnectionRefused);
    let why = gateway.says("no connection to the upstream").await;
    assert!(why.contains("connection_refused") && why.contains(Fault::ConnectionRefused.fix()), "{why}");
    let id = reply.header("x-request-id").unwrap();
    let access = gateway.says(&format!("\"request_id\":\"{id}\"")).await;
    assert!(access.contains("\"fault\":\"connection_refused\""), "{access}");
}

/// A vendor that knows the gateway, and a route that uses it in the gateway's own name.
async fn setup_fails(document: &'static str, changed: Value) -> Reply {
    let vendor = Vendor::new(std::sync::Arc::new(portcullis_policies::kit::clock::SystemClock)).await;
    vendor.knows_client("gateway", Some("canary-known-secret"));
    vendor.says(document, changed);
    let options = json!({
        "id": "vendor", "displayName": "Vendor", "authMode": "client-credentials",
        "clientRegistration": { "mode": "manual", "clientId": "gateway", "clientSecret": "canary-known-secret" },
    });
    let route = Route::url(&vendor.url()).policy("dev-login", &json!({})).policy("mcp-token-exchange", &options);
    let gateway = Setup::new().route("/mcp", route).start().await;
    let ada = crate::harness::OAuthClient::register(&gateway).await.sign_in(&gateway, "/mcp", "ada").await;
    gateway.ask(&Request::post("/mcp", &call(1, "list_notes", &json!({}))).bearer(&ada.access)).await
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_set_up_says_what_the_upstream_publishes_wrongly() {
    use crate::harness::{RESOURCE_METADATA, SERVER_METADATA};
    for (document, changed, fault) in [
        (RESOURCE_METADATA, json!({ "resource": "https://other.example/mcp" }), Fault::ResourceMismatch),
        (SERVER_METADATA, json!({ "issuer": "https://other.example" }), Fault::IssuerMismatch),
    ] {
        let reply = setup_fails(document, changed).await;
        names(&reply, fault);
        assert_eq!(reply.reason(), "upstream_setup_failed", "{reply:?}");
        assert_eq!(reply.json()["error"]["data"]["setup"], fault.code());
    }
}

#[tokio::test]
async fn each_error_leads_to_a_page_that_everybody_may_read_and_that_explains_its_code() {
    let gateway = Gateway::with(Route::demo()).await;
    let page = gateway.ask(&Request::get("/troubleshooting")).await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("public, max-age=3600")));
    assert_eq!(page.header("cross-origin-opener-policy"), None, "it would cut a popup off from its opener");
    assert!(page.text().contains("<code>portcullis doctor</code>") && !page.text().contains('`'));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
    for request in [
        Request::get("/mcp"),
        Request::post("/elsewhere", &list_tools(1)),
        Request::post("/mcp", &json!([1])),
        Request::post("/mcp", &json!({ "jsonrpc": "2.0", "id": 1, "method": "no/such" })),
        Request::post("/mcp", &list_tools(1)).with("Host", "evil.example"),
    ] {
        let reply = gateway.ask(&request).await;
        let data = reply.json()["error"]["data"].clone();
        let (help, reason) = (data["help"].as_str().unwrap(), data["reason"].as_str().unwrap());
        assert_eq!(help, format!("http://{}/troubleshooting#{reason}", gateway.address));
        assert!(page.text().contains(&format!("id=\"{reason}\"")), "{reason}");
    }
}

#[tokio::test]
async fn errors_in_the_middle_of_a_stream_lead_to_the_page_too() {
    let upstream =
        Upstream::new(|_| Answer::events().event(&json!({ "jsonrpc": "2.0", "method": "x" })).then_close()).await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.call("f").await;
    assert!(reply.text().contains("/troubleshooting#upstream_truncated"), "{}", reply.text());
}

#[tokio::test]
async fn the_page_of_troubleshooting_is_the_gateway_s_own_and_no_route_can_take_its_place() {
    let folder = Setup::new().route("/troubleshooting", Route::demo()).into_folder();
    let file = folder.path().join("routes.json");
    let output = run(&["check", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(told.contains("/troubleshooting"), "{told}");
}
