//! What an upstream asks for.

use serde::Deserialize;

use super::{super::challenge::Asked, *};

#[derive(Deserialize)]
struct Vector {
    story: String,
    headers: Vec<String>,
    metadata: Option<Url>,
    scopes: Vec<Box<str>>,
}

#[test]
fn cl_01_a_challenge_says_where_the_metadata_are_and_what_a_token_must_be_good_for() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("challenges.json")).unwrap();
    for Vector { story, headers, metadata, scopes } in vectors {
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        let asked = Asked::of(&challenged(&headers));
        assert_eq!(asked, Asked { resource_metadata: metadata, scopes }, "{story}");
    }
}

#[test]
fn cl_08_oauth_92_a_step_up_asks_for_all_that_was_asked_for_and_what_the_challenge_names() {
    let asked: [Box<str>; 2] = ["read".into(), "list".into()];
    let more = step_up(&asked, &challenged(&[r#"Bearer error="insufficient_scope", scope="write read""#])).unwrap();
    assert_eq!(names(&more), ["read", "list", "write"]);
    for nothing_more in [r#"Bearer error="insufficient_scope", scope="list""#, "Bearer", r#"Basic realm="x""#] {
        assert_eq!(step_up(&asked, &challenged(&[nothing_more])), None, "{nothing_more}");
    }
}
