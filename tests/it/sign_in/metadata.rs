//! The documents that clients read first.

use serde_json::{Value, json};

use super::{gateway, setup};
use crate::harness::{Reply, Request, Route, Setup};

#[tokio::test]
async fn pr_01_pr_02_pr_10_oauth_76_each_route_is_a_resource_of_its_own() {
    let gateway = setup().route("/mcp/deep/er", Route::demo().policy("dev-login", &json!({}))).start().await;
    for route in ["/mcp", "/other", "/mcp/deep/er"] {
        let request = Request::get(&format!("/.well-known/oauth-protected-resource{route}"));
        let reply = gateway.ask(&request.header("Origin", "https://inspector.example")).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(reply.header("cache-control").unwrap().contains("max-age"));
        let document = reply.json();
        let origin = format!("http://{}", gateway.address);
        assert_eq!(document["resource"], format!("{origin}{route}"));
        assert_eq!(document["authorization_servers"], json!([origin]));
        assert_eq!(document["scopes_supported"], json!(["mcp:tools"]), "pr_05: no offline_access");
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
    for path in ["/nowhere", "/mcp/", "/healthz", "/mcp/deep", ""] {
        let reply = gateway.ask(&Request::get(&format!("/.well-known/oauth-protected-resource{path}"))).await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn pr_01_a_gateway_with_one_route_describes_it_at_the_root_too() {
    let gateway = Setup::new().route("/mcp", Route::demo().policy("dev-login", &json!({}))).start().await;
    let reply = gateway.ask(&Request::get("/.well-known/oauth-protected-resource")).await;
    assert_eq!(reply.json()["resource"], format!("http://{}/mcp", gateway.address));
}

#[tokio::test]
async fn as_02_oauth_69_oauth_70_the_server_describes_itself_under_the_name_that_was_asked_for() {
    let gateway = gateway().await;
    let origin = format!("http://{}", gateway.address);
    for (path, issuer) in [
        ("/.well-known/oauth-authorization-server", origin.clone()),
        ("/.well-known/openid-configuration", origin.clone()),
        ("/.well-known/oauth-authorization-server/mcp", format!("{origin}/mcp")),
        ("/.well-known/openid-configuration/mcp", format!("{origin}/mcp")),
        ("/mcp/.well-known/openid-configuration", format!("{origin}/mcp")),
    ] {
        let reply = gateway.ask(&Request::get(path)).await;
        assert_eq!(reply.status, 200, "{path}");
        let document = reply.json();
        assert_eq!(document["issuer"], json!(issuer), "{path}");
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], json!(true), "as_03");
        assert_eq!(document["client_id_metadata_document_supported"], json!(true), "as_04");
        assert!(!document["grant_types_supported"].as_array().unwrap().contains(&json!("password")));
        assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("offline_access")), "oauth_16");
        for endpoint in
            ["authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint", "revocation_endpoint"]
        {
            let url = document[endpoint].as_str().unwrap();
            assert!(url.starts_with(&format!("{origin}/oauth/")), "{url}");
        }
    }
    assert_eq!(gateway.ask(&Request::get("/.well-known/oauth-authorization-server/nowhere")).await.status, 404);
}

