//! A document of metadata, or what is in its place.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use portcullis_policies::kit::{fetch::FetchError, headers::media_type};
use serde_json::Value;
use url::Url;

use super::{
    super::finding::{Finding, shown},
    answer::head,
    case::Server,
    peer::{PATIENCE, Wanted},
};
use crate::{
    fault::Fault,
    fetch::{Budget, Client},
};

/// What may be spent on a document that somebody else chose the address of.
pub(super) const BUDGET: Budget = Budget { max_bytes: 1 << 20, patience: PATIENCE };

/// Letters of a name that a document says, where a fix repeats it.
pub(super) const LONGEST: usize = 200;

/// A document of metadata.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) members: Value,
    /// Its `Content-Type`, where that is another one than JSON's.
    other_type: Option<String>,
}

/// Why there is no document.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    pub(super) why: Why,
    pub(super) words: String,
}

/// What is there instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The address is not one that may be asked.
    Forbidden,
    /// No answer.
    Unreachable,
    /// Another address.
    Redirects,
    /// A sign-in.
    Guarded,
    /// Something else that is no document.
    Unreadable,
    /// Nothing.
    Missing,
}

/// A document on the origin that was typed, at a place that follows from what was typed: it is asked like the server itself.
pub(super) async fn on_its_own_origin(case: &Server, url: &Url) -> Result<Document, Absent> {
    match case.peer.get(url, "application/json", Wanted::Document).await {
        Ok(answer) => read(answer.status, &answer.headers, &answer.body),
        // It is longer than anybody would read.
        Err(none) if none.fault == Fault::NotMcp => Err(absent(Why::Unreadable, none.words)),
        Err(none) => Err(absent(Why::Unreachable, none.words)),
    }
}

/// A document at an address that somebody else chose.
pub(super) async fn chosen_by_others(client: &Client, url: &Url) -> Result<Document, Absent> {
    let request = Request::get(url.as_str()).header(header::ACCEPT, "application/json").body(Bytes::new());
    let request = request.map_err(|error| absent(Why::Forbidden, error.to_string()))?;
    match client.send(request, BUDGET).await {
        Ok(answer) => read(answer.status(), answer.headers(), answer.body()),
        Err(error) => Err(absent(
            match error {
                FetchError::Forbidden(_) => Why::Forbidden,
                FetchError::Unreachable(_) | FetchError::TimedOut => Why::Unreachable,
                FetchError::TooLarge => Why::Unreadable,
                FetchError::Status(_) => Why::Redirects,
            },
            error.to_string(),
        )),
    }
}

fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<Document, Absent> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    let seen = head(status, content_type);
    match status {
        StatusCode::OK if body.len() > BUDGET.max_bytes => {
            Err(absent(Why::Unreadable, format!("{seen}, of more than {} bytes", BUDGET.max_bytes)))
        }
        StatusCode::OK => match serde_json::from_slice::<Value>(body) {
            Ok(members) if members.is_object() => {
                let other_type = (!says_json(headers)).then(|| content_type.to_owned());
                Ok(Document { members, other_type })
            }
            _ => Err(absent(Why::Unreadable, format!("{seen}, and it is no JSON object"))),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(absent(Why::Guarded, seen)),
        status if status.is_redirection() => Err(absent(Why::Redirects, seen)),
        _ => Err(absent(Why::Missing, seen)),
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers).to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn absent(why: Why, words: String) -> Absent {
    Absent { why, words }
}

impl Document {
    /// Does it say of itself that it is JSON? Some clients read nothing else.
    pub(super) fn told_as_json(&self, url: &Url) -> Option<Finding> {
        let evidence = format!("{} has Content-Type {:?}", shown(url), self.other_type.as_ref()?);
        Some(Finding::of(Fault::MetadataContentType, &evidence).at(url))
    }
}

impl Absent {
    /// What it is, where that does not depend on whose metadata they are.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self.why {
            Why::Forbidden => Some(Fault::AddressNotAsked),
            Why::Guarded => Some(Fault::MetadataGuarded),
            Why::Redirects => Some(Fault::MetadataRedirect),
            Why::Unreachable | Why::Unreadable | Why::Missing => None,
        }
    }
}
