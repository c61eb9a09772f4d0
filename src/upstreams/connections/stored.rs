//! Credentials of connections that the store keeps: read, judged, and refreshed where they are over.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use portcullis_policies::kit::{
    clock::Timestamp,
    credential::{AuthMode, UpstreamChallenge},
    refusal::{Reason, Refusal},
};
use tokio::time::{Instant, sleep};

use super::{
    ConnectionBook,
    flight::{Errand, Goal, Lack, Outcome},
    kept::{self, Kept, Tokens},
    obtain::no_store,
    slot::{Held, Slot},
    step_up::ask_for_more,
};
use crate::store::{ConnectionKey, ConnectionRecord, ConnectionState, StoreError};

/// How long a refresh by somebody else is waited for, and how often the store is asked meanwhile.
const PATIENCE: Duration = Duration::from_secs(45);
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// What a record is good for.
enum Verdict {
    /// For calls.
    Good(Box<Held>),
    /// For a refresh; the other value is what the upstream said, if it refused the credential.
    Stale(Box<Tokens>, Option<UpstreamChallenge>),
    /// For nothing any more: the person must connect once more, because of this.
    Over(String),
    /// There is nothing to be had of it.
    Lacking(Lack),
}

/// What became of a refresh.
pub(super) enum Refreshed {
    /// It is decided.
    Decided(Outcome),
    /// Something else happened to the connection, or somebody else is at it: look again.
    LookAgain,
}

impl From<StoreError> for Lack {
    fn from(error: StoreError) -> Self {
        Self::Refused(no_store(&error))
    }
}

impl ConnectionBook {
    pub(super) async fn stored(&self, slot: &Arc<Slot>, errand: &Errand) -> Outcome {
        let began = Instant::now();
        let mut pause = FIRST_LOOK;
        while began.elapsed() < PATIENCE {
            let record = match self.record(slot).await {
                Ok(Some(record)) => record,
                Ok(None) => return Err(Lack::not_connected("nobody has connected it for you yet")),
                Err(error @ StoreError::Unsealable { .. }) => {
                    tracing::error!(upstream = &*slot.upstream, subject = &*slot.subject, %error, "a connection is lost");
                    return Err(Lack::once_more("what was kept of it does not open any more"));
                }
                Err(error) => return Err(error.into()),
            };
            match self.judge(slot, errand, &record) {
                Verdict::Good(held) => {
                    let credential = held.credential.clone();
                    slot.hold(*held);
                    return Ok(credential);
                }
                Verdict::Lacking(lack) => return Err(lack),
                Verdict::Over(because) => {
                    if self.mark(slot, &record, &because, errand.request_id).await? {
                        return Err(Lack::once_more(&because));
                    }
                }
                Verdict::Stale(tokens, challenge) => {
                    match self.refresh(slot, errand, record, *tokens, challenge.as_ref()).await? {
                        Refreshed::Decided(outcome) => return outcome,
                        Refreshed::LookAgain => sleep(pause).await,
                    }
                    pause = LAST_LOOK.min(pause * 2);
                }
            }
        }
        Err(Lack::for_now(
            "Another node renews the credential for the upstream, and does not come to an end.",
            PATIENCE,
        ))
    }

    /// The connection, as new as anybody here knows it.
    async fn record(&self, slot: &Slot) -> Result<Option<ConnectionRecord>, StoreError> {
        let key = ConnectionKey { upstream: slot.upstream.to_string(), subject: slot.subject.to_string() };
        // While nothing is heard of other nodes, nobody knows whether the person has disconnected there.
        if let Some(unwritten) = self.write_again(&key).await.filter(|_| !self.0.feed.is_deaf()) {
            return Ok(Some(unwritten));
        }
        self.0.store.connection(&self.0.tenant, &key).await
    }

    fn judge(&self, slot: &Slot, errand: &Errand, record: &ConnectionRecord) -> Verdict {
        if *record.target != *slot.target {
            return Verdict::Lacking(Lack::not_connected("its address has changed since you connected"));
        }
        if record.state == ConnectionState::ReconsentRequired {
            return Verdict::Lacking(Lack::once_more(&record.because));
        }
        let now = self.0.clock.now();
        let kept = Kept::open(record);
        let held =
            kept.as_ref().and_then(|kept| kept::held(record, kept, &errand.auth.mode, self.0.routes.version(), now));
        let (Some(kept), Some(held)) = (kept, held) else {
            return Verdict::Over("what was kept does not fit the present configuration".to_owned());
        };
        let refused = refusal_of(slot, &errand.goal, &held);
        match (&errand.goal, refused) {
            (Goal::GiveUp(_), Some(challenge)) if challenge.status == StatusCode::UNAUTHORIZED => {
                Verdict::Over("the upstream refused the newest credential".to_owned())
            }
            (Goal::GiveUp(_), Some(_)) => Verdict::Lacking(no_right()),
            (_, Some(challenge)) => judge_refused(slot, &errand.auth.mode, kept, challenge),
            (_, None) if is_over(record, now) => match kept {
                Kept::Tokens(tokens) => Verdict::Stale(tokens, None),
                Kept::Values(_) => Verdict::Good(Box::new(held)),
            },
            (Goal::Ahead, None) if is_the_same(slot, &held) => match kept {
                Kept::Tokens(tokens) if tokens.set.refresh_token.is_some() => Verdict::Stale(tokens, None),
                _ => Verdict::Good(Box::new(held)),
            },
            (_, None) => Verdict::Good(Box::new(held)),
        }
    }
}

/// The upstream refused the newest credential that there is.
fn judge_refused(slot: &Slot, mode: &AuthMode, kept: Kept, challenge: UpstreamChallenge) -> Verdict {
    match kept {
        _ if challenge.status != StatusCode::UNAUTHORIZED => match &kept {
            Kept::Tokens(tokens) => Verdict::Lacking(ask_for_more(slot, mode, tokens, &challenge)),
            Kept::Values(_) => Verdict::Lacking(no_right()),
        },
        Kept::Tokens(tokens) => Verdict::Stale(tokens, Some(challenge)),
        Kept::Values(_) => Verdict::Over("the upstream refused the key".to_owned()),
    }
}

/// What the upstream said of this very credential, if it refused it.
fn refusal_of(slot: &Slot, goal: &Goal, held: &Held) -> Option<UpstreamChallenge> {
    if let Goal::Newer(refused) | Goal::GiveUp(refused) = goal
        && !goal.is_reached_by(&held.credential)
    {
        return Some(refused.challenge.clone());
    }
    let is_known =
        |known: &Arc<Held>| known.credential.version() == held.credential.version() && known.credential.is_over();
    let status = StatusCode::UNAUTHORIZED;
    slot.held().filter(is_known).map(|_| UpstreamChallenge { status, challenges: Arc::default() })
}

/// The upstream lets nobody with this connection do that, and connecting once more would not help.
pub(super) fn no_right() -> Lack {
    let message = "The upstream refuses this to the person who connected, whatever scopes are asked for.";
    Lack::Refused(Refusal::new(Reason::UpstreamUnauthorized, message).with_remedy("Ask whoever runs the upstream."))
}

fn is_over(record: &ConnectionRecord, now: Timestamp) -> bool {
    record.expires_at.is_some_and(|end| end <= now)
}

/// Is it the credential that is at hand, so that nobody has renewed it yet?
fn is_the_same(slot: &Slot, held: &Held) -> bool {
    slot.held().is_none_or(|known| known.credential.version() >= held.credential.version())
}