#[tokio::test]
async fn sec_a16_pr_02_no_header_of_a_request_changes_a_byte_of_the_metadata() {
    let gateway = super::public().start().await;
    let documents = [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/mcp",
    ];
    let ask = |path: &str| Request::get(path).with("Host", "mcp.example.com");
    let body = |reply: &Reply| reply.text().to_owned();
    for path in documents {
        let honest = body(&gateway.ask(&ask(path)).await);
        assert!(honest.contains("https://mcp.example.com") && !honest.contains("127.0.0.1"), "{honest}");
        for (name, value) in HOSTILE {
            let reply = gateway.ask(&ask(path).header(name, value)).await;
            if reply.status == 200 {
                assert_eq!(body(&reply), honest, "{name}: {value}");
            } else {
                assert!(!reply.text().contains("evil"), "{name}: {value}: {}", reply.text());
            }
        }
        for host in [
            "evil.example",
            "mcp.example.com.evil.example",
            "mcp.example.com:8443",
            "mcp.example.com@evil.example",
            "",
            "127.0.0.1",
        ] {
            let reply = gateway.ask(&Request::get(path).with("Host", if host.is_empty() { " " } else { host })).await;
            assert!(reply.status >= 400 || body(&reply) == honest, "Host: {host}: {}", reply.text());
        }
    }
    let challenge = |reply: Reply| reply.header("www-authenticate").unwrap().to_owned();
    let post = || Request::post("/mcp", &crate::harness::list_tools(1)).with("Host", "mcp.example.com");
    let honest = challenge(gateway.ask(&post()).await);
    assert!(honest.contains("https://mcp.example.com/.well-known/oauth-protected-resource/mcp"), "{honest}");
    for (name, value) in HOSTILE.iter().filter(|(name, _)| name.starts_with("X-") || *name == "Forwarded") {
        assert_eq!(challenge(gateway.ask(&post().header(name, value)).await), honest, "{name}: {value}");
    }
}

/// Headers by which proxies, frameworks and attackers say which host was meant.
const HOSTILE: [(&str, &str); 30] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Host", "mcp.example.com, evil.example"),
    ("X-Forwarded-Host", "evil.example, mcp.example.com"),
    ("X-Forwarded-Host", "evil.example:443"),
    ("X-Forwarded-Host", "evil.example/path"),
    ("X-Forwarded-Host", "\"evil.example\""),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Proto", "javascript"),
    ("X-Forwarded-Port", "8443"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Forwarded-Ssl", "off"),
    ("X-Original-Host", "evil.example"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-Host", "evil.example"),
    ("X-HTTP-Host-Override", "evil.example"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-ProxyUser-Ip", "127.0.0.1"),
    ("X-Url-Scheme", "http"),
    ("X-Envoy-Original-Path", "/evil"),
    ("Forwarded", "host=evil.example;proto=http"),
    ("Forwarded", "for=127.0.0.1;host=\"evil.example\""),
    ("Front-End-Https", "off"),
    ("Via", "1.1 evil.example"),
    ("Origin", "https://evil.example"),
    ("Referer", "https://evil.example/"),
    ("True-Client-IP", "127.0.0.1"),
];

#[tokio::test]
async fn oauth_72_only_the_endpoints_for_programs_may_be_called_from_web_pages() {
    let gateway = gateway().await;
    let preflight = |path: &str, method: &str| {
        Request::new("OPTIONS", path)
            .header("Origin", "https://inspector.example")
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version")
    };
    for (path, method) in [
        ("/.well-known/oauth-protected-resource/mcp", "GET"),
        ("/.well-known/oauth-authorization-server", "GET"),
        ("/oauth/jwks", "GET"),
        ("/oauth/token", "POST"),
        ("/oauth/register", "POST"),
        ("/oauth/revoke", "POST"),
    ] {
        let reply = gateway.ask(&preflight(path, method)).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(reply.header("access-control-allow-credentials").is_none());
    }
    for path in [
        "/oauth/authorize",
        "/oauth/consent",
        "/oauth/callback",
        "/oauth/dev-login",
        "/oauth/logout",
        "/oauth/introspect",
    ] {
        let reply = gateway.ask(&preflight(path, "POST")).await;
        assert!(reply.header("access-control-allow-origin").is_none(), "{path}");
    }
}

#[tokio::test]
async fn where_no_route_asks_for_a_sign_in_there_is_no_authorization_server() {
    let gateway = Setup::new().route("/mcp", Route::demo()).start().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp", "/oauth/jwks"]
    {
        let reply = gateway.ask(&Request::get(path)).await;
        assert_eq!(reply.status, 404, "{path}");
        let _: Value = reply.json();
    }
}
