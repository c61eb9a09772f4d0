//! URLs in all their spellings, and the addresses behind them.

use serde::Deserialize;

use super::{
    server::{Server, Then},
    *,
};

/// One spelling of a URL; `{port}` is the listener's.
#[derive(Deserialize)]
struct Form {
    what: String,
    url: String,
    /// What its name resolves to.
    #[serde(default)]
    resolves: Vec<IpAddr>,
    /// Does it mean this machine, so that it may be asked in development?
    #[serde(default)]
    own: bool,
    /// Does it mean this machine, where the listener does not listen?
    #[serde(default)]
    deaf: bool,
}

fn forms() -> Vec<Form> {
    serde_json::from_str(include_str!("urls.json")).unwrap()
}

impl Form {
    /// The outcome of fetching it, over http or https, or none if it is no URL at all.
    async fn fetch(&self, scheme: &str, port: u16, guard: Guard) -> Option<Result<Fetched, FetchError>> {
        let text = format!("{scheme}://{}", self.url.replace("{port}", &port.to_string()));
        let url = Url::parse(&text).ok()?;
        let wanted = Wanted { url, max_bytes: BUDGET.max_bytes, patience: BUDGET.patience };
        Some(client(guard, Always(self.resolves.clone())).fetch(wanted).await)
    }
}

#[tokio::test]
async fn sec_c1_sec_c4_oauth_65_sb_03_no_spelling_of_a_private_address_reaches_it() {
    let canary = Server::plain("HTTP/1.1 200 OK\r\n\r\n", Then::Close).await;
    let mut judged = 0;
    for form in forms() {
        for scheme in ["https", "http"] {
            if let Some(outcome) = form.fetch(scheme, canary.address.port(), Guard::default()).await {
                assert!(is_forbidden(&outcome), "{} ({}): {outcome:?}", form.url, form.what);
                judged += 1;
            }
        }
    }
    assert!(judged >= 2 * 60, "{judged}");
    assert_eq!(canary.connections(), 0);
}

/// Also shows that the canary hears whoever is let through.
#[tokio::test]
async fn oauth_65_in_development_this_machine_may_be_asked_and_nothing_else_inside() {
    let canary = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Then::Close).await;
    let mut expected = 0;
    for form in forms().into_iter().filter(|form| !form.deaf) {
        let outcome = form.fetch("http", canary.address.port(), Guard { loopback: true, ..Guard::default() }).await;
        expected += usize::from(form.own);
        match outcome {
            Some(outcome) if form.own => assert!(outcome.is_ok(), "{} ({}): {outcome:?}", form.url, form.what),
            Some(outcome) => assert!(is_forbidden(&outcome), "{} ({}): {outcome:?}", form.url, form.what),
            None => assert!(!form.own, "{} is not a URL", form.url),
        }
    }
    assert!(expected >= 10);
    assert_eq!(canary.connections(), expected);
}

#[tokio::test]
async fn only_https_is_asked_and_no_user_name_and_no_fragment_is_sent() {
    let server = Server::plain("HTTP/1.1 200 OK\r\n\r\n", Then::Close).await;
    let host = server.address;
    let open = client(Guard { networks: vec!["127.0.0.0/8".parse().unwrap()], loopback: false }, NoNames);
    assert!(is_forbidden(&get(&open, &format!("http://{host}/")).await));
    for url in [
        format!("ftp://{host}/"),
        format!("ws://{host}/"),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "unix:/run/docker.sock".to_owned(),
        format!("http://user@{host}/"),
        format!("http://:password@{host}/"),
        format!("http://{host}/#fragment"),
    ] {
        assert!(is_forbidden(&get(&on_loopback(), &url).await), "{url}");
    }
    for relative in ["/token", "*", "127.0.0.1"] {
        let request = http::Request::post(relative).body("").unwrap();
        assert!(is_forbidden(&on_loopback().send(request, BUDGET).await), "{relative}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn sec_c4_each_special_network_is_judged_at_both_its_ends() {
    let guard = Guard::default();
    let special = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/8",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];
    for network in special {
        let network: ipnet::IpNet = network.parse().unwrap();
        assert!(!guard.allows(network.network()) && !guard.allows(network.broadcast()), "{network}");
    }
}

#[test]
fn public_addresses_also_those_beside_special_networks_are_allowed() {
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "2001:200::1",
        "2001:db7:ffff::",
        "2001:db9::",
        "2003::",
    ];
    for address in public {
        assert!(Guard::default().allows(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn an_operator_allows_networks_but_not_what_hides_in_their_addresses() {
    let networks = ["10.1.0.0/16", "fd00::/8", "64:ff9b::/96", "::ffff:0:0/96", "2002::/16", "2001::/32"];
    let guard = Guard { networks: networks.map(|network| network.parse().unwrap()).to_vec(), loopback: false };
    let allows = |address: &str| guard.allows(address.parse().unwrap());
    for address in ["10.1.2.3", "fd00::1", "64:ff9b::808:808", "64:ff9b::a01:203", "::ffff:8.8.8.8", "2002:808:808::1"]
    {
        assert!(allows(address), "{address}");
    }
    for address in [
        "10.2.0.1",
        "127.0.0.1",
        "::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::1",
        "2001:0:1:1::80ff:fffe",
        "64:ff9b:1::1",
    ] {
        assert!(!allows(address), "{address}");
    }
}
