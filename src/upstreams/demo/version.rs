//! Protocol versions and the two eras.
//!
//! Source: 2026-07-28 `basic/versioning.mdx`; legacy rules from 2025-11-25 `basic/lifecycle.mdx` and
//! `basic/transports.mdx`.

/// The version that carries itself in each request's `_meta`.
pub(super) const MODERN: &str = "2026-07-28";

/// The newest version that begins with `initialize`.
const NEWEST_LEGACY: &str = "2025-11-25";

/// Everything this server speaks, newest first.
pub(super) const SUPPORTED: [&str; 4] = [MODERN, NEWEST_LEGACY, "2025-06-18", "2025-03-26"];

/// How a request is to be read and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Begun by an `initialize` handshake: 2025-11-25 and before.
    Legacy,
    /// Version and capabilities in each request: 2026-07-28.
    Modern,
}

/// What `initialize` settles on: the client's wish if it is a legacy version we speak, else our newest.
pub(super) fn negotiate(requested: &str) -> &'static str {
    SUPPORTED.into_iter().find(|version| *version == requested && *version != MODERN).unwrap_or(NEWEST_LEGACY)
}
