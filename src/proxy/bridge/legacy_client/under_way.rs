//! Calls under way, so that `notifications/cancelled` finds them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A session's id, and a request's as JSON text.
type Key = (Arc<str>, Box<str>);

/// The calls of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<Key, Arc<Notify>>>>);

/// A call that can be cancelled as long as this is held.
#[derive(Debug)]
pub(super) struct UnderWay {
    key: Key,
    cancelled: Arc<Notify>,
    calls: Calls,
}

impl Calls {
    /// A call has begun.
    pub(super) fn begin(&self, session: &Arc<str>, id: &str) -> UnderWay {
        let (key, cancelled) = ((Arc::clone(session), id.into()), Arc::new(Notify::new()));
        self.lock().insert(Key::clone(&key), Arc::clone(&cancelled));
        UnderWay { key, cancelled, calls: self.clone() }
    }

    /// Ends a call, if it is still under way.
    pub(super) fn cancel(&self, session: &Arc<str>, id: &str) {
        if let Some(call) = self.lock().get(&(Arc::clone(session), id.into())) {
            call.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Waits until the client does not want it any more.
    pub(super) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut calls = self.calls.lock();
        // A client may have used the id again.
        if calls.get(&self.key).is_some_and(|call| Arc::ptr_eq(call, &self.cancelled)) {
            calls.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_cancelled_in_its_own_session_and_forgotten_when_it_is_over() {
        let calls = Calls::default();
        let call = calls.begin(&"mine".into(), "1");
        calls.cancel(&"another".into(), "1");
        calls.cancel(&"mine".into(), "\"1\"");
        let moment = Duration::from_millis(1);
        assert!(timeout(moment, call.cancelled()).await.is_err());
        calls.cancel(&"mine".into(), "1");
        assert!(timeout(moment, call.cancelled()).await.is_ok());
        let again = calls.begin(&"mine".into(), "1");
        drop(call);
        calls.cancel(&"mine".into(), "1");
        assert!(timeout(moment, again.cancelled()).await.is_ok(), "an id that is used again is the newer call's");
        drop(again);
        assert!(calls.lock().is_empty());
    }
}
