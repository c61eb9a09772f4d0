//! A database that is not there, then is.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use portcullis_policies::kit::clock::Clock;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::{
    bench::{Bench, START, T, master, write},
    samples::client,
};
use crate::store::{Location, Store, StoreError, TroubleKind};

/// Stands between a store and its server, until it is dropped.
struct Wire {
    address: SocketAddr,
    task: AbortHandle,
}

impl Wire {
    async fn to(server: String, at: &str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let carry = async move {
            let mut wires = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                wires.spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        };
        Self { address, task: tokio::spawn(carry).abort_handle() }
    }

    /// Accepts, and says nothing.
    async fn silent(at: &str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let keep = async move {
            let mut kept = Vec::new();
            while let Ok((near, _)) = listener.accept().await {
                kept.push(near);
            }
        };
        Self { address, task: tokio::spawn(keep).abort_handle() }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn server(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))
}

pub(super) async fn down_and_up_again(bench: Bench) {
    let url = bench.url.clone().unwrap();
    let wire = Wire::to(server(&url), "127.0.0.1:0").await;
    let at = wire.address.to_string();
    let mut through = url.clone();
    through.set_ip_host(wire.address.ip()).unwrap();
    through.set_port(Some(wire.address.port())).unwrap();
    let location = Location::parse(through.as_str(), Path::new("")).unwrap();
    let store = Store::open(&location, master(), Arc::clone(&bench.clock) as _).await.unwrap();
    write(&store, &T, async |work| work.insert_client(&client("a")).await).await;

    drop(wire);
    is_unavailable(&store).await;
    let silent = Wire::silent(&again(&at).await).await;
    is_unavailable(&store).await;
    drop(silent);

    let _wire = Wire::to(server(&url), &again(&at).await).await;
    for _ in 0..50 {
        if let Ok(found) = store.client(&T, "a").await {
            assert_eq!(found, Some(client("a")));
            write(&store, &T, async |work| work.insert_client(&client("b")).await).await;
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the store never came back");
}

/// Reads and writes fail in time, and say why.
async fn is_unavailable(store: &Store) {
    for _ in 0..2 {
        let started = Instant::now();
        let read = store.client(&T, "a");
        let write = store.begin(&T);
        let (read, write) = timeout(Duration::from_secs(8), async { tokio::join!(read, write) }).await.unwrap();
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        assert!(matches!(write, Err(StoreError::Unavailable(_))), "{write:?}");
        assert!(started.elapsed() < Duration::from_millis(5500), "{:?}", started.elapsed());
    }
}

/// Waits until the address is free again.
async fn again(at: &str) -> String {
    for _ in 0..50 {
        if TcpListener::bind(at).await.is_ok() {
            return at.to_owned();
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{at} stays taken");
}

pub(super) async fn read_only(bench: Bench) {
    bench.write(async |work| work.insert_client(&client("a")).await).await;
    let mut work = bench.store.begin(&T).await.unwrap();
    work.run("SELECT set_config('transaction_read_only', 'on', true) WHERE $1 <> ''", &[]).await.unwrap();
    assert_eq!(work.grant("nobody").await.unwrap(), None);
    let refused = work.touch_client("a", START).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.kind == TroubleKind::ReadOnly), "{refused:?}");
    assert!(refused.to_string().contains("read-only"), "{refused}");
    drop(work);
    assert_eq!(bench.store.client(&T, "a").await.unwrap(), Some(client("a")));

    // Who only looks is told so too, before anybody is refused.
    looked_at(&bench).await.try_to_write().await.unwrap();
    let name = bench.url.as_ref().unwrap().path().trim_start_matches('/').to_owned();
    bench.raw(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let seen = looked_at(&bench).await;
    assert_eq!(seen.steps().await.unwrap().due, 0);
    let refused = seen.try_to_write().await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.kind == TroubleKind::ReadOnly), "{refused:?}");
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

async fn looked_at(bench: &Bench) -> Store {
    let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    Store::look(&bench.location, &master(), clock).await.unwrap().unwrap()
}
