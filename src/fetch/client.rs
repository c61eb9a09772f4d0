//! The client: judges, then asks.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use ipnet::IpNet;
use portcullis_policies::kit::fetch::{Fetch, FetchError, Fetched, Fetching, Wanted};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{
    Guard, Resolve, Roots,
    connection::{Acceptable, connect, exchange},
    seats::Seats,
    target::Target,
};

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which addresses it may ask.
    pub guard: Guard,
    /// Whose certificates it trusts.
    pub roots: Roots,
}

/// What one exchange may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the answer's body at most.
    pub max_bytes: usize,
    /// How long all of it may take: waiting for room, resolving, connecting, TLS, and the whole answer.
    pub patience: Duration,
}

/// The guarded client. Clones share what it is made of and how much it does at once.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    guard: Guard,
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    seats: Seats,
}

/// Addresses of one name that are tried.
const TRIED: usize = 4;

/// How long a host whose addresses are to be allowed may take to resolve.
const LOOKUP: Duration = Duration::from_secs(5);

impl Client {
    /// A client that resolves names with `resolver`.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolve>) -> Self {
        let mut tls = settings.roots.client_config();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        Self(Arc::new(Inner { guard: settings.guard, tls, resolver, seats: Seats::default() }))
    }

    /// The same client with room of its own: whoever keeps this one busy keeps nobody waiting who uses that one.
    #[must_use]
    pub fn apart(&self, resolver: Arc<dyn Resolve>) -> Self {
        let Inner { guard, tls, .. } = &*self.0;
        Self(Arc::new(Inner { guard: guard.clone(), tls: tls.clone(), resolver, seats: Seats::default() }))
    }

    /// The same client, which may ask the addresses too that this host has now, whatever they are.
    pub async fn trusting(&self, host: &Host<&str>) -> Self {
        let Inner { guard, tls, resolver, .. } = &*self.0;
        let addresses = match host {
            Host::Domain(name) => {
                timeout(LOOKUP, resolver.resolve(name)).await.ok().and_then(Result::ok).unwrap_or_default()
            }
            Host::Ipv4(address) => vec![(*address).into()],
            Host::Ipv6(address) => vec![(*address).into()],
        };
        let mut guard = guard.clone();
        guard.networks.extend(addresses.into_iter().map(IpNet::from));
        let (tls, resolver) = (tls.clone(), Arc::clone(resolver));
        Self(Arc::new(Inner { guard, tls, resolver, seats: Seats::default() }))
    }

    /// Sends a request and returns the answer, whatever its status, unless it is a redirect: no request is ever repeated
    /// elsewhere. The headers are sent as they are given, except those that are about the connection.
    ///
    /// # Errors
    ///
    /// Those of [`FetchError`]; [`FetchError::Status`] only for a redirect.
    pub async fn send<B: Into<Bytes>>(
        &self,
        request: Request<B>,
        budget: Budget,
    ) -> Result<Response<Bytes>, FetchError> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string())
            .map_err(|error| FetchError::Forbidden(format!("it is not a whole URL: {error}")))?;
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = head.method;
        *request.headers_mut() = head.headers;
        self.ask(url, request, budget, |status| !status.is_redirection()).await
    }

    async fn ask(
        &self,
        url: Url,
        mut request: Request<Full<Bytes>>,
        budget: Budget,
        status: fn(StatusCode) -> bool,
    ) -> Result<Response<Bytes>, FetchError> {
        let target = Target::new(url, self.0.guard.loopback)?;
        *request.uri_mut() = target.path()?;
        set_connection_headers(request.headers_mut(), target.authority()?);
        let acceptable = Acceptable { status, max_bytes: budget.max_bytes };
        let asking = async {
            let _seat = self.0.seats.take(&target.host.to_string()).await;
            let addresses = self.0.addresses(&target).await?;
            let stream = connect(&addresses, &target, budget.patience).await?;
            exchange(stream, &self.0.tls, &target, request, acceptable).await
        };
        timeout(budget.patience, Box::pin(asking)).await.unwrap_or(Err(FetchError::TimedOut))
    }
}

impl Inner {
    /// The addresses to connect to: all that the host has were judged. One that may not be asked forbids the others too,
    /// as whoever answers for the name would otherwise choose among them.
    async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, FetchError> {
        let mut addresses = match target.address() {
            Some(address) => vec![address],
            None => self.resolve(&target.host.to_string()).await?,
        };
        if let Some(address) = addresses.iter().find(|address| !self.allows(target, **address)) {
            // The answer goes to whoever chose the URL, and does not say what lies inside. The log may.
            tracing::warn!(host = %target.host, %address, tls = target.tls, "a fetch was forbidden by its address");
            return Err(forbidden(target));
        }
        addresses.truncate(TRIED);
        Ok(addresses)
    }

    fn allows(&self, target: &Target, address: IpAddr) -> bool {
        if target.tls { self.guard.allows(address) } else { self.guard.allows_plain(address) }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, FetchError> {
        let found = self.resolver.resolve(name).await.unwrap_or_else(|error| {
            tracing::debug!(name, %error, "a name for a fetch was not resolved");
            Vec::new()
        });
        if found.is_empty() { Err(FetchError::Unreachable(format!("{name} has no address"))) } else { Ok(found) }
    }
}

fn forbidden(target: &Target) -> FetchError {
    let host = &target.host;
    FetchError::Forbidden(if target.tls {
        format!(
            "{host} is not a public address, or leads to one that is not; `gateway.fetch.allowedNetworks` can allow it"
        )
    } else {
        format!("{host} is not this machine, and http goes no further; use https")
    })
}

/// The headers that are the client's own. One connection carries one exchange, and nothing is unpacked.
fn set_connection_headers(headers: &mut HeaderMap, host: HeaderValue) {
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TE, header::UPGRADE, header::EXPECT] {
        headers.remove(name);
    }
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // Some servers refuse programs that do not say what they are.
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("portcullis"));
}

impl Fetch for Client {
    fn fetch(&self, wanted: Wanted) -> Fetching<'_> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
        let budget = Budget { max_bytes: wanted.max_bytes, patience: wanted.patience };
        Box::pin(async move {
            let answer = self.ask(wanted.url, request, budget, |status| status == StatusCode::OK).await?;
            let (head, body) = answer.into_parts();
            Ok(Fetched { headers: head.headers, body })
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("guard", &self.0.guard).finish_non_exhaustive()
    }
}
