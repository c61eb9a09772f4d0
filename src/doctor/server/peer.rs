//! HTTP exchanges with the server that was typed. Whatever somebody else chose goes through the guarded client instead.
//!
//! The operator named this host, so it may be anywhere, also on this machine. Each exchange has a connection of its own, no
//! redirect is followed, and an event stream is read no further than to the answer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::{Position, Url};

pub(super) use super::answer::{Answer, NoAnswer, Wanted};
use super::{
    super::certificate::Certificate,
    answer::{SESSION, Took, read},
    proxy::Proxy,
    witness::Witness,
};
use crate::{
    fault::Fault,
    fetch::{Roots, server_name},
};

/// How long one exchange may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whom we say to be.
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("portcullis-doctor/", env!("CARGO_PKG_VERSION")));

/// The server.
#[derive(Clone)]
pub(super) struct Peer {
    url: Url,
    tls: TlsConnector,
    witness: Option<Arc<Witness>>,
    /// Which of its addresses takes connections.
    pub(super) address: Option<SocketAddr>,
    /// Whom we say to be, or nobody.
    pub(super) user_agent: Option<HeaderValue>,
    /// A proxy to ask through.
    via: Option<Proxy>,
}

/// A connection, be it over TLS or through a proxy.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Peer {
    pub(super) fn new(url: Url, roots: &Roots) -> Self {
        let mut tls = roots.clone().client_config();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let witness = roots.clone().judge().ok().map(|judge| Arc::new(Witness::new(judge)));
        if let Some(witness) = &witness {
            tls.dangerous().set_certificate_verifier(Arc::<Witness>::clone(witness));
        }
        let tls = TlsConnector::from(Arc::new(tls));
        Self { url, tls, witness, address: None, user_agent: Some(OURSELVES), via: None }
    }

    /// The same, asked by somebody who calls himself so.
    pub(super) fn called(&self, name: HeaderValue) -> Self {
        Self { user_agent: Some(name), ..self.clone() }
    }

    /// The same, asked through a proxy.
    pub(super) fn through(&self, proxy: Proxy) -> Self {
        Self { via: Some(proxy), ..self.clone() }
    }

    /// Is it asked over TLS?
    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// A TLS handshake and nothing more.
    pub(super) async fn handshake(&self) -> io::Result<TlsStream<Box<dyn Stream>>> {
        let handshake = async { self.tls.connect(self.server_name()?, self.dial().await?).await };
        timeout(PATIENCE, Box::pin(handshake)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The certificates that it showed last, its own first.
    pub(super) fn shown(&self) -> Vec<Certificate> {
        self.witness.as_ref().map(|witness| witness.shown()).unwrap_or_default()
    }

    /// Asks for `path` (with its query, if it has one) on the typed origin.
    pub(super) async fn get(&self, url: &Url, accept: &'static str, wanted: Wanted) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, url, HeaderMap::from_iter([accepting(accept)]), Bytes::new(), wanted).await
    }

    /// The name of the first event of the stream that GET opens, if there is one.
    pub(super) async fn first_event(
        &self,
        url: &Url,
        credential: Option<&HeaderValue>,
    ) -> Result<Option<String>, NoAnswer> {
        let mut headers = HeaderMap::from_iter([accepting("text/event-stream")]);
        headers.extend(credential.cloned().map(|credential| (header::AUTHORIZATION, credential)));
        let answer = self.ask(Method::GET, url, headers, Bytes::new(), Wanted::FirstEvent).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let name = text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("event:"));
        Ok(name.map(|name| name.trim().to_owned()))
    }

    /// One request at an address on the typed origin. The headers of the connection are added.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        wanted: Wanted,
    ) -> Result<Answer, NoAnswer> {
        debug_assert_eq!(url.origin(), self.url.origin(), "an address that somebody else chose");
        let request = self.request(method, url, headers, body)?;
        let mut session = None;
        let exchange = Box::pin(self.exchange(request, wanted, &mut session));
        let silent = |_| Err(none(Fault::NoAnswer, format!("no answer in {} s", PATIENCE.as_secs())));
        let asked = timeout(PATIENCE, exchange).await.unwrap_or_else(silent);
        asked.map_err(|none| NoAnswer { session, ..none })
    }

    /// `session` is noted as soon as the head is there: the body may never end, and the session has to all the same.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        wanted: Wanted,
        session: &mut Option<HeaderValue>,
    ) -> Result<Answer, NoAnswer> {
        let mut took = Took::default();
        let began = Instant::now();
        let stream = self.dial().await.map_err(|error| none(Fault::NoAnswer, error.to_string()))?;
        took.connect = began.elapsed();
        let stream: Box<dyn Stream> = if self.is_tls() {
            let began = Instant::now();
            let failed = |error: io::Error| none(Fault::HandshakeFailed, error.to_string());
            let name = self.server_name().map_err(failed)?;
            let stream = self.tls.connect(name, stream).await.map_err(failed)?;
            took.tls = Some(began.elapsed());
            Box::new(stream)
        } else {
            stream
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // It ends with this exchange, also where the answer does not.
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let began = Instant::now();
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        took.answer = began.elapsed();
        *session = answer.headers().get(SESSION).cloned();
        Ok(Answer { took, ..read(answer, wanted).await? })
    }

    async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        match (&self.via, self.address) {
            (Some(proxy), _) => proxy.dial(&self.url).await,
            (None, Some(address)) => Ok(Box::new(TcpStream::connect(address).await?)),
            (None, None) => Err(io::Error::other("no address takes connections")),
        }
    }

    fn request(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let mut request = request(method, url, headers, body)?;
        let headers = request.headers_mut();
        headers.extend(self.user_agent.clone().map(|name| (header::USER_AGENT, name)));
        if let Some(proxy) = self.via.as_ref().filter(|_| !self.is_tls()) {
            headers.extend(proxy.credential().map(|credential| (header::PROXY_AUTHORIZATION, credential)));
            let whole = url[..Position::AfterQuery].parse();
            *request.uri_mut() = whole.map_err(|_| none(Fault::NotHttp, "the URL cannot be written".to_owned()))?;
        }
        Ok(request)
    }

    /// Whom the certificate must name.
    pub(super) fn server_name(&self) -> io::Result<ServerName<'static>> {
        let host = self.url.host().ok_or_else(|| io::Error::other("the URL has no host"))?;
        server_name(&host).map_err(io::Error::other)
    }
}

fn request(method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let unsendable = |what: &str| none(Fault::NotHttp, format!("the {what} of the URL cannot be written in a request"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| unsendable("path"))?;
    *request.headers_mut() = headers;
    let host =
        HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| unsendable("host"))?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(request)
}

pub(super) fn accepting(types: &'static str) -> (header::HeaderName, HeaderValue) {
    (header::ACCEPT, HeaderValue::from_static(types))
}

fn broken(error: &hyper::Error) -> NoAnswer {
    if error.is_parse() {
        none(Fault::NotHttp, format!("what came is not HTTP/1.1: {error}"))
    } else {
        none(Fault::NoAnswer, format!("the connection broke before there was an answer: {error}"))
    }
}

fn none(fault: Fault, words: String) -> NoAnswer {
    NoAnswer::new(fault, words)
}
