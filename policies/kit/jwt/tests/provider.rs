//! An issuer on the other side of [`Fetch`], which counts what it is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::kit::{
    fetch::{Fetch, FetchError, Fetched, Fetching, Wanted},
    jwt::{Algorithm, SigningKey},
};

/// Answers by URL; what it was not told is 404.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    answers: Mutex<HashMap<String, Result<Fetched, FetchError>>>,
    asked: Mutex<Vec<String>>,
    takes: Mutex<Duration>,
}

impl Provider {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn answers(&self, url: &str, body: impl Into<bytes::Bytes>) {
        let fetched = Fetched { headers: HeaderMap::new(), body: body.into() };
        self.answers.lock().unwrap().insert(url.to_owned(), Ok(fetched));
    }

    pub(crate) fn caches(&self, url: &str, cache_control: &str) {
        let mut answers = self.answers.lock().unwrap();
        let fetched = answers.get_mut(url).unwrap().as_mut().unwrap();
        fetched.headers.insert("cache-control", cache_control.parse().unwrap());
    }

    pub(crate) fn fails(&self, url: &str, error: FetchError) {
        self.answers.lock().unwrap().insert(url.to_owned(), Err(error));
    }

    pub(crate) fn takes(&self, duration: Duration) {
        *self.takes.lock().unwrap() = duration;
    }

    /// How often it was asked since the last time that somebody wanted to know.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Fetch for Provider {
    fn fetch(&self, wanted: Wanted) -> Fetching<'_> {
        let url = wanted.url.to_string();
        self.asked.lock().unwrap().push(url.clone());
        let answer = self.answers.lock().unwrap().get(&url).cloned();
        let takes = *self.takes.lock().unwrap();
        Box::pin(async move {
            // A sleep of no length would still wait for the clock's next tick.
            if !takes.is_zero() {
                sleep(takes.min(wanted.patience)).await;
            }
            if takes >= wanted.patience {
                return Err(FetchError::TimedOut);
            }
            answer.unwrap_or(Err(FetchError::Status(StatusCode::NOT_FOUND)))
        })
    }
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

pub(crate) fn jwks(keys: &[&SigningKey]) -> String {
    json!({ "keys": keys.iter().map(|key| key.public_jwk().clone()).collect::<Vec<Value>>() }).to_string()
}
