//! The proxy that this machine's environment names. Doctor goes directly; some clients go through it.

use std::{io, net::IpAddr, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use tokio::{net::TcpStream, task::JoinSet};
use url::{Position, Url};

use super::{super::finding::shown, peer::Stream};

/// A proxy, and the variable that names it.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    /// `HTTPS_PROXY` …
    variable: &'static str,
    url: Url,
}

/// What the environment says about a URL.
#[derive(Clone, Debug)]
pub(super) enum Environment {
    /// It names no proxy.
    Silent,
    /// It names one, and not for this host.
    Exempt(Proxy),
    /// It names one for this host.
    Named(Proxy),
}

impl Environment {
    /// By the variables, as most programs read them: small letters first.
    pub(super) fn about(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Self {
        let own = if url.scheme() == "https" { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
        let names = own.into_iter().chain(["all_proxy", "ALL_PROXY"]);
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Some(proxy) = names.into_iter().find_map(|name| Proxy::read(name, &set(name)?)) else {
            return Self::Silent;
        };
        let exempt = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        if exempt.split(',').any(|entry| covers(entry.trim(), url)) { Self::Exempt(proxy) } else { Self::Named(proxy) }
    }
}

/// Does an entry of `NO_PROXY` stand for this host: `*`, a name and all below it, an address, a network, each with a port
/// or without?
fn covers(entry: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse::<u16>().ok()),
        _ => (entry.trim_matches(['[', ']']), None),
    };
    if name.is_empty() || port.is_some_and(|port| url.port_or_known_default() != Some(port)) {
        return false;
    }
    let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
    let network = IpNet::from_str(&name).ok().zip(IpAddr::from_str(host).ok());
    name == "*"
        || network.is_some_and(|(network, address)| network.contains(&address))
        || host.strip_suffix(&*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Proxy {
    fn read(variable: &'static str, value: &str) -> Option<Self> {
        let value = value.trim();
        let url =
            Url::parse(value).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{value}")).ok())?;
        Some(Self { variable, url })
    }

    /// As it may be shown, without the password that may stand in it.
    pub(super) fn name(&self) -> String {
        let mut bare = self.url.clone();
        let _ = (bare.set_username(""), bare.set_password(None));
        format!("{}={}", self.variable, shown(&bare).trim_end_matches('/'))
    }

    /// Can it be asked here: with plain HTTP, as nearly all are?
    pub(super) fn is_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// `Basic …`, if the URL of the proxy has a user.
    pub(super) fn credential(&self) -> Option<HeaderValue> {
        let (user, password) = (self.url.username(), self.url.password().unwrap_or_default());
        let plain = |text: &str| percent_decode_str(text).collect::<Vec<_>>();
        let both = [plain(user), plain(password)].join(&b':');
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok()?;
        value.set_sensitive(true);
        (!user.is_empty()).then_some(value)
    }

    /// A connection to the proxy, or through it (CONNECT) where what follows is TLS.
    pub(super) async fn dial(&self, url: &Url) -> io::Result<Box<dyn Stream>> {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.url.port_or_known_default().unwrap_or(80))).await?;
        if url.scheme() == "https" { self.tunnel(stream, url).await } else { Ok(Box::new(stream)) }
    }

    async fn tunnel(&self, stream: TcpStream, url: &Url) -> io::Result<Box<dyn Stream>> {
        let host = &url[Position::BeforeHost..Position::AfterHost];
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let target = Uri::from_str(&authority).map_err(io::Error::other)?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = target;
        request.headers_mut().insert(header::HOST, authority.parse().map_err(io::Error::other)?);
        request.headers_mut().extend(self.credential().map(|credential| (header::PROXY_AUTHORIZATION, credential)));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut driving = JoinSet::new();
        driving.spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        if answer.status() != StatusCode::OK {
            return Err(io::Error::other(format!("the proxy answers {} to CONNECT", answer.status())));
        }
        Ok(Box::new(TokioIo::new(hyper::upgrade::on(answer).await.map_err(io::Error::other)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(url: &str, variables: &[(&str, &str)]) -> Environment {
        let variable = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        Environment::about(&Url::parse(url).unwrap(), variable)
    }

    #[test]
    fn the_environment_names_a_proxy_for_a_scheme_and_exempts_hosts() {
        let url = "https://mcp.example:8443/mcp";
        let proxy = ("HTTPS_PROXY", "http://ada:canary@proxy.example:3128");
        assert!(matches!(about(url, &[]), Environment::Silent));
        assert!(matches!(
            about(url, &[("HTTP_PROXY", "proxy.example:3128"), ("HTTPS_PROXY", " ")]),
            Environment::Silent
        ));
        assert!(matches!(about(url, &[("all_proxy", "proxy.example:3128")]), Environment::Named(_)));
        for no in ["*", "mcp.example", "example", ".example", "*.example", "other, MCP.example:8443"] {
            assert!(matches!(about(url, &[proxy, ("no_proxy", no)]), Environment::Exempt(_)), "{no}");
        }
        for no in ["", "cp.example", "mcp.example:443", "10.0.0.0/8", "mcp.example.org"] {
            assert!(matches!(about(url, &[proxy, ("NO_PROXY", no)]), Environment::Named(_)), "{no}");
        }
        for (url, no) in [("https://10.1.2.3/", "10.0.0.0/8"), ("https://[::1]/", "::1"), ("https://[::1]/", "[::1]")] {
            assert!(matches!(about(url, &[proxy, ("NO_PROXY", no)]), Environment::Exempt(_)), "{no}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_sent_and_never_shown() {
        let Environment::Named(proxy) = about("https://h/", &[("https_proxy", "http://ada:p%40ss@proxy.example:3128")])
        else {
            panic!("no proxy")
        };
        assert_eq!(proxy.name(), "https_proxy=http://proxy.example:3128");
        let credential = proxy.credential().unwrap();
        assert!(credential.is_sensitive() && credential == "Basic YWRhOnBAc3M=");
    }
}
