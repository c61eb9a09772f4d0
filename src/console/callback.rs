//! `GET /connect/callback/{upstream}`: a browser comes back from an upstream's sign-in. Each upstream has an address of
//! its own for that, so that the answer of one cannot pass for that of another (RFC 9700 §4.4.2).

use axum::response::Response;
use http::HeaderMap;

use super::{pages::Done, router::Console, trouble::Trouble};
use crate::{
    oauth::{Parameters, Visitor},
    upstreams::connections::{CallbackParameters, ConnectError},
};

/// Finishes what began on our page, in the browser and for the person that it began with.
pub(super) async fn come_back(
    console: &Console,
    visitor: &Visitor,
    upstream: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let mut query = Parameters::parse(query).map_err(crate::oauth::Trouble::from)?;
    let guest = console.authority.guest(headers).await?;
    let answer = CallbackParameters {
        code: query.take("code").map(Into::into),
        state: query.take("state"),
        iss: query.take("iss"),
        error: query.take("error"),
        error_description: query.take("error_description"),
    };
    match console.book.complete(upstream, answer, guest.subject(), guest.browser()).await {
        Ok(connected) => Ok(Done::new(console.authority.host(), &connected).show()),
        Err(error) => {
            note(visitor, upstream, guest.subject(), &error);
            Err(error.into())
        }
    }
}

fn note(visitor: &Visitor, upstream: &str, subject: Option<&str>, error: &ConnectError) {
    let request = visitor.request_id.as_str();
    match error {
        ConnectError::NotYours | ConnectError::OtherBrowser => {
            tracing::warn!(upstream, subject, request, code = error.code(), "somebody else came back, and was refused");
        }
        error => tracing::info!(upstream, subject, request, code = error.code(), %error, "nobody was connected"),
    }
}
