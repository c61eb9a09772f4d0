//! Under what calls are found again.

use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::{approvals::names::CallNames, store::Digest};

const OTHER_KEY: &str = "0d2e6f71a98c35b4e7f60918d3c2a5b84f7e1960b3d8c2a5e4f70916b8d3c2a5";

fn names(story: &Story) -> CallNames {
    CallNames::of(&held().bound, story.desk.0.store.sealer())
}

/// The name that anybody could make who guesses the arguments.
fn guessed(story: &Story) -> Digest {
    *names(story).all().last().unwrap()
}

/// Keeps what waits under another name.
async fn rename(story: &Story, name: Digest) {
    let url = format!("sqlite:{}", story.folder.path().join("store.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let rename = sqlx::query("UPDATE approvals SET call_digest = $1 WHERE open = 1").bind(name.as_bytes().to_vec());
    assert_eq!(rename.execute(&mut database).await.unwrap().rows_affected(), 1);
}

#[tokio::test]
async fn sec_whoever_reads_the_store_does_not_find_short_arguments_by_trying() {
    let story = Story::begin().await;
    story.propose(&held()).await;
    let kept = story.desk.0.store.approval(&Tenant::DEFAULT, 1).await.unwrap().unwrap().record.call;
    assert_eq!(kept, names(&story).current());
    assert_ne!(kept, guessed(&story));
    let other = Story::on_key(tempfile::tempdir().unwrap(), Arc::clone(&story.clock), OTHER_KEY).await;
    assert_ne!(kept, names(&other).current(), "under another key it is called otherwise");
}

#[tokio::test]
async fn sec_what_was_approved_under_a_name_that_can_be_guessed_does_not_count() {
    let story = Story::begin().await;
    let ticket = story.propose(&held()).await;
    rename(&story, guessed(&story)).await;
    story.approve(1, &person("grace")).await.unwrap();
    assert!(!story.takes(&ticket, &held().bound).await);
    let told = story.propose(&held()).await;
    assert_eq!((told.number, told.standing), (1, Standing::Changed("gateway")));
    assert!(!story.takes(&ticket, &held().bound).await);
    let anew = story.propose(&held()).await;
    assert_eq!((anew.number, anew.standing), (2, Standing::Proposed), "it may be asked for anew");
}

#[tokio::test]
async fn what_waits_goes_on_while_the_master_key_is_changed() {
    let story = Story::begin().await;
    let ticket = story.propose(&held()).await;
    story.approve(1, &person("grace")).await.unwrap();
    let Story { desk, handle, clock, folder } = story;
    desk.0.store.close().await;
    drop(handle);
    let both = format!("{OTHER_KEY} {KEY}");
    let story = Story::on_key(folder, clock, &both).await;
    story.desk.0.store.reseal(|_| {}).await.unwrap();
    assert_eq!(story.propose(&held()).await.standing, Standing::Approved);
    assert!(story.takes(&ticket, &held().bound).await);
    assert!(!story.takes(&ticket, &held().bound).await);
    // Without the earlier key nobody knows again what was kept under it, and it is asked about anew.
    let early = names(&story).all().nth(1).copied().unwrap();
    assert_eq!(story.propose(&held()).await.number, 2);
    rename(&story, early).await;
    let Story { desk, handle, clock, folder } = story;
    desk.0.store.close().await;
    drop(handle);
    let story = Story::on_key(folder, clock, OTHER_KEY).await;
    let anew = story.propose(&held()).await;
    assert_eq!((anew.number, anew.standing), (3, Standing::Proposed));
}
