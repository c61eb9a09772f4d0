//! What stands before a server, known by its answers: proxies and caches by what they write in headers, bot protections and
//! sign-in pages by what they send in the server's place.

use http::{StatusCode, header};
use url::Url;

use super::{Fault, answered::Seen};

/// What does not let programs through.
#[derive(Debug)]
pub struct Guard {
    /// The product.
    pub name: &'static str,
    /// What it does to clients.
    pub fault: Fault,
    /// What to change in this product.
    pub fix: &'static str,
    signs: &'static [Sign],
}

/// By what it is known.
#[derive(Debug)]
enum Sign {
    /// A header with a value that contains this.
    Header(&'static str, &'static str),
    /// A redirect to an address that contains this.
    Redirect(&'static str),
    /// A redirect to an address with this between two slashes of its path.
    Segment(&'static str),
    /// A page that contains this.
    Page(&'static str),
}

use Sign::{Header, Page, Redirect, Segment};

const CLOUDFLARE: &str = "In Cloudflare, add a WAF custom rule with the action Skip for the MCP path and /.well-known/, for managed \
                          rules and Super Bot Fight Mode. Bot Fight Mode and `Block AI bots` know no exception by path: turn \
                          them off, or use a host of its own.";
const EXEMPT: &str = Fault::ChallengePage.fix();
const ACCESS: &str = "Let the MCP path and /.well-known/ pass without this sign-in (for Cloudflare Access: a Bypass policy; for \
                      oauth2-proxy: --skip-auth-route): the MCP server signs its clients in by itself.";

/// The products. A new one is a line here.
const GUARDS: &[Guard] = &[
    challenge("Cloudflare", CLOUDFLARE, &[Header("cf-mitigated", "challenge"), Page("_cf_chl_opt")]),
    challenge(
        "AWS WAF",
        "In AWS WAF, set the action of the rule (Bot Control or another) to Count or Allow for the MCP path, by a scope-down \
         statement.",
        &[Header("x-amzn-waf-action", "")],
    ),
    challenge("Akamai", EXEMPT, &[Page("/_sec/cp_challenge/"), Page("errors.edgesuite.net")]),
    challenge("Imperva", EXEMPT, &[Page("_incapsula_resource")]),
    challenge("DataDome", EXEMPT, &[Header("x-dd-b", ""), Page("captcha-delivery.com")]),
    challenge("Vercel", EXEMPT, &[Header("x-vercel-mitigated", "")]),
    challenge("HUMAN (PerimeterX)", EXEMPT, &[Page("px-captcha"), Page("_pxappid")]),
    challenge("Anubis", EXEMPT, &[Page("/.within.website/x/cmd/anubis")]),
    sign_in(
        "Cloudflare Access",
        &[
            Redirect(".cloudflareaccess.com/"),
            Redirect("/cdn-cgi/access/"),
            Header("www-authenticate", "cloudflare-access"),
        ],
    ),
    sign_in("Google IAP", &[Header("x-goog-iap-generated-response", "")]),
    sign_in("oauth2-proxy", &[Redirect("/oauth2/start"), Redirect("/oauth2/sign_in"), Page("oauth2-proxy")]),
    sign_in(
        "an AWS load balancer with a sign-in",
        &[Header("set-cookie", "awsalbauthnonce"), Redirect(".amazoncognito.com/")],
    ),
    sign_in("Microsoft Entra", &[Redirect("login.microsoftonline.com/"), Redirect("/.auth/login/")]),
    sign_in(
        "Vercel's deployment protection",
        &[Header("set-cookie", "_vercel_sso_nonce"), Redirect("vercel.com/sso-api")],
    ),
    sign_in("a Google sign-in", &[Redirect("accounts.google.com/")]),
    sign_in("a sign-in for people", &[Segment("login"), Segment("signin"), Segment("sign-in"), Segment("sign_in")]),
];

const fn challenge(name: &'static str, fix: &'static str, signs: &'static [Sign]) -> Guard {
    Guard { name, fault: Fault::ChallengePage, fix, signs }
}

const fn sign_in(name: &'static str, signs: &'static [Sign]) -> Guard {
    Guard { name, fault: Fault::AccessGate, fix: ACCESS, signs }
}

/// What answered in the server's place, if that is known. Only for answers that are no MCP server's.
pub fn guard<'a>(answer: impl Into<Seen<'a>>) -> Option<&'static Guard> {
    let answer = answer.into();
    // A challenge may come with 503. Other failures are failures, whoever tells them.
    let may_be = !answer.status.is_server_error() || answer.status == StatusCode::SERVICE_UNAVAILABLE;
    GUARDS.iter().filter(|_| may_be).find(|guard| guard.signs.iter().any(|sign| sign.is_in(&answer)))
}

impl Sign {
    fn is_in(&self, answer: &Seen<'_>) -> bool {
        match self {
            Header(name, part) => {
                let mut values = answer.headers.get_all(*name).iter();
                values.any(|value| contains(value.as_bytes(), part))
            }
            Redirect(part) => {
                let to = answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection());
                to.is_some_and(|to| contains(to.as_bytes(), part))
            }
            Segment(name) => redirect(answer).is_some_and(|to| {
                let mut segments = to.path_segments().into_iter().flatten();
                segments.any(|segment| segment.eq_ignore_ascii_case(name))
            }),
            Page(part) => answer.is("text/html") && contains(answer.body(), part),
        }
    }
}

