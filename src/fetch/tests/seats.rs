//! Room for fetches.

use std::time::Duration;

use tokio::time::timeout;

use super::super::seats::Seats;

#[tokio::test(start_paused = true)]
async fn sixty_four_fetches_are_under_way_at_most_and_four_to_one_host() {
    let (seats, moment) = (Seats::default(), Duration::from_secs(1));
    let mut taken = Vec::new();
    for host in 0..16 {
        for _ in 0..4 {
            taken.push(seats.take(&format!("{host}.example")).await);
        }
    }
    assert!(timeout(moment, seats.take("other.example")).await.is_err());
    drop(taken.pop());
    assert!(timeout(moment, seats.take("0.example")).await.is_err());
    assert!(timeout(moment, seats.take("other.example")).await.is_ok());
}
