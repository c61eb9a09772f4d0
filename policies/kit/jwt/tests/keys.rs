use serde_json::Value;

use super::{
    forge::{base64url, signers},
    *,
};

fn good(kid: &str) -> Value {
    let mut jwk = signers().pop().unwrap().jwk;
    jwk["kid"] = kid.into();
    jwk
}

fn read(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
}

/// The key with some of its members changed; `null` takes one away.
fn with(mut jwk: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jwk
}

#[test]
fn oauth_71_private_and_shared_keys_are_left_out_and_reported() {
    for secret in ["d", "k", "p", "q", "dp", "dq", "qi"] {
        let keys = read(&[good("good"), with(good("bad"), &json!({ secret: "AAAA" }))]).unwrap();
        assert!(keys.knows("good") && !keys.knows("bad"), "{secret}");
        let left_out =
            LeftOut { kid: Some("bad".into()), why: "it holds a private or shared key, which must never be published" };
        assert_eq!(keys.left_out(), [left_out], "{secret}");
    }
    let shared = json!({ "kty": "oct", "kid": "bad", "k": "c2VjcmV0", "alg": "HS256" });
    assert!(matches!(read(&[shared]), Err(KeySetError::NoneUsable(_))));
}

#[test]
fn sec_a17_a_key_that_is_not_for_signatures_or_too_weak_is_left_out() {
    let [rsa, _, ec, ..] = &signers()[..] else { panic!("no keys") };
    let zeros = base64url([0; 32]);
    for (jwk, changes) in [
        (&ec.jwk, json!({ "use": "enc" })),
        (&ec.jwk, json!({ "use": ["sig"] })),
        (&ec.jwk, json!({ "key_ops": ["sign"] })),
        (&ec.jwk, json!({ "key_ops": "verify" })),
        (&ec.jwk, json!({ "alg": "none" })),
        (&ec.jwk, json!({ "alg": "HS256" })),
        (&ec.jwk, json!({ "alg": "ES384" })),
        (&ec.jwk, json!({ "alg": "ECDH-ES" })),
        (&ec.jwk, json!({ "crv": "P-384" })),
        (&ec.jwk, json!({ "crv": "P-521" })),
        (&ec.jwk, json!({ "crv": "secp256k1" })),
        (&ec.jwk, json!({ "x": zeros, "y": zeros })),
        (&ec.jwk, json!({ "x": ec.jwk["y"] })),
        (&ec.jwk, json!({ "y": null })),
        (&ec.jwk, json!({ "kid": 7 })),
        (&ec.jwk, json!({ "kid": "" })),
        (&ec.jwk, json!({ "kty": "ec" })),
        (&rsa.jwk, json!({ "n": base64url([0xFF; 128]) })),
        (&rsa.jwk, json!({ "n": base64url([&[0; 128][..], &[0xFF; 128]].concat()) })),
        (&rsa.jwk, json!({ "n": base64url([0xFF; 2048]) })),
        (&rsa.jwk, json!({ "e": "AQ" })),
        (&rsa.jwk, json!({ "e": "AAAA" })),
        (&rsa.jwk, json!({ "e": "BA" })),
        (&rsa.jwk, json!({ "n": "not base64url!" })),
        (&good("ed"), json!({ "crv": "Ed448" })),
        (&good("ed"), json!({ "crv": "X25519" })),
        (&good("ed"), json!({ "x": "AAAA" })),
    ] {
        assert!(read(std::slice::from_ref(jwk)).is_ok());
        assert!(matches!(read(&[with(jwk.clone(), &changes)]), Err(KeySetError::NoneUsable(_))), "{changes}");
    }
}

#[test]
fn sec_a17_a_document_that_is_no_key_set_gives_none() {
    let many: Vec<_> = std::iter::repeat_n(json!({}), 65).collect();
    assert_eq!(read(&many).unwrap_err(), KeySetError::TooMany);
    assert_eq!(read(&[good("a"), good("a")]).unwrap_err(), KeySetError::DuplicateKid("a".into()));
    assert_eq!(read(&[]).unwrap_err(), KeySetError::NoneUsable(vec![]));
    assert_eq!(KeySet::read(&vec![b' '; 300 << 10]).unwrap_err(), KeySetError::TooLarge);
    for text in [r#"{"keys":{}}"#, "{}", r#"{"keys":null}"#] {
        assert_eq!(KeySet::read(text.as_bytes()).unwrap_err(), KeySetError::NotAKeySet, "{text}");
    }
    for text in [
        "",
        "[]",
        "<html>",
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kid":"a","kid":"b"}]}"#,
        "{} {}",
        "{\"a\":\"\u{0}\"}",
    ] {
        assert!(matches!(KeySet::read(text.as_bytes()), Err(KeySetError::Json(_))), "{text}");
    }
    assert!(matches!(KeySet::read(b"\xFF"), Err(KeySetError::Json(_))));
}

#[test]
fn sec_a17_a_token_without_kid_is_good_only_where_there_is_no_choice() {
    let (ours, now) = (signers(), Timestamp::from_seconds(forge::NOW));
    let rules = Rules::access_token(forge::ISSUER, forge::AUDIENCE);
    let all = KeySet::of(ours.iter().map(|signer| &signer.jwk)).unwrap();
    for signer in &ours {
        let mut header = signer.header();
        header.remove("kid");
        let token = signer.token(Value::Object(header).to_string(), Value::Object(forge::claims()).to_string());
        assert!(verify(&token, &all, &rules, now).is_ok(), "{}", signer.alg);
        let mut second = signers().into_iter().find(|other| other.alg == signer.alg).unwrap().jwk;
        second["kid"] = "second".into();
        let two = KeySet::of([&signer.jwk, &second]).unwrap();
        assert_eq!(verify(&token, &two, &rules, now), Err(JwtError::UnknownKey), "{}", signer.alg);
    }
}

#[test]
fn a_key_without_alg_may_be_used_with_all_algorithms_of_its_type_that_the_rules_allow() {
    let (ours, now) = (signers(), Timestamp::from_seconds(forge::NOW));
    let mut rules = Rules::access_token(forge::ISSUER, forge::AUDIENCE);
    for signer in &ours {
        let keys = KeySet::of([&with(signer.jwk.clone(), &json!({ "alg": null, "use": null }))]).unwrap();
        rules.algorithms = None;
        assert!(verify(&signer.honest(), &keys, &rules, now).is_ok(), "{}", signer.alg);
        rules.algorithms = Some(vec![Algorithm::Rs512]);
        assert_eq!(verify(&signer.honest(), &keys, &rules, now), Err(JwtError::Algorithm), "{}", signer.alg);
    }
}
