//! `count_slowly`: a tool that takes its time, for looking at progress, streaming, timeouts and cancellation.

use std::time::Duration;

use axum::body::Body;
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::{
    super::{
        call::Call,
        events::{self, Events},
        id::Id,
        reply,
    },
    Arguments, Effect, Mishap, Run, Said, Tool, result,
};

const TO: std::ops::RangeInclusive<u32> = 1..=20;
const DELAY_MS: std::ops::RangeInclusive<u64> = 10..=2000;
const DEFAULT_TO: u32 = 5;
const DEFAULT_DELAY_MS: u64 = 300;

pub(super) const COUNT_SLOWLY: Tool = Tool {
    name: "count_slowly",
    title: "Count slowly",
    description: "Counts from 1 with a pause before each number, and reports progress if it was asked to.",
    effect: Effect::Reads,
    input: || {
        json!({ "properties": {
            "to": { "type": "integer", "minimum": TO.start(), "maximum": TO.end(), "default": DEFAULT_TO },
            "delay_ms": {
                "type": "integer",
                "minimum": DELAY_MS.start(),
                "maximum": DELAY_MS.end(),
                "default": DEFAULT_DELAY_MS,
            },
        } })
    },
    output: None,
    run: Run::CountSlowly,
};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Count {
    to: u32,
    delay_ms: u64,
}

impl Default for Count {
    fn default() -> Self {
        Self { to: DEFAULT_TO, delay_ms: DEFAULT_DELAY_MS }
    }
}

impl Count {
    fn read(arguments: Arguments) -> Result<Self, Mishap> {
        let count: Self = arguments.parse()?;
        if !TO.contains(&count.to) {
            return Err(Mishap(format!("\"to\" must be {} to {}.", TO.start(), TO.end())));
        }
        if !DELAY_MS.contains(&count.delay_ms) {
            return Err(Mishap(format!("\"delay_ms\" must be {} to {}.", DELAY_MS.start(), DELAY_MS.end())));
        }
        Ok(count)
    }

    async fn pause(&self) {
        sleep(Duration::from_millis(self.delay_ms)).await;
    }

    fn said(&self) -> Said {
        Said::text(format!("Counted to {}.", self.to))
    }
}

/// `notifications/progress` (`schema.ts`, `ProgressNotificationParams`).
#[derive(Serialize)]
struct Step<'a> {
    #[serde(rename = "progressToken")]
    token: &'a Id,
    progress: u32,
    total: u32,
    message: String,
}

/// Counts: as a stream of events if the caller gave a token, else quietly.
pub(super) async fn run(call: Call, arguments: Arguments) -> Response<Body> {
    let count = match Count::read(arguments) {
        Ok(count) => count,
        Err(mishap) => return call.respond(result(Err(mishap))),
    };
    if let Some(token) = call.params.meta.progress_token.clone() {
        return events::respond(async move |events| {
            count_aloud(&call, &count, &token, &events).await;
        });
    }
    for _ in 0..count.to {
        count.pause().await;
    }
    call.respond(result(Ok(count.said())))
}

async fn count_aloud(call: &Call, count: &Count, token: &Id, events: &Events) {
    for number in 1..=count.to {
        count.pause().await;
        let step = Step { token, progress: number, total: count.to, message: format!("{number} of {}", count.to) };
        events.notify("notifications/progress", step).await;
    }
    let done = call.complete(result(Ok(count.said())));
    events.message(reply::result_text(&call.id, &done)).await;
}
