//! An address of the operator's own, to which something is posted.

use std::{fmt, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header::CONTENT_TYPE};

use super::{Budget, Client};

/// What one attempt may cost.
const BUDGET: Budget = Budget { max_bytes: 64 << 10, patience: Duration::from_secs(10) };

/// Where something is posted. Printing it shows no header.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    url: Uri,
    headers: HeaderMap,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An address, and what is sent along each time.
    ///
    /// # Errors
    ///
    /// If it is none, or a header cannot be sent.
    pub fn new<'a>(
        client: &Client,
        url: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> anyhow::Result<Self> {
        let url = url.parse().context("it is no URL")?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).with_context(|| format!("it has no header {name:?}"))?;
            value.set_sensitive(true);
            map.insert(
                HeaderName::from_bytes(name.as_bytes()).with_context(|| format!("it has no header {name:?}"))?,
                value,
            );
        }
        Ok(Self { client: client.clone(), url, headers: map })
    }

    /// Posts once. Anything but success is told in words.
    pub async fn post(&self, kind: &'static str, more: HeaderMap, body: Bytes) -> Result<Response<Bytes>, String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        request.headers_mut().extend(more);
        let answer = self.client.send(request, BUDGET).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(format!("the answer has status {}", answer.status()))
        }
    }
}
