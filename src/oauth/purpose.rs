//! What somebody signs in for.

use serde::{Deserialize, Serialize};

use super::request::AuthorizationRequest;

/// What somebody signs in for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// A client asked, and the person has said yes.
    Client(AuthorizationRequest),
    /// The person wants to see a page of ours.
    Page(OwnPage),
}

impl Purpose {
    /// The route by whose sign-in.
    pub(super) fn route(&self) -> &str {
        match self {
            Self::Client(request) => &request.route,
            Self::Page(page) => &page.route,
        }
    }

    /// Must the person say anew who they are?
    pub(super) fn sign_in_again(&self) -> bool {
        match self {
            Self::Client(request) => request.sign_in_again,
            Self::Page(page) => page.sign_in_again,
        }
    }
}

/// One of the gateway's own pages, which a browser comes back to once somebody has signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnPage {
    route: String,
    path: String,
    sign_in_again: bool,
}

impl OwnPage {
    /// The page at `path`, behind the sign-in of `route`. `None` if the path could lead a browser anywhere else.
    pub(crate) fn new(route: &str, path: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let stays = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
        let stays = path.strip_prefix('/')?.split('/').all(stays);
        stays.then(|| Self { route: route.to_owned(), path: path.to_owned(), sign_in_again: false })
    }

    /// The person must say anew who they are.
    pub(crate) fn by_somebody_else(self) -> Self {
        Self { sign_in_again: true, ..self }
    }

    /// Its path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_86_a_browser_comes_back_to_pages_of_ours_alone() {
        for path in ["/connections", "/connect/Zx_-09.eA"] {
            assert!(OwnPage::new("/mcp", path).is_some_and(|page| page.path() == path), "{path}");
        }
        for path in [
            "",
            "connections",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "/connect/..//evil.example?",
            "/connect/a\r\nSet-Cookie: a=b",
            "/connect/%2e%2e",
            "/connect/..",
            "/connect/",
        ] {
            assert!(OwnPage::new("/mcp", path).is_none(), "{path:?}");
        }
    }
}
