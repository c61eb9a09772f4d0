use std::time::Duration;

use serde_json::Value;

use super::{
    forge::{AUDIENCE, ISSUER, NOW, Signer, claims, signers},
    *,
};

const OTHER: &str = "https://other.example";

struct World {
    signer: Signer,
    keys: KeySet,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let signer = signers().pop().unwrap();
        let keys = KeySet::of([&signer.jwk]).unwrap();
        Self { signer, keys, rules: Rules::access_token(ISSUER, AUDIENCE) }
    }

    fn judge(&self, typ: &Value, changes: &Value) -> Result<Claims, JwtError> {
        let (mut header, mut body) = (self.signer.header(), claims());
        header.insert("typ".into(), typ.clone());
        header.retain(|_, value| !value.is_null());
        body.extend(changes.as_object().unwrap().clone());
        body.retain(|_, value| !value.is_null());
        let token = self.signer.token(Value::Object(header).to_string(), Value::Object(body).to_string());
        verify(&token, &self.keys, &self.rules, Timestamp::from_seconds(NOW))
    }

    fn with(&self, changes: &Value) -> Result<(), JwtError> {
        self.judge(&json!("at+jwt"), changes).map(drop)
    }
}

#[test]
fn oauth_78_clocks_may_differ_by_the_leeway_and_never_by_more_than_a_minute() {
    let mut world = World::new();
    for (leeway, allowed) in [(0, 0), (30, 30), (60, 60), (3600, 60)] {
        world.rules.leeway = Duration::from_secs(leeway);
        assert_eq!(world.with(&json!({ "exp": NOW - allowed + 1 })), Ok(()), "{leeway}");
        assert_eq!(world.with(&json!({ "exp": NOW - allowed })), Err(JwtError::Expired), "{leeway}");
        assert_eq!(world.with(&json!({ "nbf": NOW + allowed, "iat": NOW + allowed })), Ok(()), "{leeway}");
        assert_eq!(world.with(&json!({ "nbf": NOW + allowed + 1 })), Err(JwtError::NotYetValid), "{leeway}");
        assert_eq!(world.with(&json!({ "iat": NOW + allowed + 1 })), Err(JwtError::IssuedInFuture), "{leeway}");
    }
}

#[test]
fn oauth_78_a_time_with_a_fraction_is_a_time() {
    let world = World::new();
    let claims = world.judge(&json!("at+jwt"), &json!({ "exp": 1_800_000_900.25 })).unwrap();
    assert_eq!(claims.expires(), Some(Timestamp::from_millis(1_800_000_900_250)));
}

#[test]
fn oauth_78_a_token_may_be_too_old_although_it_has_not_expired() {
    let mut world = World::new();
    world.rules.max_age = Some(Duration::from_mins(5));
    world.rules.required = &[];
    assert_eq!(world.with(&json!({ "iat": NOW - 330 })), Ok(()));
    assert_eq!(world.with(&json!({ "iat": NOW - 331 })), Err(JwtError::TooOld));
    assert_eq!(world.with(&json!({ "iat": null })), Err(JwtError::Missing("iat")));
}

#[test]
fn oauth_77_other_audiences_are_allowed_only_where_the_rules_say_so() {
    let mut world = World::new();
    assert_eq!(world.with(&json!({ "aud": [OTHER, AUDIENCE] })), Ok(()));
    world.rules.other_audiences = false;
    assert_eq!(world.with(&json!({ "aud": [OTHER, AUDIENCE] })), Err(JwtError::Audience));
    assert_eq!(world.with(&json!({ "aud": [AUDIENCE] })), Ok(()));
    world.rules.audiences.push(OTHER.into());
    assert_eq!(world.with(&json!({ "aud": [OTHER, AUDIENCE] })), Ok(()));
}

#[test]
fn oauth_78_an_access_token_is_no_id_token_and_the_other_way_round() {
    let mut world = World::new();
    for (rules, good, bad) in [
        (
            Rules::access_token(ISSUER, AUDIENCE),
            json!(["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"]),
            json!(["JWT", null]),
        ),
        (Rules::id_token(ISSUER, AUDIENCE), json!(["JWT", "jwt", "application/jwt", null]), json!(["at+jwt"])),
    ] {
        world.rules = rules;
        for typ in good.as_array().unwrap() {
            assert!(world.judge(typ, &json!({})).is_ok(), "{typ}");
        }
        for typ in bad.as_array().unwrap() {
            assert_eq!(world.judge(typ, &json!({})), Err(JwtError::Type), "{typ}");
        }
    }
}

#[test]
fn pr_09_every_description_can_stand_in_a_challenge() {
    for error in [
        JwtError::Malformed("it is not a JWT of three parts"),
        JwtError::Header("its header demands extensions (crit)"),
        JwtError::Algorithm,
        JwtError::UnknownKey,
        JwtError::Signature,
        JwtError::Type,
        JwtError::Issuer,
        JwtError::Audience,
        JwtError::Missing("sub"),
        JwtError::Claim("exp"),
        JwtError::Expired,
        JwtError::NotYetValid,
        JwtError::IssuedInFuture,
        JwtError::TooOld,
        JwtError::Bound,
    ] {
        let words = error.to_string();
        assert!(words.starts_with(error.description()));
        assert!(words.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'), "{words}");
    }
}
