use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::BodyExt;
use serde::Deserialize;

use super::*;
use crate::kit::json::FlawKind;

const WIDE: EventLimits = EventLimits { event: 1 << 20, line: 1 << 18 };

/// Everything that comes out of a stream that arrives in these pieces, and what stopped it.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: EventLimits) -> (Vec<Event>, Option<TooLong>) {
    let mut reader = EventReader::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(too_long) => return (events, Some(too_long)),
            }
        }
    }
    (events, None)
}

fn data(events: &[Event]) -> Vec<Option<String>> {
    events.iter().map(|event| event.data().map(|data| String::from_utf8(data.to_vec()).unwrap())).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SseVector {
    id: String,
    what: String,
    stream: String,
    limits: Option<SseLimits>,
    error: Option<String>,
    events: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct SseLimits {
    event: usize,
    line: usize,
}

impl SseVector {
    fn assert_holds<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>, cut: &str) {
        let limits = self.limits.as_ref().map_or(WIDE, |limits| EventLimits { event: limits.event, line: limits.line });
        let (events, error) = events(pieces, limits);
        let about = format!("{} ({}), {cut}", self.id, self.what);
        assert_eq!(data(&events), self.events, "{about}");
        let error = error.map(|error| match error {
            TooLong::Event(limit) if limit == limits.event => "event",
            TooLong::Line(limit) if limit == limits.line => "line",
            other => panic!("{about}: {other:?}"),
        });
        assert_eq!(error, self.error.as_deref(), "{about}");
        let raw: usize = events.iter().map(|event| event.raw().len()).sum();
        assert!(raw <= self.stream.len(), "{about}: more bytes came out than went in");
    }
}

/// Whatever the cut, the same events.
#[test]
fn vec_17_events_are_the_same_however_their_bytes_arrive() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/sse.json");
    let vectors: Vec<SseVector> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(vectors.len() > 50, "{}", vectors.len());
    for vector in vectors {
        let stream = vector.stream.as_bytes();
        vector.assert_holds([stream], "whole");
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            vector.assert_holds([before, after], &format!("cut at {cut}"));
            vector.assert_holds([before, b"", after], &format!("cut at {cut} with nothing between"));
        }
        for size in 1..=stream.len() {
            vector.assert_holds(stream.chunks(size), &format!("in pieces of {size}"));
        }
    }
}

#[test]
fn an_event_keeps_the_bytes_that_came() {
    let wire = b": note\nid: 7\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"x\"}\nretry: 5\n\n";
    let (events, _) = events([&wire[..]], WIDE);
    assert_eq!(&events[0].raw()[..], wire);
    assert_eq!(events[0].data(), Some(&b"{\"jsonrpc\":\"2.0\",\n\"method\":\"x\"}"[..]));
    assert_eq!(events[0].answer().unwrap().unwrap().kind(), AnswerKind::Notification);
}

#[test]
fn a_message_becomes_one_event_on_lines_of_its_own() {
    let event = Event::message(b"{\"jsonrpc\":\"2.0\",\r\n\"id\":1,\n\"result\":{}}");
    assert_eq!(&event.raw()[..], b"event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n");
    assert!(event.answer().unwrap().unwrap().answers(event.data().unwrap(), "1"));
    assert_eq!(event.data_bytes().as_deref(), event.data());
    let (again, _) = events([&event.into_raw()[..]], WIDE);
    assert_eq!(again.len(), 1);
}

#[test]
fn a_comment_is_no_message() {
    let comment = Event::comment(": keep-alive\n\n");
    assert!(comment.data().is_none() && comment.answer().is_none() && comment.data_bytes().is_none());
}

#[test]
fn an_event_whose_data_is_no_message_says_so() {
    let (events, _) = events([&b"data: hello\n\n"[..]], WIDE);
    assert!(matches!(events[0].answer(), Some(Err(_))));
}

#[test]
fn sec_an_endless_event_is_cut_off_before_it_fills_the_memory() {
    let limits = EventLimits { event: 1000, line: 500 };
    let mut reader = EventReader::new(limits);
    let mut pushed = 0;
    let too_long = loop {
        reader.push(Bytes::from_static(b"data: 0123456789\n"));
        pushed += 17;
        assert!(pushed < 2000, "nobody stopped it");
        if let Err(too_long) = reader.next_event() {
            break too_long;
        }
    };
    assert_eq!(too_long, TooLong::Event(1000));
}

// Answers.

