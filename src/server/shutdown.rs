//! Stopping: told once, everybody drains; told twice, everything ends.

use tokio::sync::watch;

/// Tells everybody that the gateway stops.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Stop {
    /// A pair that belongs together.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Begins the draining.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Has it begun?
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Is there anything to hear? Cheaper than [`Self::has_begun`], for those who ask often.
    pub(super) fn has_news(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Waits until it begins; also when nobody is left to tell.
    pub async fn begun(&mut self) {
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
