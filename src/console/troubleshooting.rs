//! The page on which errors are explained, each under its code.

use std::sync::Arc;

use askama::Template;
use axum::{Router, response::Response, routing::get};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};

use crate::{
    fault::{
        SYMPTOMS, Symptom,
        page::{Chapter, LEAD, chapters},
    },
    oauth::{
        Origin,
        pages::{host_of, show},
    },
};

/// Where the page is.
pub const TROUBLESHOOTING: &str = "/troubleshooting";

#[derive(Template)]
#[template(path = "troubleshooting.html", config = "src/console/pages/askama.toml")]
struct Page {
    host: String,
    lead: &'static str,
    symptoms: &'static [Symptom],
    chapters: Vec<Chapter>,
}

/// The page, for everybody: it says nothing of this gateway but its name.
pub fn troubleshooting(origin: &Origin) -> Router {
    let host = host_of(origin.as_str());
    let page = Arc::new(Page { host, lead: LEAD, symptoms: SYMPTOMS, chapters: chapters() });
    Router::new().route(TROUBLESHOOTING, get(async move || page.answer()))
}

impl Page {
    /// The text in pieces: what stands between backticks is code.
    fn parts(text: &str) -> impl Iterator<Item = (bool, &str)> {
        text.split('`').enumerate().map(|(index, part)| (index % 2 == 1, part))
    }

    fn answer(&self) -> Response {
        let mut response = show(StatusCode::OK, self, None);
        if response.status().is_success() {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        }
        response
    }
}
