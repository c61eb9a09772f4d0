//! What tools are pinned to.

use portcullis_policies::kit::pins::{Definition, Standing};

use super::{
    bench::{Bench, START, T, in_minutes, write},
    nodes::{CALLERS, at_once},
    samples::definition,
};
use crate::store::WantedPins;

const UPSTREAM: &str = "mcp.example#1a2b3c4d";

fn all(number: usize) -> Vec<Definition> {
    (0..5).map(|tool| definition(&format!("tool {tool}"), &format!("as node {number} was told"))).collect()
}

pub(super) async fn sec_e2_of_64_that_pin_a_first_list_at_once_one_does_and_all_see_the_same(bench: Bench) {
    let seen = at_once(&bench, |store, number| async move {
        let began = write(&store, &T, async |work| {
            let began = work.begin_pins(UPSTREAM).await?;
            if began {
                for definition in &all(number) {
                    work.pin_first(UPSTREAM, definition).await?;
                }
            }
            Ok(began)
        });
        let began = began.await;
        let (_, pinned) = store.pinned(&T, UPSTREAM).await.unwrap();
        (began, format!("{pinned:?}"))
    });
    let seen = seen.await;
    assert_eq!(seen.iter().filter(|(began, _)| *began).count(), 1);
    assert!(seen.iter().all(|(_, pinned)| *pinned == seen[0].1), "{seen:?}");
    let (revision, pinned) = bench.store.pinned(&T, UPSTREAM).await.unwrap();
    assert_eq!((revision, pinned.has_begun, pinned.tools.len()), (i64::try_from(CALLERS).unwrap(), true, 5));
}

pub(super) async fn sec_e2_a_pin_moves_only_by_an_approval_of_the_very_definition_that_waits(bench: Bench) {
    let (good, other, third) = (definition("add", "good"), definition("add", "other"), definition("add", "third"));
    bench.write(async |work| work.begin_pins(UPSTREAM).await).await;
    bench.write(async |work| work.pin_first(UPSTREAM, &good).await).await;
    let record = async || bench.store.pins_of(&T, UPSTREAM).await.unwrap().pop().unwrap();
    let approve = async |digest| bench.write(async |work| work.approve_pin(UPSTREAM, "add", digest, "ada").await).await;
    for seen in [&other, &third] {
        bench.write(async |work| work.pin_first(UPSTREAM, seen).await).await;
        bench.write(async |work| work.put_waiting(UPSTREAM, seen, Standing::Held).await).await;
        let there = record().await;
        assert_eq!((&there.good.unwrap().text, there.approved_by), (&good.text, None));
        assert_eq!((there.waiting.unwrap().digest, there.standing), (seen.digest, Some(Standing::Held)));
    }
    assert!(!approve(other.digest).await, "it waits no more");
    // A route that blocks does not take from another what it asks about.
    bench.write(async |work| work.put_waiting(UPSTREAM, &third, Standing::Blocked).await).await;
    assert!(approve(third.digest).await && !approve(third.digest).await);
    let there = record().await;
    assert_eq!((there.good.unwrap().text, there.approved_by.as_deref()), (third.text.clone(), Some("ada")));
    assert_eq!((there.waiting, there.standing), (None, None));

    bench.write(async |work| work.put_waiting(UPSTREAM, &other, Standing::Blocked).await).await;
    assert!(!approve(other.digest).await, "nobody can approve what is blocked");
    bench.write(async |work| work.clear_waiting(UPSTREAM, "add").await).await;
    assert_eq!(record().await.waiting, None);
}

