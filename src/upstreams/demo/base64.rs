//! Standard Base64 (RFC 4648 section 4), decoding only: `Mcp-Name` is all that needs it.

/// The bytes behind padded Base64, or nothing if the text is not exactly that.
///
/// Strict, so that one value has one spelling: padding is required and unused bits must be zero.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        buffer = buffer << 6 | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(buffer >> bits));
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0 && bits < 6).then_some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_the_examples_of_the_rfc_and_the_spec() {
        for (text, plain) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(decode("SGVsbG8sIOS4lueVjA==").as_deref(), Some("Hello, 世界".as_bytes()));
    }

    #[test]
    fn refuses_every_second_spelling() {
        for text in ["Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Z=g=", "Zm9v\n", "Zm-_"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
