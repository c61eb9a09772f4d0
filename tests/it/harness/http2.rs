//! HTTP/2, where a story needs it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Gate, Reply, result, soon};

/// One connection to the gateway.
pub(crate) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    authority: SocketAddr,
    driving: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    /// Without TLS, with prior knowledge.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), address).await
    }

    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, authority: SocketAddr) -> Self {
        let handshake = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(io));
        let (sender, connection) = soon("an HTTP/2 handshake", handshake).await.unwrap();
        Self { sender, authority, driving: tokio::spawn(connection) }
    }

    /// A request that any MCP client sends.
    pub(crate) fn post(&self, path: &str, message: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
        http::Request::post(format!("http://{}{path}", self.authority))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::new(message.into()))
            .unwrap()
    }

    pub(crate) async fn start(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        soon("an answer over HTTP/2", async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        })
        .await
    }

    pub(crate) async fn ask(&mut self, request: http::Request<Full<Bytes>>) -> Reply {
        let (head, body) = self.start(request).await.unwrap().into_parts();
        let body = soon("a body over HTTP/2", body.collect()).await.unwrap().to_bytes();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Reply { status: head.status.as_u16(), headers, body: body.to_vec() }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// An upstream that speaks HTTP/2 only; it answers when the gate lets it.
pub(crate) struct Http2Upstream {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Http2Upstream {
    pub(crate) async fn new(gate: Gate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&accepted), Arc::clone(&requests));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.0.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, gate.clone(), Arc::clone(&counts.1)));
            }
        });
        Self { address, accepted, requests, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, gate: Gate, requests: Arc<AtomicUsize>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (gate, requests) = (gate.clone(), Arc::clone(&requests));
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            requests.fetch_add(1, Ordering::SeqCst);
            gate.pass().await;
            let message: Value = serde_json::from_slice(&body).unwrap();
            let said = serde_json::json!({ "content": [{ "type": "text", "text": "over HTTP/2" }] });
            let answer = result(message["id"].clone(), &said).to_string();
            let response = http::Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from(answer)).unwrap())
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
