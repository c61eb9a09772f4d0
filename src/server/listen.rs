//! Accepting connections.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    assemble::Assembly,
    connection::{Newcomer, Server},
    shutdown::Shutdown,
};

/// Opens the listener.
pub async fn bind(address: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until told to stop, then lets calls in flight end.
pub async fn serve(listener: TcpListener, assembly: Assembly, mut shutdown: Shutdown) {
    let Assembly { router, metrics, tls, gateway, .. } = assembly;
    let server = Arc::new(Server::new(&gateway.limits));
    let most = gateway.limits.connections.get();
    let room = Arc::new(Semaphore::new(most as usize));
    let handshake = Duration::from_secs(gateway.limits.handshake_seconds.get().into());
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.begun() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly. Those in use will come back; asking at once would only spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tokio::spawn(turn_away(stream, handshake));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let newcomer =
            Newcomer { server: Arc::clone(&server), router: router.clone(), peer, stopping: shutdown.clone() };
        let (tls, metrics) = (tls.clone(), metrics.clone());
        tokio::spawn(async move {
            metrics.connection(1);
            match tls {
                None => newcomer.in_plain(stream).await,
                // Boxed: the task would carry the space for both ways otherwise.
                Some(tls) => Box::pin(newcomer.encrypted(stream, &tls, handshake)).await,
            }
            metrics.connection(-1);
            drop(permit);
        });
    }
    drop(listener);
    let drain = Duration::from_secs(gateway.drain_seconds.into());
    // Whoever has all places is the last one here.
    if timeout(drain, room.acquire_many(most)).await.is_err() {
        tracing::warn!(seconds = gateway.drain_seconds, "calls were still in flight when the time to drain was over");
    }
}

/// Says 503 to one connection too many, and that is all it gets.
async fn turn_away(mut stream: TcpStream, patience: Duration) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = timeout(patience, async {
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.shutdown().await;
    })
    .await;
}
