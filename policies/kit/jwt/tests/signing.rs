use secrecy::ExposeSecret;
use serde_json::Value;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn claims() -> Value {
    json!({ "iss": "https://as.example", "aud": "https://gw.example/mcp", "sub": "ada", "client_id": "app", "jti": "1",
        "iat": 1_800_000_000, "exp": 1_800_000_900 })
}

fn rules() -> Rules {
    Rules::access_token("https://as.example", "https://gw.example/mcp")
}

#[test]
fn what_a_key_signs_its_public_half_verifies() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let token = key.sign("at+jwt", &claims()).unwrap();
        let keys = KeySet::of([key.public_jwk()]).unwrap();
        let claims = verify(&token, &keys, &rules(), NOW).unwrap();
        assert_eq!((claims.subject(), claims.text("client_id")), (Some("ada"), Some("app")));
        let stranger = SigningKey::generate(algorithm).unwrap();
        let stranger = KeySet::of([stranger.public_jwk()]).unwrap();
        assert_eq!(verify(&token, &stranger, &rules(), NOW), Err(JwtError::UnknownKey));
    }
}

#[test]
fn a_key_comes_back_from_the_store_as_the_same_key() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_pkcs8(algorithm, key.to_pkcs8().expose_secret()).unwrap();
        assert_eq!((again.kid(), again.public_jwk()), (key.kid(), key.public_jwk()));
        let keys = KeySet::of([key.public_jwk()]).unwrap();
        assert!(verify(&again.sign("at+jwt", &claims()).unwrap(), &keys, &rules(), NOW).is_ok());
    }
    let es256 = SigningKey::generate(Algorithm::Es256).unwrap();
    for (algorithm, bytes) in [
        (Algorithm::EdDsa, es256.to_pkcs8().expose_secret()),
        (Algorithm::Es256, b"not a key".as_slice()),
        (Algorithm::EdDsa, &[0; 48]),
    ] {
        assert_eq!(SigningKey::from_pkcs8(algorithm, bytes).unwrap_err(), SigningError::NotAKey(algorithm));
    }
    assert_eq!(SigningKey::generate(Algorithm::Rs256).unwrap_err(), SigningError::Unsupported(Algorithm::Rs256));
}

#[test]
fn oauth_71_a_published_key_has_no_private_part_and_is_named_by_its_thumbprint() {
    let ec = SigningKey::generate(Algorithm::Es256).unwrap();
    let ed = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let members = |key: &SigningKey| {
        let mut members: Vec<_> = key.public_jwk().as_object().unwrap().keys().cloned().collect();
        members.sort();
        members
    };
    assert_eq!(members(&ec), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(members(&ed), ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!((&ec.public_jwk()["kid"], &ec.public_jwk()["use"]), (&json!(ec.kid()), &json!("sig")));
    assert_ne!(SigningKey::generate(Algorithm::EdDsa).unwrap().kid(), ed.kid());
}

/// RFC 8037 §A.1–A.3: the key, its thumbprint.
#[test]
fn the_thumbprint_is_that_of_the_rfc() {
    let seed = "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let pkcs8: Vec<u8> =
        (0..seed.len()).step_by(2).map(|at| u8::from_str_radix(&seed[at..at + 2], 16).unwrap()).collect();
    let key = SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).unwrap();
    assert_eq!(key.public_jwk()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn sec_e5_a_key_does_not_show_itself() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.kid()));
}
