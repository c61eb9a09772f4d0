//! What a regular expression cannot say about the text that it fits.

use serde::Deserialize;

/// A test that what was found must pass too.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Check {
    /// It is made of many different characters, and not of those that stand for a secret in documentation.
    Varied,
    /// The last digit is that of ISO/IEC 7812-1 (Luhn).
    Luhn,
    /// The country has IBANs of this length, and the check digits are right (ISO 13616).
    Iban,
    /// The number may have been given out (Social Security Administration, since 2011).
    Ssn,
}

/// How long an IBAN is, letters of the country first (IBAN Registry).
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 \
    LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 \
    QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

impl Check {
    /// How much of the text, from its beginning, passes; none if it does not.
    pub(super) fn accepts(self, text: &str) -> Option<usize> {
        match self {
            Self::Varied => is_varied(text).then_some(text.len()),
            Self::Luhn => is_card(text).then_some(text.len()),
            Self::Iban => iban(text),
            Self::Ssn => is_ssn(text).then_some(text.len()),
        }
    }
}

/// Chance makes sixteen characters of fewer than five different ones less than once in a million tokens.
fn is_varied(text: &str) -> bool {
    const LAST: usize = 16;
    const DIFFERENT: u32 = 5;
    let bytes = text.as_bytes();
    let last = &bytes[bytes.len().saturating_sub(LAST)..];
    let seen = last.iter().fold(0_u128, |seen, byte| seen | 1 << (byte & 0x7F));
    seen.count_ones() >= DIFFERENT
}

fn is_card(text: &str) -> bool {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).collect();
    let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| luhn(place, *digit)).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

fn luhn(place: usize, digit: u32) -> u32 {
    match (place % 2, 2 * digit) {
        (0, _) => digit,
        (_, double) if double > 9 => double - 9,
        (_, double) => double,
    }
}

/// The pattern may take words that follow for a part of it; the country says where it ends.
fn iban(text: &str) -> Option<usize> {
    let country = text.get(..2)?;
    let known = IBANS.split_ascii_whitespace().find(|known| known.starts_with(country))?;
    let length: usize = known.get(2..)?.parse().ok()?;
    let mut letters = text.char_indices().filter(|(_, letter)| *letter != ' ');
    let end = letters.nth(length - 1).map(|(at, last)| at + last.len_utf8())?;
    let plain: Vec<_> = text.get(..end)?.chars().filter(|letter| *letter != ' ').collect();
    let turned = plain[4..].iter().chain(&plain[..4]);
    let remainder = turned.filter_map(|letter| letter.to_digit(36)).fold(0, |rest, value| match value {
        0..=9 => (rest * 10 + value) % 97,
        _ => (rest * 100 + value) % 97,
    });
    (remainder == 1).then_some(end)
}

fn is_ssn(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut next = || parts.next().unwrap_or_default();
    let (area, group, serial) = (next(), next(), next());
    area != "000" && area != "666" && group != "00" && serial != "0000"
}
