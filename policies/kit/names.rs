//! Maps whose keys stand in the configuration.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map of names that operators chose. Whoever sends requests can look anything up in it but put nothing into it, so its
/// hash needs no key and costs a third.
pub type NameMap<K, V> = HashMap<K, V, BuildHasherDefault<NameHasher>>;

/// Mixes eight bytes at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: [u8; 8]) {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(*word);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(last);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte).to_le_bytes());
    }

    fn finish(&self) -> u64 {
        // The best bits of a product are its highest, and a map looks at the lowest too.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_alike_are_told_apart_and_spread() {
        let names: Vec<_> = (0..10_000).map(|number| format!("/mcp/team-{}/tool_{number}", number % 7)).collect();
        let map: NameMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        assert!(names.iter().enumerate().all(|(place, name)| map.get(name.as_str()) == Some(&place)));
        let hash = |name: &String| {
            let mut hasher = NameHasher::default();
            hasher.write(name.as_bytes());
            hasher.finish()
        };
        let low: std::collections::HashSet<_> = names.iter().map(|name| hash(name) & 0xFFFF).collect();
        let high: std::collections::HashSet<_> = names.iter().map(|name| hash(name) >> 57).collect();
        assert!(low.len() > 8_500 && high.len() == 128, "{} {}", low.len(), high.len());
    }
}
