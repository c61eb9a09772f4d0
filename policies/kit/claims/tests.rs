use serde_json::json;

use super::*;

fn names(roles: &[&str], tenant: Option<&str>) -> ClaimNames {
    let roles = roles.iter().map(|name| (*name).to_owned()).collect();
    ClaimNames { roles, groups: Vec::new(), tenant: tenant.map(ToOwned::to_owned) }
}

fn claims(value: Value) -> Claims {
    serde_json::from_value(value).unwrap()
}

#[test]
fn roles_come_from_every_claim_that_is_named_each_once() {
    let claims = claims(json!({
        "roles": ["a", "b"], "role": "c", "https://acme.example/roles": ["d", "a"], "https://acme.example/rolesx": ["no"],
        "realm_access": { "roles": ["e"] }, "resource_access": { "my.client": { "roles": ["f"] }, "my": { "client": {} } },
    }));
    let names =
        names(&["role", "*/roles", "realm_access.roles", "resource_access.my.client.roles", "nothing.there"], None);
    assert_eq!(names.roles_in(&claims), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(ClaimNames::default().roles_in(&claims), ["a", "b"]);
    assert!(names.groups_in(&claims).is_empty());
}

#[test]
fn what_is_not_text_names_nobody() {
    let claims = claims(
        json!({ "roles": [1, null, true, ["x"], { "admin": true }, "a"], "groups": { "admin": true }, "tid": 7 }),
    );
    let names = names(&[], Some("tid"));
    assert_eq!(names.roles_in(&claims), ["a"]);
    assert!(names.groups_in(&claims).is_empty());
    assert_eq!(names.tenant_in(&claims), None);
}

#[test]
fn the_tenant_is_text() {
    assert_eq!(names(&[], Some("tid")).tenant_in(&claims(json!({ "tid": "acme" }))).as_deref(), Some("acme"));
    assert_eq!(names(&[], None).tenant_in(&claims(json!({ "tid": "acme" }))), None);
}
