//! What the pages say of text that others wrote.

use std::sync::Arc;

use http_body_util::BodyExt;
use portcullis_policies::kit::credential::UpstreamAuth;

use super::*;

const HOSTILE: &str = "<a href=\"javascript:alert(1)\">Linear</a> https://evil.example \u{202e}moc.raenil";

fn link(mode: AuthMode) -> LinkView {
    let auth =
        UpstreamAuth { id: "linear".into(), display_name: HOSTILE.to_owned(), summary: Some(HOSTILE.to_owned()), mode };
    LinkView {
        auth: Arc::new(auth),
        subject: "dev|canary-ada".to_owned(),
        route: "/mcp/linear".to_owned(),
        target_host: "javascript:alert(1)".to_owned(),
        state: ConnectState::Authenticating,
        scopes: vec![HOSTILE.into()],
    }
}

fn keys() -> AuthMode {
    AuthMode::UserKey(vec![KeyField {
        name: "token".to_owned(),
        label: HOSTILE.to_owned(),
        help: Some(HOSTILE.to_owned()),
        header: http::header::AUTHORIZATION,
        prefix: "Bearer ".to_owned(),
    }])
}

fn page(mode: AuthMode) -> Connect {
    Connect::new("gateway.example".to_owned(), &link(mode), "/connect/token".to_owned(), "sealed".to_owned())
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn sb_07_what_an_upstream_calls_itself_is_text_and_never_a_link() {
    let row = ConnectionView {
        upstream: "linear".to_owned(),
        display_name: HOSTILE.to_owned(),
        summary: Some(HOSTILE.to_owned()),
        route: Some("/mcp/linear".to_owned()),
        target_host: "javascript:alert(1)".to_owned(),
        standing: ConnectionStage::Connected,
        because: String::new(),
        scope: Some(HOSTILE.to_owned()),
        connected_at: Some(Timestamp::from_seconds(1_790_000_000)),
    };
    let (host, sealed) = ("gateway.example".to_owned(), "sealed".to_owned());
    let connections = Connections {
        host: host.clone(),
        account: "ada".to_owned(),
        rows: vec![row.into()],
        way: "/mcp/linear".to_owned(),
        sealed,
    };
    for response in [
        page(keys()).signed_in("ada".to_owned()).show(None),
        page(keys()).asking().show(None),
        Done::new(host, &Connected { display_name: HOSTILE.to_owned() }).show(),
        connections.show(None),
    ] {
        let text = text(response).await;
        assert!(text.contains("Linear"), "{text}");
        for bad in ["<a href=\"javascript", "<a href=\"https", "href=\"//", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad}\n{text}");
        }
    }
}

#[tokio::test]
async fn tr_32_the_page_says_nothing_of_whose_link_it_is() {
    for response in [page(keys()).asking().show(None), page(keys()).signed_in("ada".to_owned()).show(None)] {
        assert!(!text(response).await.contains("canary-ada"));
    }
    let not_yours = NotYours {
        host: "gateway.example".to_owned(),
        account: "bob".to_owned(),
        action: "/connect/token".to_owned(),
        sealed: "sealed".to_owned(),
        request_id: "canary-request".to_owned(),
    };
    let response = not_yours.show(None);
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let text = text(response).await;
    assert!(
        text.contains("bob")
            && text.contains("not_yours")
            && text.contains("canary-request")
            && !text.contains("Linear"),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_is_typed_into_a_field_that_nobody_fills_in_or_shows() {
    let text = text(page(keys()).signed_in("ada".to_owned()).show(None)).await;
    let field = &text[text.find("name=\"key-token\"").unwrap()..];
    let field = &field[..field.find('>').unwrap()];
    assert!(field.contains("type=\"password\"") && field.contains("autocomplete=\"off\""), "{field}");
    assert!(!field.contains("value="), "{field}");
}