/// Where it leads; as to the host only if it names one.
fn redirect(answer: &Seen<'_>) -> Option<Url> {
    let to = answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection())?;
    Url::parse("http://here.invalid/").ok()?.join(to.to_str().ok()?).ok()
}

/// Without regard to capitals. Everything contains nothing.
fn contains(bytes: &[u8], part: &str) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

/// Headers that only a proxy, a cache or the platform of a host writes, and whose they are.
const FRONTS: &[(&str, &str)] = &[
    ("cf-ray", "Cloudflare"),
    ("x-amz-cf-id", "CloudFront"),
    ("x-amzn-trace-id", "an AWS load balancer"),
    ("x-akamai-transformed", "Akamai"),
    ("x-fastly-request-id", "Fastly"),
    ("x-served-by", "a cache"),
    ("x-varnish", "Varnish"),
    ("x-cache", "a cache"),
    ("x-envoy-upstream-service-time", "Envoy"),
    ("x-azure-ref", "Azure Front Door"),
    ("x-vercel-id", "Vercel"),
    ("fly-request-id", "Fly.io"),
    ("x-nf-request-id", "Netlify"),
    ("x-kong-proxy-latency", "Kong"),
    ("ngrok-error-code", "ngrok"),
    ("via", "a proxy"),
];
/// What proxies call themselves in `Server`.
const SERVERS: &[&str] = &[
    "nginx",
    "openresty",
    "cloudflare",
    "envoy",
    "istio-envoy",
    "caddy",
    "traefik",
    "haproxy",
    "apache",
    "awselb",
    "cloudfront",
    "varnish",
    "akamaighost",
    "google frontend",
    "microsoft-azure",
    "squid",
    "litespeed",
    "gws",
    "fly/",
    "railway",
    "vercel",
    "netlify",
    "kestrel",
    "ngrok",
];

/// What stands in front, with the header that tells it.
pub fn fronts<'a>(answer: impl Into<Seen<'a>>) -> Vec<String> {
    let answer = answer.into();
    let text = |name: &str| Some(String::from_utf8_lossy(answer.headers.get(name)?.as_bytes()).into_owned());
    let server = text("server").filter(|server| is_proxy(server)).map(|server| format!("server: {server}"));
    let others = FRONTS.iter().filter_map(|(name, whose)| Some(format!("{whose} ({name}: {})", text(name)?)));
    server.into_iter().chain(others).collect()
}

fn is_proxy(server: &str) -> bool {
    SERVERS.iter().any(|known| contains(server.as_bytes(), known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_nothing_is_in_everything() {
        assert!(contains(b"Set _Incapsula_Resource", "_incapsula_resource") && contains(b"", ""));
        assert!(!contains(b"short", "longer than that"));
        assert!(is_proxy("nginx/1.27.1") && is_proxy("Caddy") && !is_proxy("uvicorn") && !is_proxy(""));
    }
}
