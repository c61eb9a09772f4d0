//! Asking for documents during a set-up, and writing down what came.

use std::time::Duration;

use portcullis_policies::kit::fetch::{Fetch, FetchError, Wanted};
use serde::de::DeserializeOwned;
use url::Url;

use super::{
    SetupCode, SetupError, Transcript, places,
    transcript::{bare, plain},
};
use crate::fetch::{Budget, Client};

/// What one exchange with an upstream's servers may cost.
pub(super) const BUDGET: Budget = Budget { max_bytes: 1 << 20, patience: Duration::from_secs(10) };

/// A set-up under way.
pub(super) struct Survey<'a> {
    pub(super) fetch: &'a Client,
    /// The upstream.
    pub(super) target: &'a Url,
    pub(super) transcript: Transcript,
}

/// What is at a place.
pub(super) enum Found<T> {
    /// The document.
    Is(T),
    /// Something else, or nothing.
    Nothing,
}

impl Survey<'_> {
    /// The document at a place. A page, a redirect or an error is no document, and it may be elsewhere; no answer at
    /// all, or an address that may not be asked, ends the set-up, as what stands elsewhere is then meant for others.
    pub(super) async fn document<T: DeserializeOwned>(
        &mut self,
        what: &str,
        place: &Url,
    ) -> Result<Found<T>, SetupError> {
        if !places::is_secure(place, self.target) {
            self.transcript.asked(what, place, "not asked: the address is not https");
            return Err(self.insecure(what, bare(place)));
        }
        let wanted = Wanted { url: place.clone(), max_bytes: BUDGET.max_bytes, patience: BUDGET.patience };
        let fetched = match self.fetch.fetch(wanted).await {
            Ok(fetched) => fetched,
            Err(error) => return self.missing(what, place, &error),
        };
        match serde_json::from_slice(&fetched.body) {
            Ok(document) => {
                self.transcript.asked(what, place, "found");
                Ok(Found::Is(document))
            }
            Err(error) => {
                self.transcript.asked(what, place, format!("status 200, but not such a document: {error}"));
                Ok(Found::Nothing)
            }
        }
    }

    fn missing<T>(&mut self, what: &str, place: &Url, error: &FetchError) -> Result<Found<T>, SetupError> {
        self.transcript.asked(what, place, error);
        match error {
            FetchError::Status(status) if !status.is_server_error() => Ok(Found::Nothing),
            FetchError::TooLarge => Ok(Found::Nothing),
            FetchError::Forbidden(_) => {
                Err(self.fails(SetupCode::InsecureEndpoint, &format!("{}: {error}", bare(place))))
            }
            _ => Err(self.fails(SetupCode::Unreachable, &format!("{}: {error}", bare(place)))),
        }
    }

    /// An address of a document, if secrets may go there and browsers be sent there.
    pub(super) fn endpoint(&mut self, name: &str, address: Option<&str>) -> Result<Option<Url>, SetupError> {
        let Some(address) = address else { return Ok(None) };
        match Url::parse(address) {
            Ok(url) if places::is_secure(&url, self.target) => Ok(Some(url)),
            _ => Err(self.insecure(name, address)),
        }
    }

    pub(super) fn insecure(&mut self, name: &str, address: &str) -> SetupError {
        let address = plain(address);
        let words = format!("its {name} {address:?} is not an https address (http is for this machine only)");
        self.fails(SetupCode::InsecureEndpoint, &words)
    }

    /// The end of a set-up that does not succeed.
    pub(super) fn fails(&mut self, code: SetupCode, words: &str) -> SetupError {
        SetupError::new(code, words, std::mem::take(&mut self.transcript))
    }
}
