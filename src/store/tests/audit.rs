use super::{
    bench::{Bench, START, T, in_minutes},
    samples::audit_row,
};
use crate::store::{AuditHead, AuditRow};

fn rows(chain: &str, numbers: std::ops::RangeInclusive<i64>) -> Vec<AuditRow> {
    numbers.map(|number| audit_row(chain, number)).collect()
}

/// More than one statement of each size takes.
const MANY: i64 = 64 + 3 * 8 + 5;

pub(super) async fn rows_of_the_audit_log_are_read_by_chain_and_from_the_newest_on(bench: Bench) {
    let (one, two) = (rows("1a", 1..=MANY), rows("2b", 1..=3));
    bench.write(async |work| work.insert_audit_rows("2b", &two).await).await;
    bench.write(async |work| work.insert_audit_rows("1a", &one).await).await;
    let whole = [one.clone(), two.clone()].concat();
    assert_eq!(bench.store.audit_rows(&T, ("", 0), 1000).await.unwrap(), whole);
    assert_eq!(
        bench.store.audit_rows(&T, ("1a", MANY - 1), 2).await.unwrap(),
        [one[one.len() - 1].clone(), two[0].clone()]
    );

    let newest = (in_minutes(1), "", 0);
    let back = bench.store.audit_rows_back(&T, newest, START, 1000).await.unwrap();
    assert_eq!((back.len(), &back[0]), (whole.len(), &one[one.len() - 1]));
    assert!(back.is_sorted_by_key(|row| std::cmp::Reverse((row.at, row.chain.clone()))));
    let last = &back[back.len() - 1];
    let next = bench.store.audit_rows_back(&T, (last.at, &last.chain, last.number), START, 9).await.unwrap();
    assert_eq!(next, [], "nothing is read twice");
    let since = bench.store.audit_rows_back(&T, newest, one[one.len() - 2].at, 1000).await.unwrap();
    assert_eq!(since.len(), 2);
}

pub(super) async fn fault_a_number_of_a_chain_is_given_once(bench: Bench) {
    let head = |number| AuditHead { chain: "1a".to_owned(), number, hash: format!("hash {number}"), at: in_minutes(1) };
    bench.write(async |work| work.insert_audit_rows("1a", &rows("1a", 1..=2)).await).await;
    bench.write(async |work| work.put_audit_head(&head(2)).await).await;
    let mut work = bench.store.begin(&T).await.unwrap();
    work.put_audit_head(&head(3)).await.unwrap();
    let again = work.insert_audit_rows("1a", &rows("1a", 2..=3)).await;
    assert!(again.is_err());
    drop(work);
    assert_eq!(bench.store.audit_head(&T, "1a").await.unwrap(), Some(head(2)));
    assert_eq!(bench.store.audit_heads(&T, 5).await.unwrap(), [head(2)]);
}