pub(super) async fn what_was_there_first_can_be_approved_and_forgotten(bench: Bench) {
    let first = definition("add", "good");
    bench.write(async |work| work.put_waiting(UPSTREAM, &first, Standing::Held).await).await;
    bench.write(async |work| work.begin_pins(UPSTREAM).await).await;
    bench.write(async |work| work.pin_first(UPSTREAM, &first).await).await;
    let (_, pinned) = bench.store.pinned(&T, UPSTREAM).await.unwrap();
    let pin = pinned.tools["add"].clone();
    assert_eq!((pin.good.unwrap().is_approved, pin.waiting), (false, None), "what waited is what is pinned");
    assert!(bench.write(async |work| work.approve_pin(UPSTREAM, "add", first.digest, "ada").await).await);
    assert!(bench.store.pinned(&T, UPSTREAM).await.unwrap().1.tools["add"].good.unwrap().is_approved);
    assert!(bench.write(async |work| work.forget_pin(UPSTREAM, "add").await).await);
    assert!(!bench.write(async |work| work.forget_pin(UPSTREAM, "add").await).await);
    let (_, pinned) = bench.store.pinned(&T, UPSTREAM).await.unwrap();
    assert!(pinned.has_begun && pinned.tools.is_empty(), "it is a new tool now");
    bench.write(async |work| work.forget_pins(UPSTREAM).await).await;
    assert!(!bench.store.pinned(&T, UPSTREAM).await.unwrap().1.has_begun);
}

pub(super) async fn every_node_hears_of_which_upstream_something_has_changed(bench: Bench) {
    let other = bench.node().await;
    let heard = async |since| {
        let changed = other.changed_pins(&T, since).await.unwrap();
        changed.into_iter().map(|changed| (changed.upstream, changed.revision)).collect::<Vec<_>>()
    };
    assert_eq!(heard(START).await, []);
    bench.write(async |work| work.begin_pins(UPSTREAM).await).await;
    assert_eq!(heard(START).await, [(UPSTREAM.to_owned(), 1)]);
    bench.write(async |work| work.forget_pins(UPSTREAM).await).await;
    assert_eq!(heard(START).await, [(UPSTREAM.to_owned(), 2)]);
    assert_eq!(heard(in_minutes(1)).await, []);
}

pub(super) async fn an_upstream_that_never_ends_to_have_new_tools_fills_no_disk(bench: Bench) {
    let many = async |from: usize, to: usize| {
        let write = async |work: &mut crate::store::Work| {
            for number in from..to {
                let seen = definition(&format!("tool {number}"), "new");
                work.put_waiting(UPSTREAM, &seen, Standing::Held).await?;
            }
            Ok(())
        };
        bench.write(write).await;
        bench.store.pins_of(&T, UPSTREAM).await.unwrap().len()
    };
    assert_eq!((many(0, 1_999).await, many(1_999, 2_100).await), (1_999, 2_000));
    let known = definition("tool 5", "changed");
    bench.write(async |work| work.put_waiting(UPSTREAM, &known, Standing::Held).await).await;
    let records = bench.store.pins_of(&T, UPSTREAM).await.unwrap();
    let record = records.iter().find(|record| record.tool == "tool 5").unwrap();
    assert_eq!(record.waiting.as_ref().unwrap().digest, known.digest, "what is known is still kept up");
}

pub(super) async fn tools_are_listed_page_by_page_of_one_upstream_or_of_all(bench: Bench) {
    for upstream in ["a", "b"] {
        for tool in ["one", "two"] {
            bench.write(async |work| work.pin_first(upstream, &definition(tool, "good")).await).await;
        }
    }
    bench.write(async |work| work.put_waiting("b", &definition("two", "other"), Standing::Held).await).await;
    let list = async |wanted, after, limit| {
        let records = bench.store.pins(&T, wanted, after, limit).await.unwrap();
        records.iter().map(|record| format!("{} {}", record.upstream, record.tool)).collect::<Vec<_>>()
    };
    let all = WantedPins::default();
    assert_eq!(list(all, ("", ""), 3).await, ["a one", "a two", "b one"]);
    assert_eq!(list(all, ("b", "one"), 3).await, ["b two"]);
    assert_eq!(list(WantedPins { upstream: Some("b"), ..all }, ("", ""), 9).await, ["b one", "b two"]);
    assert_eq!(list(WantedPins { waiting: true, ..all }, ("", ""), 9).await, ["b two"]);
    let one = bench.store.pin(&T, "b", "two").await.unwrap().unwrap();
    assert_eq!(one.waiting.unwrap().digest, definition("two", "other").digest);
    assert_eq!(bench.store.pin(&T, "b", "three").await.unwrap(), None);
}
