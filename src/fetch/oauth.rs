//! The client as the `oauth2` crate wants it.

use std::pin::Pin;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use portcullis_policies::kit::fetch::FetchError;
use serde_json::Value;

use super::{Budget, Client};

/// Sends the requests of the `oauth2` crate through the guarded client.
#[derive(Clone, Debug)]
pub struct OAuthHttp {
    client: Client,
    budget: Budget,
}

impl OAuthHttp {
    /// Each exchange gets `budget`.
    pub fn new(client: Client, budget: Budget) -> Self {
        Self { client, budget }
    }
}

impl<'c> AsyncHttpClient<'c> for OAuthHttp {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.client.send(request, self.budget).await?;
            // An error is told in JSON (RFC 6749 §5.2); anything else comes from whoever stands before the server.
            if !answer.status().is_success() && serde_json::from_slice::<Value>(answer.body()).is_err() {
                return Err(FetchError::Status(answer.status()));
            }
            Ok(answer.map(|body| with_token_type(&body).unwrap_or_else(|| body.to_vec())))
        })
    }
}

/// A token answer with the `token_type` that RFC 6749 §5.1 demands and some servers leave out. None, if nothing is
/// missing.
fn with_token_type(body: &[u8]) -> Option<Vec<u8>> {
    let mut answer: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    if !answer.contains_key("access_token") || answer.contains_key("token_type") {
        return None;
    }
    answer.insert("token_type".to_owned(), "Bearer".into());
    serde_json::to_vec(&answer).ok()
}
