//! The baseline: the least that a proxy made of hyper does. Bodies stream both ways, nothing is looked at.

use anyhow::Result;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

use crate::process;

struct Floor {
    client: Client<HttpConnector, Incoming>,
    upstream: String,
}

pub(crate) fn serve(port: u16, upstream: String) -> Result<()> {
    process::end_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(listen(port, Arc::new(Floor { client: client(), upstream })))
}

fn client() -> Client<HttpConnector, Incoming> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn listen(port: u16, floor: Arc<Floor>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket, Arc::clone(&floor)));
    }
}

async fn connection(socket: TcpStream, floor: Arc<Floor>) {
    let service = service_fn(|request| floor.forward(request));
    // An error here is a client that went away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

impl Floor {
    fn forward(&self, mut request: Request<Incoming>) -> impl Future<Output = Result<Response<Incoming>, Error>> {
        if let Some(target) = self.target(request.uri()) {
            *request.uri_mut() = target;
        }
        self.client.request(request)
    }

    fn target(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query()?.clone();
        Uri::builder().scheme("http").authority(self.upstream.as_str()).path_and_query(path).build().ok()
    }
}
