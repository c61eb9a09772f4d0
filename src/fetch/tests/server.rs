//! A server that answers every connection in one way, and remembers what it heard.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// What comes after the first bytes of an answer.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Close,
    Silence,
    /// These bytes again and again, with a pause between.
    Repeat(&'static [u8], Duration),
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server on 127.0.0.1 without TLS.
    pub(super) async fn plain(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        Self::start("127.0.0.1:0", None, answer.into(), then).await
    }

    pub(super) async fn start(at: &str, tls: Option<ServerConfig>, answer: Vec<u8>, then: Then) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heard) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (counted, hearing) = (Arc::clone(&connections), Arc::clone(&heard));
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, answer, hearing) = (tls.clone(), answer.clone(), Arc::clone(&hearing));
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, &answer, then, &hearing).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, &answer, then, &hearing).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, heard, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8], then: Then, heard: &Mutex<Vec<String>>) {
    let mut request = vec![0; 16 << 10];
    let read = stream.read(&mut request).await.unwrap_or(0);
    heard.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
    let _ = stream.write_all(answer).await;
    match then {
        Then::Close => {
            let _ = stream.shutdown().await;
        }
        Then::Silence => sleep(Duration::from_secs(5)).await,
        Then::Repeat(piece, pause) => {
            for _ in 0..100_000 {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                sleep(pause).await;
            }
        }
    }
}
