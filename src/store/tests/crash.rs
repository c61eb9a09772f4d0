//! A gateway that is killed at any moment, with its file left as it was.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use portcullis_policies::kit::clock::SystemClock;

use super::{
    bench::{T, master, write},
    samples::{digest, grant, refresh},
};
use crate::store::{Location, Store};

const FILE: &str = "PORTCULLIS_TEST_CRASH_FOLDER";

async fn open(folder: &Path) -> Store {
    let location = Location::parse("sqlite:store.db", folder).unwrap();
    Store::open(&location, master(), Arc::new(SystemClock)).await.unwrap()
}

/// The gateway of these stories: makes the tables, then writes pairs and says each that was committed, until it is killed.
#[tokio::test]
#[ignore = "it runs inside the others"]
async fn writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FILE) else { return };
    println!("opening");
    let store = open(Path::new(&folder)).await;
    for number in 0..20_000 {
        let id = format!("{}-{number}", std::process::id());
        write(&store, &T, async |work| {
            work.insert_grant(&grant(&id, "ada")).await?;
            work.insert_refresh(&refresh(&id, &id)).await
        })
        .await;
        println!("committed {id}");
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FILE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills it so long after it said this; what it said since.
fn kill_after(mut child: Child, word: &str, delay: Duration) -> String {
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it never came to {word}");
    }
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    rest
}

/// Every pair is there whole or not at all, and every pair that was said to be committed is there.
async fn is_whole(folder: &Path, said: &str) -> usize {
    let store = open(folder).await;
    let grants = store.grants_of(&T, "ada").await.unwrap();
    for grant in &grants {
        assert!(store.refresh_token(&T, &digest(&grant.id)).await.unwrap().is_some(), "half of {}", grant.id);
    }
    let complete = said.rsplit_once('\n').map_or("", |(lines, _)| lines);
    for id in complete.lines().filter_map(|line| line.strip_prefix("committed ")) {
        assert!(grants.iter().any(|grant| grant.id == id), "{id} was committed and is gone");
    }
    grants.len()
}

#[tokio::test]
async fn fault_killed_while_the_tables_are_made_the_next_start_makes_them() {
    for round in 0..16 {
        let folder = tempfile::tempdir().unwrap();
        let said = kill_after(start(folder.path()), "opening", Duration::from_micros(800 * round));
        is_whole(folder.path(), &said).await;
    }
}

#[tokio::test]
async fn fault_killed_while_it_writes_nothing_is_half_written_and_nothing_committed_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = 0;
    for round in 0..10 {
        let said = kill_after(start(folder.path()), "committed", Duration::from_millis(13 * round));
        pairs = is_whole(folder.path(), &said).await;
    }
    assert!(pairs >= 10, "it wrote something before each kill: {pairs}");
}
