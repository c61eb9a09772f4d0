//! The examples that stand with the patterns, made out in full.
//!
//! What looks like a secret of somebody makes the scanners of code hosts raise an alarm, so the file says of examples only what
//! they are made of: `ghp_<alnum:36>`.

use serde::Deserialize;

use super::patterns::FILE;

/// What a test knows of a pattern.
#[derive(Debug, Deserialize)]
pub(super) struct Example {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) set: String,
    pub(super) literals: Vec<String>,
    pub(super) finds: Vec<String>,
    pub(super) passes: Vec<String>,
}

pub(super) fn examples() -> Vec<Example> {
    let file: serde_json::Value = serde_json::from_str(FILE).unwrap();
    serde_json::from_value(file["patterns"].clone()).unwrap()
}

/// The example with its parts made out: the same for the same seed.
pub(super) fn made_out(example: &str, seed: u64) -> String {
    let mut chance = Chance(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15));
    let mut parts = example.split('<');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (class, rest) = part.split_once('>').unwrap();
        let (class, length) = class.split_once(':').unwrap();
        let letters = letters(class);
        text.extend((0..length.parse().unwrap()).map(|_| char::from(letters[chance.below(letters.len())])));
        text.push_str(rest);
    }
    text
}

fn letters(class: &str) -> Vec<u8> {
    let (upper, lower, digits) = (b'A'..=b'Z', b'a'..=b'z', b'0'..=b'9');
    match class {
        "alnum" => upper.chain(lower).chain(digits).collect(),
        "url" => upper.chain(lower).chain(digits).chain(*b"_-").collect(),
        "b64" => upper.chain(lower).chain(digits).chain(*b"+/").collect(),
        "letters" => upper.chain(lower).collect(),
        "lower" => lower.chain(digits).collect(),
        "upper" => upper.chain(digits).collect(),
        "b32" => upper.chain(b'2'..=b'7').collect(),
        "bech32" => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_vec(),
        "hex" => digits.chain(b'a'..=b'f').collect(),
        "digits" => digits.collect(),
        other => panic!("{other}"),
    }
}

/// Numbers that look like chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}