fn kind(text: &str) -> Result<AnswerKind, FlawKind> {
    Answer::read(text.as_bytes()).map(|answer| answer.kind()).map_err(|flaw| flaw.kind)
}

#[test]
fn an_answer_is_told_by_its_members() {
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(AnswerKind::Result));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"error":{}}"#), Ok(AnswerKind::Error));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","error":{}}"#), Ok(AnswerKind::Error));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"x"}"#), Ok(AnswerKind::Notification));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#), Ok(AnswerKind::Request));
    for neither in [
        "{}",
        "[]",
        "1",
        "",
        r#"{"id":1,"result":{},"error":{}}"#,
        r#"{"id":1,"method":"x","result":{}}"#,
        r#"{"id":1,"result":{}} x"#,
    ] {
        assert!(kind(neither).is_err(), "{neither}");
    }
}

#[test]
fn vec_18_an_answer_with_two_readings_is_none() {
    for text in [
        r#"{"id":1,"result":{},"result":{"tools":[]}}"#,
        r#"{"id":1,"id":2,"result":{}}"#,
        r#"{"id":1,"result":{"a":1,"a":2}}"#,
        r#"{"id":1,"result":{},"Result":{}}"#,
        r#"{"id":1,"ID":2,"result":{}}"#,
        "{\"id\":1,\"result\":{},\"re\u{17f}ult\":{}}",
        r#"{"id":1,"result":"\ud800"}"#,
        r#"{"id":1,"result":1e999}"#,
    ] {
        assert!(kind(text).unwrap_err().is_ambiguous(), "{text}");
    }
    assert_eq!(Answer::read(b"{\"id\":1,\"result\":\"\xff\"}").unwrap_err().kind, FlawKind::NotUtf8);
}

