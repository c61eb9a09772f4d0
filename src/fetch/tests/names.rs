//! Names whose addresses change, or are of two kinds.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    server::{Server, Then},
    *,
};

/// Answers with one list after the other.
#[derive(Debug)]
struct Alternating {
    answers: [Vec<IpAddr>; 2],
    asked: Arc<AtomicUsize>,
}

impl Resolve for Alternating {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(self.answers[turn % 2].clone()) })
    }
}

/// 127.0.0.2 stands for a public address, as the one that the operator allows; 127.0.0.1 is inside.
fn outside_only() -> Guard {
    Guard { networks: vec!["127.0.0.2/32".parse().unwrap()], loopback: false }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn sec_c2_a_name_that_moves_inside_is_asked_for_once_and_never_reached_there() {
    let outside = Server::start("127.0.0.2:0", None, Vec::new(), Then::Close).await;
    let inside = Server::start(&format!("127.0.0.1:{}", outside.address.port()), None, Vec::new(), Then::Close).await;
    let asked = Arc::<AtomicUsize>::default();
    let answers = [addresses(&["127.0.0.2"]), addresses(&["127.0.0.1"])];
    let client = client(outside_only(), Alternating { answers, asked: Arc::clone(&asked) });
    let url = format!("https://rebinding.example:{}/", outside.address.port());
    for round in 1..=20 {
        let outcome = get(&client, &url).await;
        // The stand-in speaks no TLS, so a fetch that may go there ends there.
        assert_eq!(is_unreachable(&outcome), round % 2 == 1, "{outcome:?}");
        assert_eq!(is_forbidden(&outcome), round % 2 == 0, "{outcome:?}");
        assert_eq!((asked.load(Ordering::SeqCst), inside.connections()), (round, 0));
    }
    assert_eq!(outside.connections(), 10);
}

#[tokio::test]
async fn sec_c2_one_address_inside_forbids_the_name() {
    let outside = Server::start("127.0.0.2:0", None, Vec::new(), Then::Close).await;
    let url = format!("https://both.example:{}/", outside.address.port());
    for both in [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::ffff:127.0.0.2"]] {
        assert!(is_forbidden(&get(&client(outside_only(), Always(addresses(&both))), &url).await), "{both:?}");
    }
    let many = [&["127.0.0.2"; 20][..], &["10.0.0.1"]].concat();
    assert!(is_forbidden(&get(&client(outside_only(), Always(addresses(&many))), &url).await));
    assert_eq!(outside.connections(), 0);
    let client = client(outside_only(), Always(addresses(&["127.0.0.2"])));
    assert!(is_unreachable(&get(&client, &url).await));
    assert_eq!(outside.connections(), 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    let url = "https://nowhere.example/";
    assert!(is_unreachable(&get(&on_loopback(), url).await));
    assert!(is_unreachable(&get(&client(Guard::default(), Always(Vec::new())), url).await));
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_takes_no_connection() {
    let server = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Then::Close).await;
    let guard = Guard { loopback: true, ..Guard::default() };
    let client = client(guard, Always(addresses(&["127.0.0.3", "127.0.0.1"])));
    assert!(get(&client, &format!("http://localhost:{}/", server.address.port())).await.is_ok());
}

#[tokio::test]
async fn the_system_knows_localhost() {
    let server = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Then::Close).await;
    let guard = Guard { loopback: true, ..Guard::default() };
    let url = format!("http://localhost:{}/", server.address.port());
    assert!(get(&client(guard, super::super::SystemResolver::default()), &url).await.is_ok());
    let guarded = client(Guard::default(), super::super::SystemResolver::default());
    assert!(is_forbidden(&get(&guarded, &url.replace("http:", "https:")).await));
    assert_eq!(server.connections(), 1);
}
