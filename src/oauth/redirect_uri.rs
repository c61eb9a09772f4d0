//! Where codes may be sent: what may be registered, and what of it a request names.

use std::fmt;

use portcullis_policies::kit::fetch::is_loopback;
use url::Url;

/// A redirect URI that may be registered: https, http on loopback, or one of the schemes that the operator allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedirectUri {
    text: String,
    url: Url,
}

/// Why an address may not be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of a redirect URI at most.
const LONGEST: usize = 2048;

impl RedirectUri {
    /// Judges what a client wants to register. `schemes` are the private-use schemes (RFC 8252 §7.1) that are allowed.
    pub(super) fn parse(text: &str, schemes: &[String]) -> Result<Self, Unfit> {
        let unfit = |why: &str| Err(Unfit(format!("redirect URI {why}")));
        if text.len() > LONGEST {
            return unfit("is too long");
        }
        // The URL parser would silently drop some of these.
        if text.bytes().any(|byte| !(0x21..=0x7E).contains(&byte) || b"\"<>\\^`{|}*".contains(&byte)) {
            return unfit("has characters that are not allowed in a URI, or a wildcard");
        }
        let Ok(url) = Url::parse(text) else { return unfit("is not an absolute URI") };
        if text.contains('#') {
            return unfit("has a fragment");
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return unfit("has user information");
        }
        match url.scheme() {
            "https" if !authority(text).is_empty() => {}
            "http" if is_loopback(&url) => {}
            "http" => return unfit("uses http, which is allowed on loopback only"),
            scheme if schemes.iter().any(|allowed| allowed == scheme) && !is_dangerous(scheme) => {}
            _ => return unfit("has a scheme that is not allowed; use https, or http on loopback"),
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// As registered.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Does only this machine get what is sent there?
    pub(super) fn is_loopback(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Is it a web site's, so that its host vouches for it?
    pub(super) fn is_web(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Does a request that names `asked` mean this one? The text must be the same (OAuth 2.1 §2.3.1); only on loopback
    /// the port is free (RFC 8252 §7.3), because programs take whichever is there.
    pub(super) fn admits(&self, asked: &str) -> bool {
        if self.text == asked {
            return true;
        }
        self.is_loopback() && without_port(&self.text).is_some_and(|own| without_port(asked) == Some(own))
    }

    /// Where a form leads whose answer ends at `asked`, as a source of a content security policy: an origin, or a scheme.
    pub(super) fn form_target(asked: &str) -> Option<String> {
        let url = Url::parse(asked).ok()?;
        Some(match url.scheme() {
            "http" | "https" => url.origin().ascii_serialization(),
            scheme => format!("{scheme}:"),
        })
    }

    /// The host for people to look at, or the scheme where there is no host.
    pub(super) fn shown(asked: &str) -> String {
        match Url::parse(asked) {
            Ok(url) => match url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) {
                Some(host) => host.to_owned(),
                None => format!("{}:", url.scheme()),
            },
            Err(_) => String::new(),
        }
    }
}

/// Schemes that make a browser do something else than open a program, whatever the operator wrote.
fn is_dangerous(scheme: &str) -> bool {
    const DANGEROUS: &[&str] =
        &["javascript", "data", "vbscript", "file", "blob", "about", "view-source", "ftp", "ws", "wss", "filesystem"];
    DANGEROUS.contains(&scheme)
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// An `http` URI as (host, path and query) without its port. Only plain spellings match: what is compared is text.
fn without_port(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            host
        }
        _ => authority,
    };
    Some((host, path))
}

#[cfg(test)]
mod tests {
    use super::RedirectUri;

    fn registered(text: &str) -> RedirectUri {
        RedirectUri::parse(text, &["cursor".to_owned()]).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn oauth_02_oauth_03_as_07_a_redirect_uri_is_matched_by_its_text_and_only_on_loopback_the_port_is_free() {
        let same =
            ["https://app.example/cb", "https://app.example/cb?a=1", "http://127.0.0.1:3000/cb", "cursor://x/cb"];
        for text in same {
            assert!(registered(text).admits(text), "{text}");
        }
        for (own, asked) in [
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:50123/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
            ("http://localhost:3000/cb", "http://localhost:65535/cb"),
        ] {
            assert!(registered(own).admits(asked), "{own} {asked}");
        }
        for (own, asked) in [
            ("https://app.example/cb", "https://app.example/cb/"),
            ("https://app.example/cb", "https://app.example/CB"),
            ("https://app.example/cb", "https://app.example:443/cb"),
            ("https://app.example/cb", "https://app.example/cb?x=1"),
            ("https://app.example/cb", "https://APP.example/cb"),
            ("https://app.example/cb", "https://app.example/x/../cb"),
            ("https://app.example/cb", "https://app.example/cb#x"),
            ("https://app.example/cb", "http://app.example/cb"),
            ("https://app.example:8443/cb", "https://app.example:8444/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000/other"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000/cb?x=1"),
            ("http://127.0.0.1:3000/cb", "http://localhost:3000/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.2:3000/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000@evil.example/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:123456/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000.evil.example/cb"),
            ("http://localhost:3000/cb", "http://localhost.evil.example:3000/cb"),
            ("http://localhost:3000/cb", "https://localhost:3000/cb"),
            ("cursor://x/cb", "cursor://y/cb"),
        ] {
            assert!(!registered(own).admits(asked), "{own} {asked}");
        }
    }

    #[test]
    fn oauth_04_oauth_05_sec_a6_hostile_redirect_uris_are_not_registered() {
        for text in [
            "javascript:alert(1)",
            "JavaScript://%0aalert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://x/y",
            "about:blank",
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost.evil.example/cb",
            "https://user@app.example/cb",
            "https://u:p@app.example/cb",
            "https://@app.example/cb",
            "https://app.example/cb#frag",
            "https://app.example/cb#",
            "https://*.example/cb",
            "https://app.example/*",
            "https://app.example/c b",
            "https://app.example/\ncb",
            "\thttps://app.example/cb",
            "https://app.example\\@evil.example/cb",
            "//app.example/cb",
            "/cb",
            "",
            "https://",
            "https:///cb",
            "ftp://app.example/cb",
            "ws://app.example/cb",
            "unknown-app://cb",
            "com.example.app:/cb",
            "https://app.example/\u{202e}cb",
            "https://app.example/\"><script>",
        ] {
            let hostile = RedirectUri::parse(text, &["cursor".to_owned(), "javascript".to_owned()]);
            assert!(hostile.is_err(), "{text:?}");
        }
        assert!(RedirectUri::parse(&format!("https://app.example/{}", "x".repeat(2048)), &[]).is_err());
        assert!(RedirectUri::parse("com.example.app:/cb", &["com.example.app".to_owned()]).is_ok());
    }
}
