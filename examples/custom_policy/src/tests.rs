use http::{Request, StatusCode, header};
use portcullis::{config::Surroundings, pipeline};
use portcullis_policies::{
    STANDARD,
    kit::{
        chain::{Inbound, RouteService, answered, refuse},
        edge::{Edge, EdgeLimits},
        host::{Caller, Host},
        policy::{PolicyKind, Problem},
        reply::Reply,
    },
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

use super::TeamToken;

const TOKEN: &str = "correct horse battery staple";

#[tokio::test]
async fn a_team_with_its_token_is_let_in_and_known_by_its_name() {
    let (status, body) = ask(Some(&format!("Bearer {TOKEN}"))).await;
    assert_eq!((status, body), (StatusCode::OK, "search".to_owned()));
}

#[tokio::test]
async fn nobody_else_is() {
    for authorization in [None, Some("Bearer wrong"), Some(TOKEN), Some("Basic c2VhcmNoOg=="), Some("Bearer ")] {
        let (status, body) = ask(authorization).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["id"], &body["error"]["data"]["reason"]), (&json!(7), &json!("unknown_team")));
    }
}

#[test]
fn weak_and_shared_tokens_are_problems_at_their_place() {
    let options = json!({ "teams": { "a/b": "short", "search": TOKEN, "support": TOKEN } });
    let problems = layer(&options).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(places, ["/teams/a~1b", "/teams/support"]);
    assert!(!format!("{problems:?}").contains(TOKEN), "a report shows no token");
}

#[test]
fn the_configuration_beside_this_package_has_no_problems() {
    let tools = pipeline::Toolbox {
        kinds: [STANDARD, &[PolicyKind::of::<TeamToken>()]].concat(),
        demo: portcullis::upstreams::demo_server(),
        host: Host::default(),
        shared: portcullis::proxy::Shared::new(),
        listen: None,
    };
    let surroundings = Surroundings {
        variable: &|name| Some(format!("{name}: a long enough token")),
        variables: &Vec::new,
        file: &|path| Err(format!("{} is not part of this test", path.display())),
    };
    let report = pipeline::plan("routes.json", include_str!("../routes.json"), &surroundings, &tools).report;
    assert!(report.is_empty(), "{report}");
}

fn layer(options: &Value) -> Result<portcullis_policies::kit::chain::RouteLayer, Vec<Problem>> {
    portcullis_policies::layer::<TeamToken>(options, &Host::default())
}

/// Sends one call through the policy; behind it stands a server that answers with the caller's name.
async fn ask(authorization: Option<&str>) -> (StatusCode, String) {
    let server = RouteService::from_fn(|request| {
        answered(match request.body() {
            Inbound::Refused(refusal) => refuse(&request, refusal.clone()),
            Inbound::Message(_) => {
                let caller = request.extensions().get::<Caller>().map_or("nobody", |caller| &caller.subject);
                http::Response::new(Reply::Full(caller.to_owned().into()))
            }
        })
    });
    let chain = layer(&json!({ "teams": { "search": TOKEN } })).unwrap().layer(server);
    let mut request = Request::post("/mcp").header(header::CONTENT_TYPE, "application/json");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#.to_owned();
    let response = Edge::new(chain, EdgeLimits::default()).oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let Reply::Full(body) = response.into_body() else { panic!("no body") };
    (status, String::from_utf8(body.to_vec()).unwrap())
}
