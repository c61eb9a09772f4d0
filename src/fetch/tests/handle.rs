//! A handle before and after its client is there.

use super::{
    super::Handle,
    server::{Server, Then},
    *,
};

#[tokio::test]
async fn a_handle_forbids_everything_until_its_client_is_there() {
    let server = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Then::Close).await;
    let handle = Handle::default();
    let of_a_policy = handle.clone();
    assert!(is_forbidden(&get(&of_a_policy, &server.url("/")).await));
    handle.promise(on_loopback);
    assert!(get(&of_a_policy, &server.url("/")).await.is_ok());
    assert_eq!(server.connections(), 1);
}