#[test]
fn an_answer_belongs_to_the_request_with_its_id() {
    let belongs = |found: &str, sent: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{found},"result":{{}}}}"#);
        Answer::read(body.as_bytes()).unwrap().answers(body.as_bytes(), sent)
    };
    for (found, sent) in [
        ("1", "1"),
        ("\"a\"", "\"a\""),
        (r#""\u0061""#, "\"a\""),
        ("\"a\"", r#""\u0061""#),
        (r#""\u00E9""#, "\"é\""),
        (r#""\/""#, "\"/\""),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ] {
        assert!(belongs(found, sent), "{found} {sent}");
    }
    for (found, sent) in [
        ("1", "2"),
        ("1", "\"1\""),
        ("1.0", "1"),
        ("null", "\"\""),
        ("1e0", "1"),
        ("\"a\"", "\"A\""),
        ("\"é\"", "\"e\u{301}\""),
    ] {
        assert!(!belongs(found, sent), "{found} {sent}");
    }
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}"#;
    assert!(!Answer::read(request).unwrap().answers(request, "1"), "a request of the upstream answers nothing");
}

#[test]
fn an_answer_shows_where_its_parts_stand() {
    let body = br#"{"jsonrpc":"2.0", "id" : "x" , "result" : {"a":1} }"#;
    let answer = Answer::read(body).unwrap();
    assert_eq!(answer.id().unwrap().of(body), b"\"x\"");
    assert_eq!(answer.payload().unwrap().of(body), b"{\"a\":1}");
    assert!(answer.is_response());
}

// Replies.

/// Gives events, with pauses in which nothing is there.
struct Source {
    steps: Vec<Option<Event>>,
    polls: Arc<AtomicUsize>,
}

impl EventSource for Source {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if self.steps.is_empty() {
            return Poll::Ready(None);
        }
        match self.steps.remove(0) {
            Some(event) => Poll::Ready(Some(event)),
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

fn stream(steps: Vec<Option<Event>>) -> Reply {
    Reply::Events(Box::new(Source { steps, polls: Arc::default() }))
}

fn numbered(n: usize) -> Event {
    Event::message(format!(r#"{{"jsonrpc":"2.0","method":"n","params":{n}}}"#).as_bytes())
}

async fn frames(mut reply: Reply) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(frame) = reply.frame().await {
        frames.push(frame.unwrap().into_data().unwrap());
    }
    frames
}

#[tokio::test]
async fn a_message_is_one_piece_of_known_length() {
    let reply = Reply::from(Bytes::from_static(b"{}"));
    assert_eq!((reply.size_hint().exact(), reply.is_end_stream()), (Some(2), false));
    assert_eq!(frames(reply).await, ["{}"]);
    let empty = Reply::from(Bytes::new());
    assert!(matches!(empty, Reply::Empty));
    assert_eq!((empty.size_hint().exact(), empty.is_end_stream()), (Some(0), true));
    assert!(frames(empty).await.is_empty());
}

#[tokio::test]
async fn tr_15_an_event_leaves_as_soon_as_it_is_there_and_a_burst_leaves_in_one_piece() {
    let reply = stream(vec![
        Some(numbered(1)),
        None,
        Some(numbered(2)),
        Some(numbered(3)),
        Some(numbered(4)),
        None,
        Some(numbered(5)),
    ]);
    assert!(!reply.is_end_stream() && reply.size_hint().exact().is_none());
    let frames = frames(reply).await;
    let counts: Vec<_> = frames.iter().map(|frame| frame.windows(2).filter(|two| two == b"\n\n").count()).collect();
    assert_eq!(counts, [1, 3, 1]);
    let all: Bytes = frames.concat().into();
    assert_eq!(all, (1..6).flat_map(|n| numbered(n).into_raw()).collect::<Bytes>());
}

#[tokio::test]
async fn a_burst_is_not_gathered_without_end() {
    let reply = stream((0..10_000).map(|n| Some(numbered(n))).collect());
    let frames = frames(reply).await;
    assert!(frames.iter().all(|frame| frame.len() <= (32 << 10) + 100), "too much in one piece");
    assert_eq!(
        frames.iter().map(Bytes::len).sum::<usize>(),
        (0..10_000).map(|n| numbered(n).raw().len()).sum::<usize>()
    );
}

#[tokio::test]
async fn events_can_be_edited_and_dropped_one_by_one() {
    let reply =
        stream(vec![Some(numbered(1)), None, Some(numbered(2)), Some(Event::comment(": x\n\n")), Some(numbered(3))]);
    let mut seen = 0;
    let edited = reply.map_events(move |event| {
        seen += 1;
        match seen {
            1 => Some(event),
            2 => None,
            n => Some(numbered(n * 100)),
        }
    });
    let all = frames(edited).await.concat();
    assert_eq!(all, [numbered(1), numbered(300), numbered(400)].map(Event::into_raw).concat());
    assert!(matches!(Reply::Empty.map_events(Some), Reply::Empty));
    assert!(matches!(Reply::Full(Bytes::from_static(b"x")).map_events(|_| None), Reply::Full(_)));
}

#[tokio::test]
async fn dropping_every_event_ends_with_the_source() {
    let Reply::Events(mut source) = stream(vec![Some(numbered(1)), Some(numbered(2))]).map_events(|_| None) else {
        panic!()
    };
    assert!(poll_fn(|context| source.poll_event(context)).await.is_none());
    assert!(poll_fn(|context| source.poll_event(context)).await.is_none());
}

#[test]
fn a_reply_is_described_without_its_content() {
    let shown =
        [Reply::Empty, Reply::Full(Bytes::from_static(b"secret")), stream(vec![])].map(|reply| format!("{reply:?}"));
    assert_eq!(shown, ["Empty", "Full(6 bytes)", "Events"]);
}

#[test]
fn tr_17_lines_for_resuming_are_read_and_leave_an_event_as_it_means() {
    let without = |raw: &str| {
        let (mut events, _) = events([raw.as_bytes()], WIDE);
        let event = events.remove(0);
        let read = (event.id().map(<[u8]>::to_vec), event.retry().map(|retry| retry.as_millis()));
        (read, event.without_resumption().map(|event| String::from_utf8(event.into_raw().to_vec()).unwrap()))
    };
    let id = |id: &str| Some(id.as_bytes().to_vec());
    assert_eq!(without("id: 1\nretry: 250\ndata:\n\n"), ((id("1"), Some(250)), None));
    assert_eq!(without("id: 1\r\ndata: {}\r\n\r\n"), ((id("1"), None), Some("data: {}\n\n".to_owned())));
    assert_eq!(
        without("id:1\nid: 2\ndata: x\ndata: y\n\n"),
        ((id("2"), None), Some("data: x\ndata: y\n\n".to_owned()))
    );
    assert_eq!(without(": hello\nid\n\n"), ((id(""), None), Some(": hello\n\n".to_owned())));
    // These only look like them, so the event stays byte for byte as it came.
    let (raw, nothing) = ("idle: 1\nretry2: x\ndata: {}\r\n\r\n", (None, None));
    assert_eq!(without(raw), (nothing.clone(), Some(raw.to_owned())));
    assert_eq!(without("retry: soon\ndata: {}\n\n"), (nothing, Some("data: {}\n\n".to_owned())));
}
