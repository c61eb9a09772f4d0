//! Keys for programs: made and taken back on the command line, beside a gateway that runs.

use std::{fs, sync::Arc, time::Duration};

use portcullis::{
    api_keys::{KeyJudge, KeyRing, Wish, make},
    store::{Location, MasterKey, Store, Tenant},
};
use portcullis_policies::kit::{
    clock::{Clock, ManualClock, SystemClock},
    sign_in::{Access, ApiKeys, Denied, Judging},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Process, Reply, Request, Route, Setup, list_tools, pause};

/// How soon a running gateway knows what was done beside it.
pub(super) const SOON: Duration = Duration::from_secs(1);

fn setup() -> Setup {
    let route = |options: Value| Route::demo().policy("api-key-inbound", &options);
    Setup::new()
        .route("/keys", route(json!({})))
        .route("/own", route(json!({ "authHeader": "X-Api-Key", "authScheme": "" })))
        .route("/strict", route(json!({ "scopes": ["reports"] })))
}

/// Makes a key; what is printed for programs.
fn create(gateway: &Process, arguments: &[&str]) -> Value {
    let output = gateway.command(&[&["--json", "keys", "create", "--name", "nightly"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn key_of(made: &Value) -> &str {
    made["key"].as_str().unwrap()
}

async fn call(gateway: &Process, route: &str, key: &str) -> Reply {
    gateway.ask(&Request::post(route, &list_tools(1)).bearer(key)).await
}

fn remedy(reply: &Reply) -> String {
    reply.json()["error"]["data"]["remedy"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_key_made_beside_a_running_gateway_works_at_once() {
    let gateway = setup().spawn();
    gateway.address().await;
    let made = create(&gateway, &[]);
    assert_eq!(call(&gateway, "/keys", key_of(&made)).await.status, 200);
    let own = Request::post("/own", &list_tools(1)).header("X-Api-Key", key_of(&made));
    assert_eq!(gateway.ask(&own).await.status, 200);
    assert_eq!(
        (&made["name"], &made["scopes"], &made["routes"]),
        (&json!("nightly"), &json!(["mcp:tools"]), &json!(null))
    );
    assert!(made["expiresAt"].is_string(), "a key is over some day: {made}");
}

#[tokio::test]
async fn for_people_the_key_is_alone_on_standard_output() {
    let gateway = setup().spawn();
    gateway.address().await;
    let output = gateway.command(&["keys", "create", "--name", "nightly", "--days", "0"]);
    let (shown, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(said.contains("only time that the key is shown") && said.contains("until it is revoked"), "{said}");
    assert_eq!(call(&gateway, "/keys", shown.trim()).await.status, 200);
}

#[tokio::test]
async fn oauth_31_sec_e5_the_key_is_shown_once_and_stands_nowhere() {
    let gateway = setup().spawn();
    gateway.address().await;
    let made = create(&gateway, &[]);
    let secret = key_of(&made).split_once('.').unwrap().1;
    assert_eq!(call(&gateway, "/keys", key_of(&made)).await.status, 200);
    let forged = format!("{}.{}", key_of(&made).split_once('.').unwrap().0, "A".repeat(secret.len()));
    assert_eq!(call(&gateway, "/keys", &forged).await.status, 401);
    let mut found = Vec::new();
    for entry in fs::read_dir(gateway.folder()).unwrap() {
        found.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    found.extend(gateway.lines().join("\n").into_bytes());
    for shown in [gateway.command(&["keys", "list"]), gateway.command(&["--json", "keys", "list"])] {
        found.extend(shown.stdout.into_iter().chain(shown.stderr));
    }
    let contains = |text: &str| found.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("nightly") && contains(made["id"].as_str().unwrap()), "we look at the right place");
    assert!(!contains(secret), "the secret is readable somewhere");
}

#[tokio::test]
async fn sec_a19_oauth_46_a_key_that_is_taken_back_is_refused_within_a_second() {
    let gateway = setup().spawn();
    gateway.address().await;
    let (made, other) = (create(&gateway, &[]), create(&gateway, &[]));
    for key in [&made, &other] {
        assert_eq!(call(&gateway, "/keys", key_of(key)).await.status, 200);
    }
    let id = made["id"].as_str().unwrap();
    assert!(gateway.command(&["keys", "revoke", id]).status.success());
    let revoked = Instant::now();
    let refused = loop {
        let reply = call(&gateway, "/keys", key_of(&made)).await;
        if reply.status != 200 {
            break reply;
        }
        assert!(revoked.elapsed() < SOON, "still good after {:?}", revoked.elapsed());
        pause(20).await;
    };
    assert_eq!((refused.status, refused.reason().as_str()), (401, "invalid_token"));
    assert!(refused.header("www-authenticate").unwrap().contains("revoked"), "{refused:?}");
    assert_eq!(call(&gateway, "/keys", key_of(&other)).await.status, 200, "the other one goes on");
    let listed = String::from_utf8(gateway.command(&["keys", "list"]).stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line.contains("revoked 20"), "{listed}");
    for what in [id, "nobody", "-ids-may-begin-so"] {
        let again = gateway.command(&["keys", "revoke", what]);
        assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("portcullis keys list"));
    }
}

#[tokio::test]
async fn sec_a12_a_key_is_good_for_its_routes_and_scopes_and_no_others() {
    let gateway = setup().spawn();
    gateway.address().await;
    let here = create(&gateway, &["--route", "/keys"]);
    assert_eq!(call(&gateway, "/keys", key_of(&here)).await.status, 200);
    let elsewhere = call(&gateway, "/strict", key_of(&here)).await;
    assert_eq!((elsewhere.status, elsewhere.reason().as_str()), (401, "invalid_token"));
    assert!(elsewhere.header("www-authenticate").unwrap().contains("the key is for other routes"));
    let usual = create(&gateway, &[]);
    let lacking = call(&gateway, "/strict", key_of(&usual)).await;
    assert_eq!((lacking.status, lacking.reason().as_str()), (403, "insufficient_scope"));
    assert!(remedy(&lacking).contains("reports"), "{}", remedy(&lacking));
    let both = create(&gateway, &["--scope", "mcp:tools", "--scope", "reports"]);
    assert_eq!(call(&gateway, "/strict", key_of(&both)).await.status, 200);
    let nowhere = gateway.command(&["keys", "create", "--name", "x", "--route", "/nowhere"]);
    assert!(!nowhere.status.success());
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no route \"/nowhere\""));
}

#[tokio::test]
async fn sec_a9_sec_a10_whatever_is_no_key_is_refused_with_a_remedy() {
    let gateway = setup().spawn();
    gateway.address().await;
    let made = create(&gateway, &[]);
    let key = key_of(&made);
    let (id, secret) = key.split_once('.').unwrap();
    let garbled = [
        "pck_".to_owned(),
        "garbage".to_owned(),
        id.to_owned(),
        format!("{id}."),
        format!("{id}.{secret}A"),
        format!("{id}.{}", &secret[1..]),
        format!("{id}.{}", secret.to_lowercase()),
        format!("{id}..{secret}"),
        key.replace("pck_", "PCK_"),
        key.replace("pck_", ""),
        format!("pck_{}.{secret}", "A".repeat(22)),
        format!("pck_' OR 1=1 --.{secret}"),
    ];
    for wrong in &garbled {
        let reply = call(&gateway, "/keys", wrong).await;
        let expected = if wrong.contains(' ') { 400 } else { 401 };
        assert_eq!(reply.status, expected, "{wrong}");
        assert!(expected == 400 || remedy(&reply).contains("portcullis keys create"), "{wrong}: {reply:?}");
    }
    let none = gateway.ask(&Request::post("/keys", &list_tools(1))).await;
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer")));
    let two = Request::post("/own", &list_tools(1)).header("X-Api-Key", key).bearer(key);
    assert_eq!(gateway.ask(&two).await.status, 400);
    assert_eq!(gateway.ask(&Request::post("/keys", &list_tools(1)).bearer(key).bearer(key)).await.status, 400);
}

#[tokio::test]
async fn a_key_that_has_come_to_its_end_is_over_and_its_groups_and_roles_are_the_callers() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let location = Location::parse("sqlite:portcullis.db", folder.path()).unwrap();
    let store = Store::open(&location, MasterKey::generate().unwrap(), clock.clone()).await.unwrap();
    let mut wish = Wish { name: "nightly".to_owned(), scopes: vec!["mcp:tools".to_owned()], ..Wish::default() };
    wish.identity.groups = vec!["finance".to_owned()];
    wish.identity.roles = vec!["reader".to_owned()];
    wish.identity.subject = "dev|ada".into();
    wish.lasting = Some(Duration::from_hours(24));
    let made = make(wish, clock.now());
    let mut work = store.begin(&Tenant::DEFAULT).await.unwrap();
    work.insert_api_key(&made.record).await.unwrap();
    work.commit().await.unwrap();
    let keys = KeyJudge::default();
    assert_eq!(judge(&keys, made.key.expose_secret()).await.unwrap_err(), Denied::Unavailable, "not open yet");
    keys.open(Arc::new(KeyRing::new(store, Tenant::DEFAULT, clock.clone())));
    let caller = judge(&keys, made.key.expose_secret()).await.unwrap().caller;
    assert_eq!((&caller.groups[..], &caller.roles[..]), (&["finance".to_owned()][..], &["reader".to_owned()][..]));
    assert_eq!(&*caller.subject, format!("key|{}", made.record.id), "a key is never somebody else");
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(judge(&keys, made.key.expose_secret()).await.is_ok());
    clock.advance(Duration::from_secs(1));
    let over = judge(&keys, made.key.expose_secret()).await.unwrap_err();
    assert_eq!(over, Denied::Invalid("the key has expired"));
}

async fn judge(keys: &KeyJudge, key: &str) -> Result<Access, Denied> {
    match keys.judge(key, "/keys") {
        Judging::Ready(verdict) => verdict,
        Judging::Pending(verdict) => verdict.await,
    }
}
