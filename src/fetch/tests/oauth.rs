//! The client under the `oauth2` crate.

use oauth2::{
    AuthorizationCode, ClientId, RequestTokenError, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType},
};

use super::{
    super::OAuthHttp,
    server::{Server, Then},
    *,
};

async fn redeem(
    status: &str,
    body: &str,
) -> Result<String, RequestTokenError<FetchError, oauth2::basic::BasicErrorResponse>> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let server = Server::plain(head + body, Then::Close).await;
    let client = BasicClient::new(ClientId::new("portcullis".to_owned()))
        .set_token_uri(TokenUrl::new(server.url("/token")).unwrap());
    let http = OAuthHttp::new(on_loopback(), BUDGET);
    let tokens = client.exchange_code(AuthorizationCode::new("code".to_owned())).request_async(&http).await?;
    Ok(format!("{} {}", tokens.token_type().as_ref(), tokens.access_token().secret()))
}

#[tokio::test]
async fn a_code_is_redeemed_also_where_the_server_leaves_out_the_token_type() {
    assert_eq!(redeem("200 OK", r#"{"access_token":"a","token_type":"Bearer"}"#).await.unwrap(), "bearer a");
    assert_eq!(redeem("200 OK", r#"{"access_token":"a"}"#).await.unwrap(), "bearer a");
    assert_eq!(redeem("200 OK", r#"{"access_token":"a","token_type":"DPoP"}"#).await.unwrap(), "dpop a");
}

#[tokio::test]
async fn an_error_of_the_server_arrives_as_one() {
    let refused = redeem("400 Bad Request", r#"{"error":"invalid_grant"}"#).await.unwrap_err();
    let RequestTokenError::ServerResponse(answer) = refused else { panic!("{refused:?}") };
    assert_eq!(*answer.error(), BasicErrorResponseType::InvalidGrant);
    assert!(matches!(redeem("200 OK", "<html>").await, Err(RequestTokenError::Parse(..))));
    let moved = redeem("307 Temporary Redirect", "").await.unwrap_err();
    assert!(matches!(moved, RequestTokenError::Request(FetchError::Status(_))), "{moved:?}");
}
