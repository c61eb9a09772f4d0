//! JSON in one spelling: two texts that mean the same are the same, and two that do not are not.

use std::fmt::{self, Write};

use aws_lc_rs::digest::{SHA256, digest};

use serde_json::Value;

use crate::kit::json::{Flaw, Limits, Reader};

/// The SHA-256 of a document in its one spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a JSON document. The order of members, white space, escapes and the spelling of numbers do not matter.
    pub fn of(document: &str) -> Result<Self, Flaw> {
        canonical(document).map(|text| Self::of_bytes(text.as_bytes()))
    }

    /// Of these bytes as they are.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sum)
    }

    /// The sum.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A value in the one spelling. One that nests deeper than what is read of answers is spelt as it comes.
pub fn canonical_value(value: &Value) -> String {
    let text = value.to_string();
    canonical(&text).unwrap_or(text)
}

/// A document in the one spelling, that of RFC 8785 but for numbers: those are not rounded, so two long ones that a double
/// takes for the same stay apart.
pub fn canonical(document: &str) -> Result<String, Flaw> {
    let mut reader = Reader::new(document, &Limits::ANSWER);
    let mut text = String::with_capacity(document.len());
    value(&mut reader, &mut text)?;
    reader.end()?;
    Ok(text)
}

/// The reader bounds how deep this goes.
fn value(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Flaw> {
    match reader.peek() {
        Some(b'{') => object(reader, out),
        Some(b'[') => array(reader, out),
        Some(b'"') => {
            let text = reader.string()?.text(reader.document());
            string(&text, out);
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') => {
            let span = reader.value()?;
            number(reader.document().get(span.range()).unwrap_or_default(), out);
            Ok(())
        }
        _ => {
            let span = reader.value()?;
            out.push_str(reader.document().get(span.range()).unwrap_or_default());
            Ok(())
        }
    }
}

fn object(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Flaw> {
    let mut members = Vec::new();
    reader.object(|reader, key| {
        let name = key.text(reader.document()).into_owned();
        let mut text = String::new();
        value(reader, &mut text)?;
        members.push((name, text));
        Ok(())
    })?;
    members.sort();
    out.push('{');
    for (index, (name, text)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        out.push_str(text);
    }
    out.push('}');
    Ok(())
}

fn array(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Flaw> {
    out.push('[');
    let mut first = true;
    reader.array(|reader| {
        if !std::mem::replace(&mut first, false) {
            out.push(',');
        }
        value(reader, out)
    })?;
    out.push(']');
    Ok(())
}

fn string(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// Zeros that a number may be written with. More of them are an exponent.
const ZEROS: usize = 20;

/// `-12.50`, `-125e-1` and `-0.125E2` are all `-12.5`.
fn number(text: &str, out: &mut String) {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        out.push('0');
        return;
    }
    let shift = i128::try_from(digits.len() - kept.len()).unwrap_or_default()
        - i128::try_from(fraction.len()).unwrap_or_default();
    out.push_str(sign);
    match exponent.parse::<i64>() {
        Ok(exponent) => scaled(kept, i128::from(exponent) + shift, out),
        // Too large to be added up: only the very same spelling is the same.
        Err(_) => drop(write!(out, "{kept}e{exponent}+{shift}")),
    }
}

/// `digits` × 10^`exponent`; the last digit is no zero.
fn scaled(digits: &str, exponent: i128, out: &mut String) {
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    let point = digits.len().saturating_sub(places);
    let _ = match exponent {
        0.. if places <= ZEROS => write!(out, "{digits}{:0<places$}", ""),
        ..0 if point > 0 => write!(out, "{}.{}", &digits[..point], &digits[point..]),
        ..0 if places - digits.len() <= ZEROS => write!(out, "0.{digits:0>places$}"),
        _ => write!(out, "{digits}e{exponent}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_mean_the_same_have_one_fingerprint() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "\u0061" : 1 } "#),
            (r#"{"n":100}"#, r#"{"n":1e2}"#),
            (r#"{"n":100}"#, r#"{"n":100.00}"#),
            (r#"{"n":-0.5}"#, r#"{"n":-5E-1}"#),
            (r#"{"n":0}"#, r#"{"n":-0.0e7}"#),
            (r#""\u00e9\/\n""#, "\"é/\\u000a\""),
        ] {
            assert_eq!(Fingerprint::of(one).unwrap(), Fingerprint::of(other).unwrap(), "{one} {other}");
        }
    }

    #[test]
    fn people_can_read_the_one_spelling() {
        for (text, spelling) in [
            (r#"{"b":[1,2.50,-0,"\u00e9"],"a":1e3}"#, r#"{"a":1000,"b":[1,2.5,0,"é"]}"#),
            ("-0.125E2", "-12.5"),
            ("1e-3", "0.001"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e21"),
            ("1.5e-30", "15e-31"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(canonical(text).unwrap(), spelling);
            assert_eq!(canonical(spelling).unwrap(), spelling);
        }
    }

    #[test]
    fn sec_texts_that_do_not_mean_the_same_have_two() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"n":9007199254740992}"#, r#"{"n":9007199254740993}"#),
            (r#"{"n":123456789012345678901234567890}"#, r#"{"n":123456789012345678901234567891}"#),
            (r#"{"n":1}"#, r#"{"n":10}"#),
            (r#"{"n":1}"#, r#"{"n":-1}"#),
            (r#"["a","b"]"#, r#"["b","a"]"#),
            (r#"["a,b"]"#, r#"["a","b"]"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#),
            (r#"{"a":null}"#, "{}"),
            (r#""é""#, r#""e\u0301""#),
        ] {
            assert_ne!(Fingerprint::of(one).unwrap(), Fingerprint::of(other).unwrap(), "{one} {other}");
        }
        assert!(Fingerprint::of(r#"{"a":1,"a":2}"#).is_err());
    }
}
