//! Hosts that look like those on a list.

use serde::Deserialize;

use super::{
    super::{HostList, HostPattern},
    *,
};

#[derive(Deserialize)]
struct Lists {
    allowed: Vec<String>,
    yes: Vec<String>,
    no: Vec<String>,
}

fn lists() -> Lists {
    serde_json::from_str(include_str!("hosts.json")).unwrap()
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn sec_a20_hosts_that_look_like_an_allowed_one_are_not() {
    let Lists { allowed, yes, no } = lists();
    assert!(no.len() >= 25);
    let list = HostList::new(Some(&allowed), &[]);
    for text in yes {
        assert!(list.allows(&url(&text)), "{text}");
    }
    for text in no {
        assert!(!list.allows(&url(&text)), "{text}");
    }
}

#[test]
fn sec_a20_a_blocked_host_is_blocked_in_every_spelling() {
    let blocked = ["evil.example".to_owned(), ".evil.example".to_owned(), "bücher.example".to_owned()];
    let list = HostList::new(None, &blocked);
    assert!(list.allows(&url("https://good.example/")));
    for host in [
        "evil.example",
        "EVIL.example",
        "evil.example.",
        "a.evil.example",
        "b\u{fc}cher.example",
        "xn--bcher-kva.example",
    ] {
        assert!(!list.allows(&url(&format!("https://{host}/"))), "{host}");
    }
    let both = HostList::new(Some(&["evil.example".to_owned()]), &blocked);
    assert!(!both.allows(&url("https://evil.example/")));
}

#[test]
fn what_is_no_host_allows_nothing_and_blocks_everything() {
    for text in [
        "",
        ".",
        "..",
        "https://a.example",
        "a.example/x",
        "a.example:443",
        "*.a.example",
        "a b",
        ".127.0.0.1",
        "a.example.",
    ] {
        let no_host = text.parse::<HostPattern>().expect_err(text);
        assert!(no_host.to_string().contains("is not a host"), "{no_host}");
        let entry = [text.to_owned()];
        assert!(!HostList::new(Some(&entry), &[]).allows(&url("https://a.example/")), "{text}");
        assert!(!HostList::new(None, &entry).allows(&url("https://a.example/")), "{text}");
    }
}
