use serde_json::{Value, json};

use super::*;
use crate::kit::{bench::Bench, policy::PolicyKind};

async fn passes(bench: &Bench, client: &str) -> bool {
    let outcome = bench.call("ping", json!({})).client(client).send().await;
    assert!(
        outcome.got_through() || (outcome.reason(), outcome.status.as_u16()) == (Some("ip_not_allowed"), 403),
        "{client}"
    );
    outcome.got_through()
}

async fn assert_passes(options: Value, cases: &[(&str, bool)]) {
    let bench = Bench::of::<IpRestriction>(&options);
    for (client, expected) in cases {
        assert_eq!(passes(&bench, client).await, *expected, "{client} with {options}");
    }
}

#[tokio::test]
async fn only_addresses_on_the_list_may_come_in() {
    assert_passes(
        json!({ "allowedIpAddresses": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"] }),
        &[
            ("192.0.2.1", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::1", false),
            ("127.0.0.1", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn blocked_wins_over_allowed() {
    assert_passes(
        json!({ "allowedIpAddresses": ["192.0.2.0/24"], "blockedIpAddresses": ["192.0.2.66"] }),
        &[("192.0.2.65", true), ("192.0.2.66", false), ("192.0.2.67", true)],
    )
    .await;
}

#[tokio::test]
async fn without_a_list_everybody_may_come_in_who_is_not_blocked_and_with_an_empty_one_nobody() {
    assert_passes(
        json!({ "blockedIpAddresses": ["10.0.0.0/8"] }),
        &[("10.1.2.3", false), ("11.1.2.3", true), ("::1", true)],
    )
    .await;
    assert_passes(json!({ "allowedIpAddresses": [] }), &[("127.0.0.1", false), ("::1", false)]).await;
    assert_passes(json!({}), &[("127.0.0.1", true), ("2001:db8::1", true)]).await;
}

#[tokio::test]
async fn sec_an_ipv4_address_written_as_ipv6_is_the_same_address() {
    assert_passes(
        json!({ "allowedIpAddresses": ["0.0.0.0/0"], "blockedIpAddresses": ["192.0.2.66"] }),
        &[
            ("::ffff:192.0.2.65", true),
            ("::ffff:192.0.2.66", false),
            ("::ffff:c000:242", false),
            ("::192.0.2.66", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn sec_who_comes_from_nowhere_does_not_come_in() {
    let bench = Bench::of::<IpRestriction>(&json!({}));
    let outcome = bench.call("ping", json!({})).without::<Arrival>().send().await;
    assert_eq!(outcome.reason(), Some("ip_not_allowed"));
}

#[tokio::test]
async fn sec_a_header_does_not_change_where_a_request_came_from() {
    let bench = Bench::of::<IpRestriction>(&json!({ "allowedIpAddresses": ["192.0.2.1"] }));
    let call = bench.call("ping", json!({})).client("198.51.100.1");
    let outcome = call.header("x-forwarded-for", "192.0.2.1").header("forwarded", "for=192.0.2.1").send().await;
    assert!(!outcome.got_through());
}

#[tokio::test]
async fn what_could_not_be_read_is_refused_for_where_it_came_from_first() {
    let bench = Bench::of::<IpRestriction>(&json!({ "allowedIpAddresses": [] }));
    assert_eq!(bench.refused(Reason::MalformedJson).send().await.reason(), Some("ip_not_allowed"));
}

#[test]
fn every_address_that_is_none_is_reported() {
    let options = json!({ "allowedIpAddresses": ["192.0.2.1", "192.0.2", "192.0.2.0/33"], "blockedIpAddresses": ["x", "::1/129", "2001:db8::/32"] });
    let problems = PolicyKind::of::<IpRestriction>().layer(&options, &Host::default()).unwrap_err();
    let at: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(
        at,
        ["/allowedIpAddresses/1", "/allowedIpAddresses/2", "/blockedIpAddresses/0", "/blockedIpAddresses/1"]
    );
    assert!(problems[0].why.contains("\"192.0.2\"") && problems[0].hint.is_some());
}
