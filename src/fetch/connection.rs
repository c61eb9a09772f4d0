//! One connection for one exchange, to an address that was judged.

use std::{
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use portcullis_policies::kit::fetch::FetchError;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::target::Target;

/// Bytes of an answer's headers, together.
const HEADER_BYTES: usize = 16 << 10;
/// Number of an answer's headers.
const HEADERS: usize = 64;

/// What an answer must be for its body to be read.
pub(super) struct Acceptable {
    /// By its status.
    pub(super) status: fn(http::StatusCode) -> bool,
    /// Bytes of its body at most.
    pub(super) max_bytes: usize,
}

/// Connects to the first address that takes the connection; each gets an equal share of `patience`.
pub(super) async fn connect(
    addresses: &[IpAddr],
    target: &Target,
    patience: Duration,
) -> Result<TcpStream, FetchError> {
    let share = patience / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    for address in addresses {
        let address = SocketAddr::new(*address, target.port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => tracing::debug!(%address, %error, "no connection for a fetch"),
            Err(_) => tracing::debug!(%address, "no connection for a fetch in time"),
        }
    }
    Err(FetchError::Unreachable(format!("{} takes no connection on port {}", target.host, target.port)))
}

/// Sends the request over the connection, with TLS if the target says so, and reads the answer.
pub(super) async fn exchange(
    stream: TcpStream,
    tls: &TlsConnector,
    target: &Target,
    request: Request<Full<Bytes>>,
    acceptable: Acceptable,
) -> Result<Response<Bytes>, FetchError> {
    if !target.tls {
        return converse(stream, request, acceptable).await;
    }
    let handshake = tls.connect(target.server_name()?, stream);
    let stream = Box::pin(handshake).await.map_err(|error| tls_failed(target, &error))?;
    converse(stream, request, acceptable).await
}

fn tls_failed(target: &Target, error: &io::Error) -> FetchError {
    FetchError::Unreachable(format!("TLS with {} failed: {error}", target.host))
}

/// One request, one answer. The connection lives in this future: when the future is dropped, so is the connection.
async fn converse<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    acceptable: Acceptable,
) -> Result<Response<Bytes>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut http = http1::Builder::new();
    http.max_headers(HEADERS).max_header_size(HEADER_BYTES).max_buf_size(HEADER_BYTES);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        read(answer, acceptable).await
    };
    // The connection may end before the last of the answer was taken out of it.
    let drive = async {
        let _ = connection.await;
        pending().await
    };
    let (answer, drive) = (pin!(answer), pin!(drive));
    tokio::select! {
        answer = answer => answer,
        never = drive => never,
    }
}

async fn read(answer: Response<Incoming>, acceptable: Acceptable) -> Result<Response<Bytes>, FetchError> {
    let (head, body) = answer.into_parts();
    if !(acceptable.status)(head.status) {
        return Err(FetchError::Status(head.status));
    }
    check_coding(&head.headers)?;
    if body.size_hint().lower() > acceptable.max_bytes as u64 {
        return Err(FetchError::TooLarge);
    }
    let body = Limited::new(body, acceptable.max_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLarge
        } else {
            tracing::debug!(error = &*error, "the answer to a fetch broke off");
            FetchError::Unreachable("the answer broke off".to_owned())
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Refuses answers that would have to be unpacked: a few bytes could become many.
fn check_coding(headers: &http::HeaderMap) -> Result<(), FetchError> {
    let only = |name, plain: &str| {
        headers.get_all(name).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(plain.as_bytes()))
    };
    if only(header::CONTENT_ENCODING, "identity") && only(header::TRANSFER_ENCODING, "chunked") {
        Ok(())
    } else {
        Err(FetchError::Unreachable("the answer is compressed, which was not asked for".to_owned()))
    }
}

fn broken(error: &hyper::Error) -> FetchError {
    tracing::debug!(%error, "no answer to a fetch");
    match () {
        () if error.is_parse_too_large() => FetchError::TooLarge,
        () if error.is_parse() => FetchError::Unreachable("the answer is not HTTP/1.1".to_owned()),
        () => FetchError::Unreachable("the connection broke before there was an answer".to_owned()),
    }
}
