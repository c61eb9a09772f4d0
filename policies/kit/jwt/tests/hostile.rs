//! Tokens that nobody honest made. `hostile.json` lists them: what is changed in an honest token, and for which reason
//! the result must be refused.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    forge::{AUDIENCE, ISSUER, NOW, Signer, base64url, claims, signers},
    *,
};

/// One line of `hostile.json`. What is signed is signed after the change, unless `sign` says otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    what: String,
    because: String,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    drop_header: Vec<String>,
    header_text: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    drop_claims: Vec<String>,
    claims_text: Option<String>,
    #[serde(default)]
    encode: String,
    #[serde(default)]
    sign: String,
    #[serde(default)]
    edit: String,
}

/// The issuer with all its keys, and a stranger with keys of the same types.
struct World {
    signers: Vec<Signer>,
    strangers: Vec<Signer>,
    keys: KeySet,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let signers = signers();
        let keys = KeySet::of(signers.iter().map(|signer| &signer.jwk)).unwrap();
        Self { signers, strangers: super::forge::signers(), keys, rules: Rules::access_token(ISSUER, AUDIENCE) }
    }

    fn judge(&self, token: &str) -> Result<Claims, JwtError> {
        verify(token, &self.keys, &self.rules, Timestamp::from_seconds(NOW))
    }

    fn forged(&self, at: usize, kind: &Kind) -> String {
        let (signer, stranger) = (&self.signers[at], &self.strangers[at]);
        let words = |value: &Value| self.words(at, value);
        let header = changed(signer.header(), &kind.header, &kind.drop_header, words);
        let body = changed(claims(), &kind.claims, &kind.drop_claims, Value::clone);
        let header = text(kind.header_text.as_deref(), &header, "$HEADER");
        let body = encoded(&text(kind.claims_text.as_deref(), &body, "$CLAIMS"), signer, &kind.encode);
        let signed = format!("{}.{}", base64url(header), base64url(body));
        let signature = match kind.sign.as_str() {
            "" => (signer.sign)(signed.as_bytes()),
            "nothing" => Vec::new(),
            "stranger" => (stranger.sign)(signed.as_bytes()),
            secret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &public_form(signer, secret));
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
        };
        edited(&signed, &signature, signer, &kind.edit)
    }

    /// Replaces the words that stand for something of the key's type.
    fn words(&self, at: usize, value: &Value) -> Value {
        let signer = &self.signers[at];
        let (sibling, stranger) = match signer.alg {
            "RS256" => ("PS256", "ES256"),
            "PS256" => ("RS256", "ES256"),
            "ES256" => ("ES384", "RS256"),
            "ES384" => ("ES256", "RS256"),
            _ => ("Ed448", "RS256"),
        };
        match value {
            Value::Array(list) => list.iter().map(|item| self.words(at, item)).collect(),
            Value::String(word) => match word.as_str() {
                "$alg in small letters" => signer.alg.to_lowercase().into(),
                "$sibling" => sibling.into(),
                "$stranger" => stranger.into(),
                "$other" => self.signers[(at + 1) % self.signers.len()].kid().into(),
                "$stranger's jwk" => self.strangers[at].jwk.clone(),
                word => word.replace("$KID", &signer.kid().to_uppercase()).replace("$kid", signer.kid()).into(),
            },
            other => other.clone(),
        }
    }
}

fn changed(
    mut map: Map<String, Value>,
    set: &Map<String, Value>,
    without: &[String],
    words: impl Fn(&Value) -> Value,
) -> Map<String, Value> {
    map.retain(|name, _| !without.contains(name));
    map.extend(set.iter().map(|(name, value)| (name.clone(), words(value))));
    map
}

/// `$HEADER` and `$CLAIMS` stand for the members, `$OBJECT` for all of it.
fn text(template: Option<&str>, map: &Map<String, Value>, members: &str) -> String {
    let object = Value::Object(map.clone()).to_string();
    let inner = object.trim_start_matches('{').trim_end_matches('}');
    template.map_or(object.clone(), |template| template.replace("$OBJECT", &object).replace(members, inner))
}

fn encoded(text: &str, signer: &Signer, encoding: &str) -> Vec<u8> {
    match encoding {
        "" => text.as_bytes().to_vec(),
        "utf-16" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "latin-1" => text.chars().map(|letter| u8::try_from(letter).unwrap()).collect(),
        // One stored block, with the checksum left out: no reader of JSON gets as far as that.
        "gzip" => [&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3][..], text.as_bytes()].concat(),
        "nested" => signer.honest().into_bytes(),
        other => panic!("encoding {other:?} is not known"),
    }
}

/// The public key as a forger might use it for a shared secret.
fn public_form(signer: &Signer, form: &str) -> Vec<u8> {
    match form {
        "hmac pem" => {
            let lines: Vec<_> = STANDARD.encode(&signer.der).into_bytes();
            let lines: Vec<_> = lines.chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")).into_bytes()
        }
        "hmac der" => signer.der.clone(),
        "hmac jwk" => signer.jwk.to_string().into_bytes(),
        "hmac raw" => signer.raw.clone(),
        "hmac empty" => Vec::new(),
        other => panic!("sign {other:?} is not known"),
    }
}

