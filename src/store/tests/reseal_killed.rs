//! A gateway that is killed while it seals everything anew.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use portcullis_policies::kit::clock::SystemClock;

use super::{
    bench::{Bench, KEY, T},
    reseal::{OTHERS, fill, reads, shares},
    sealed::OTHER_KEY,
};
use crate::store::{Location, MasterKey, Store};

const STORE: &str = "PORTCULLIS_TEST_RESEAL_STORE";
const KEYS: &str = "PORTCULLIS_TEST_RESEAL_KEYS";
const CONNECTIONS: usize = 700;
const ROUNDS: u32 = 24;

async fn open(store: &str, keys: &str) -> Store {
    let location = Location::parse(store, Path::new("")).unwrap();
    Store::open(&location, MasterKey::parse(keys).unwrap(), Arc::new(SystemClock)).await.unwrap()
}

/// The gateway of this story: seals anew, until it is killed or done.
#[tokio::test]
#[ignore = "it runs inside the other"]
async fn reseals_until_it_is_killed() {
    let (Ok(store), Ok(keys)) = (std::env::var(STORE), std::env::var(KEYS)) else { return };
    let store = open(&store, &keys).await;
    store.reseal(|so_far| println!("sealed {so_far:?}")).await.unwrap();
}

fn start(store: &str, keys: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::reseal_killed::reseals_until_it_is_killed", "--ignored", "--nocapture"])
        .env(STORE, store)
        .env(KEYS, keys)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills it so long after it said that it had done so many steps, or when it has ended.
fn kill_after(mut child: Child, steps: u32, delay: Duration) {
    // Held until it is killed: a process that cannot say anything would end by itself.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let seen = lines.by_ref().filter(|line| line.contains("sealed")).take(steps as usize).count();
    assert!(seen > 0, "it never began");
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
}

/// In each round the key changes, the process that seals anew is killed at another moment, and the next one ends its work.
pub(super) async fn fault_kek_rotation_killed_at_any_moment_loses_nothing_and_ends(bench: Bench) {
    let url = bench.url.as_ref().map_or_else(|| bench.location.to_string(), ToString::to_string);
    let mut work = bench.store.begin(&T).await.unwrap();
    fill(&mut work, CONNECTIONS).await;
    work.commit().await.unwrap();
    let all = OTHERS + CONNECTIONS as u64;
    let mut half_way = 0;
    for round in 0..ROUNDS {
        let (current, earlier) = if round % 2 == 0 { (OTHER_KEY, KEY) } else { (KEY, OTHER_KEY) };
        let keys = format!("{current} {earlier}");
        kill_after(start(&url, &keys), 1 + round * 7 % 14, Duration::from_micros(u64::from(round * 311 % 3_000)));
        let survivor = open(&url, &keys).await;
        let [fresh, left, missing] = shares(&survivor).await;
        assert_eq!((fresh + left, missing), (all, 0), "after {round}");
        half_way += u32::from(fresh > 0 && left > 0);
        reads(&survivor, &T, CONNECTIONS).await;
        let resealed = survivor.reseal(|_| {}).await.unwrap();
        assert_eq!((resealed.values, resealed.unreadable), (left, 0));
        let alone = open(&url, current).await;
        assert_eq!(shares(&alone).await, [all, 0, 0]);
        reads(&alone, &T, CONNECTIONS).await;
        alone.close().await;
        survivor.close().await;
    }
    assert!(half_way >= ROUNDS / 2, "{half_way} of {ROUNDS} were killed half way");
}
