//! This machine's clock. Every token is judged by it.

use std::time::Duration;

use http::{HeaderMap, header};
use portcullis_policies::kit::clock::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, shown},
        server::Server,
    },
    case::Deployment,
};
use crate::{fault::Fault, fetch::Roots};

/// What tokens are forgiven.
const ALLOWED: Duration = Duration::from_mins(1);
/// Others that are asked.
const OTHERS: usize = 6;

/// Another clock: whose, and what it said when ours said what.
struct Reading {
    whose: String,
    at: Option<Url>,
    theirs: Timestamp,
    ours: Timestamp,
}

pub(super) fn agrees(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let mut readings = Vec::new();
        readings.extend(of_store(case).await);
        let roots = Roots::of_system();
        for url in others(case).into_iter().take(OTHERS) {
            readings.extend(of_server(case, &url, &roots).await);
        }
        if readings.is_empty() {
            return vec![Finding::skipped("nobody answers whose clock could be compared")];
        }
        let (skewed, good): (Vec<_>, Vec<_>) = readings.into_iter().partition(|reading| reading.difference() > ALLOWED);
        if skewed.is_empty() {
            let whose: Vec<_> = good.iter().map(|reading| &*reading.whose).collect();
            return vec![Finding::ok(&format!("as that of {}", whose.join(", ")))];
        }
        skewed.iter().map(Reading::finding).collect()
    })
}

/// The gateway itself may be on another machine, and so are identity providers and upstreams.
fn others(case: &Deployment) -> Vec<Url> {
    let mut urls: Vec<Url> = case.gateway().public_url.iter().filter_map(|url| Url::parse(url).ok()).collect();
    urls.extend(case.identity_providers().iter().filter_map(|provider| Url::parse(&provider.issuer).ok()));
    urls.extend(case.routes().filter_map(|(_, route)| Url::parse(route.upstream.url.as_deref()?).ok()));
    let mut once = Vec::<Url>::new();
    for url in urls {
        if !once.iter().any(|known| known.origin() == url.origin()) {
            once.push(url);
        }
    }
    once
}

async fn of_store(case: &Deployment) -> Option<Reading> {
    let Ok(Some(store)) = &case.store else { return None };
    let theirs = store.now_there().await.ok()??;
    Some(Reading { whose: "the database".to_owned(), at: None, theirs, ours: case.clock().now() })
}

async fn of_server(case: &Deployment, url: &Url, roots: &Roots) -> Option<Reading> {
    let glance = Server::new(url.as_str(), url.clone(), None, roots.clone()).glance(false).await?;
    let (theirs, ours) = (date(&glance.headers)?, case.clock().now());
    Some(Reading { whose: shown(url), at: Some(url.clone()), theirs, ours })
}

/// RFC 9110 §6.6.1.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    OffsetDateTime::parse(text, &Rfc2822).ok().map(|date| Timestamp::from_seconds(date.unix_timestamp()))
}

impl Reading {
    fn difference(&self) -> Duration {
        self.theirs.since(self.ours).max(self.ours.since(self.theirs))
    }

    fn finding(&self) -> Finding {
        let direction = if self.theirs > self.ours { "ahead of" } else { "behind" };
        let evidence =
            format!("the clock of {} is {} s {direction} this machine's", self.whose, self.difference().as_secs());
        let finding = Finding::of(Fault::ClockSkewed, &evidence);
        match &self.at {
            Some(at) => finding.at(at),
            None => finding,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"))]);
        assert_eq!(date(&headers), Some(Timestamp::from_seconds(784_111_777)));
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