fn edited(signed: &str, signature: &[u8], signer: &Signer, edit: &str) -> String {
    let with = |signature: &[u8]| format!("{signed}.{}", base64url(signature));
    let (header, body) = signed.split_once('.').unwrap();
    let token = with(signature);
    let written = base64url(signature);
    match edit {
        "" => token,
        "no signature" => with(&[]),
        "half a signature" => with(&signature[..signature.len() / 2]),
        "one byte less" => with(&signature[..signature.len() - 1]),
        "one byte more" => with(&[signature, &[0]].concat()),
        "one bit of the signature" => with(&[&[signature[0] ^ 1], &signature[1..]].concat()),
        "all zero" => with(&vec![0; signature.len()]),
        "all ones" => with(&vec![0xFF; signature.len()]),
        "signature twice" => with(&signature.repeat(2)),
        "signature in DER" => with(&(signer.sign_der)(signed.as_bytes())),
        "signature of other claims" => with(&(signer.sign)(format!("{header}.e30").as_bytes())),
        "small order" => with(&[&[1], &vec![0; signature.len() - 1][..]].concat()),
        "padding on the signature" => token + "==",
        "padding on the header" => format!("{header}=.{body}.{written}"),
        "padding on the claims" => format!("{header}.{body}==.{written}"),
        "the other alphabet" => token.replace('-', "+").replace('_', "/"),
        "bits behind the end of the signature" => format!("{signed}.{}", trailing_bits(&written)),
        "bits behind the end of the claims" => format!("{header}.{}.{written}", trailing_bits(body)),
        "percent encoding" => token.replace('.', "%2E"),
        "no dots" => token.replace('.', ""),
        "one dot" => format!("{header}.{body}"),
        "a dot behind" => token + ".",
        "a dot in front" => format!(".{token}"),
        "four parts" => token + ".e30",
        "five parts" => token + ".e30.e30",
        "empty header" => format!(".{body}.{written}"),
        "empty claims" => format!("{header}..{written}"),
        "only dots" => "..".to_owned(),
        "nothing" => String::new(),
        "JSON serialization" => {
            json!({ "payload": body, "signatures": [{ "protected": header, "signature": written }] }).to_string()
        }
        "flattened JSON serialization" => {
            json!({ "payload": body, "protected": header, "signature": written }).to_string()
        }
        "a blank in front" => format!(" {token}"),
        "a blank behind" => token + " ",
        "a line break behind" => token + "\n",
        "a line break inside" => format!("{header}.\n{body}.{written}"),
        "a tab inside" => format!("{header}\t.{body}.{written}"),
        "a NUL behind" => token + "\0",
        "a byte order mark in front" => format!("\u{FEFF}{token}"),
        "quotes around" => format!("\"{token}\""),
        "Bearer in front" => format!("Bearer {token}"),
        "a full stop of another script" => token.replace('.', "\u{3002}"),
        "two tokens with a comma" => format!("{token},{token}"),
        other => panic!("edit {other:?} is not known"),
    }
}

/// Sets a bit in the last letter that decoding throws away; where there is none, adds a letter that decodes to nothing.
fn trailing_bits(part: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return format!("{part}A");
    }
    let (rest, last) = part.split_at(part.len() - 1);
    let value = LETTERS.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", char::from(LETTERS[value | 1]))
}

fn kinds() -> Vec<Kind> {
    serde_json::from_str(include_str!("hostile.json")).unwrap()
}

#[test]
fn oauth_78_an_honest_token_of_each_key_type_is_accepted() {
    let world = World::new();
    for signer in &world.signers {
        let claims = world.judge(&signer.honest()).unwrap_or_else(|error| panic!("{}: {error}", signer.alg));
        assert_eq!((claims.subject(), claims.text("client_id")), (Some("ada"), Some("app")));
        assert_eq!(claims.expires(), Some(Timestamp::from_seconds(NOW + 900)));
        assert!(claims.scopes("scope").eq(["mcp:tools"]) && claims.audiences().eq([AUDIENCE]));
    }
}

#[test]
fn sec_a17_oauth_78_no_hostile_token_is_accepted_and_each_is_refused_for_its_own_reason() {
    let (world, kinds) = (World::new(), kinds());
    let mut wrong = Vec::new();
    for at in 0..world.signers.len() {
        for kind in &kinds {
            let token = world.forged(at, kind);
            assert_ne!(token, world.signers[at].honest(), "{} changes nothing", kind.what);
            let verdict = match world.judge(&token) {
                Ok(_) => "accepted".to_owned(),
                Err(error) => format!("{error:?}").split('(').next().unwrap().to_owned(),
            };
            if verdict != kind.because {
                wrong.push(format!("{} with {}: {verdict}, not {}", kind.what, world.signers[at].alg, kind.because));
            }
        }
    }
    assert!(kinds.len() >= 60 && world.signers.len() >= 4);
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn sec_a17_no_letter_of_a_token_can_be_another_one() {
    let world = World::new();
    for signer in &world.signers {
        let token = signer.honest();
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(world.judge(&forged).is_err(), "{} with another letter at {at}", signer.alg);
        }
    }
}

#[test]
fn sec_a17_no_token_cut_short_is_accepted() {
    let world = World::new();
    for token in world.signers.iter().map(Signer::honest) {
        assert!(
            (0..token.len()).all(|at| world.judge(&token[..at]).is_err() && world.judge(&token[at + 1..]).is_err())
        );
    }
}
