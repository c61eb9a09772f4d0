//! Chance, with a fixed seed: messages bent in the ways that attackers bend them.

use proptest::{prelude::*, test_runner::RngSeed};
use tokio::runtime::{Builder, Runtime};

use super::{parsers::assert_all_parsers_agree, *};

const SEEDS: &[&str] = &[
    CALL,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"path":"/tmp","n":[1,{"x":"\u00e9"}]}}}"#,
    r#"{"params":{"arguments":{"name":"x"},"name":"delete"},"method":"tools/call","id":"a-\u0031","jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","id":12345678901234567890123,"method":"resources/read","params":{"uri":"note:\/\/5"}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"p","_meta":{"progressToken":1}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"}}}"#,
    r#"{"jsonrpc":"2.0","id":4,"method":"tasks/get","params":{"taskId":"t"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
    r#"{"jsonrpc":"2.0","id":"s","result":{"action":"accept"}}"#,
];

const KEYS: &[&str] = &[
    "jsonrpc",
    "id",
    "method",
    "params",
    "name",
    "arguments",
    "uri",
    "taskId",
    "ref",
    "_meta",
    "result",
    "error",
    "x",
    "METHOD",
    "Name",
    "param\u{17f}",
    "tas\u{212a}Id",
    "\\u006eame",
    "meth\\u006fd",
    "i\\u0064",
    "\u{131}d",
    "",
];

const VALUES: &[&str] = &[
    "null",
    "1",
    "\"admin\"",
    "\"tools/list\"",
    "{}",
    "[]",
    "{\"name\":\"admin\"}",
    "\"2.0\"",
    "1e400",
    "\"\\ud800\"",
];

/// One change to a message. Places are taken modulo the message's length.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: usize, bit: u8 },
    Truncate { at: usize },
    Insert { at: usize, byte: u8 },
    Delete { at: usize },
    Repeat { from: usize, to: usize },
    Case { at: usize },
    Escape { at: usize },
    Member { brace: usize, key: usize, value: usize, first: bool },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0..4096_usize;
    prop_oneof![
        2 => (at.clone(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        1 => at.clone().prop_map(|at| Mutation::Truncate { at }),
        2 => (at.clone(), prop::sample::select(b"{}[]\",:\\ 0eE-.\x00\xff".to_vec())).prop_map(|(at, byte)| Mutation::Insert { at, byte }),
        1 => at.clone().prop_map(|at| Mutation::Delete { at }),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Mutation::Repeat { from, to }),
        3 => at.clone().prop_map(|at| Mutation::Case { at }),
        3 => at.clone().prop_map(|at| Mutation::Escape { at }),
        6 => (0..8_usize, 0..KEYS.len(), 0..VALUES.len(), any::<bool>())
            .prop_map(|(brace, key, value, first)| Mutation::Member { brace, key, value, first }),
    ]
}

impl Mutation {
    fn apply(&self, message: &mut Vec<u8>) {
        let length = message.len().max(1);
        match *self {
            Self::Flip { at, bit } => {
                if let Some(byte) = message.get_mut(at % length) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Truncate { at } => message.truncate(at % length),
            Self::Insert { at, byte } => message.insert((at % length).min(message.len()), byte),
            Self::Delete { at } => {
                if !message.is_empty() {
                    message.remove(at % length);
                }
            }
            Self::Repeat { from, to } => {
                let (from, to) = ((from % length).min(to % length), (from % length).max(to % length));
                let part = message.get(from..to).unwrap_or_default().to_vec();
                message.splice(to..to, part);
            }
            Self::Case { at } => {
                if let Some(at) = letter_from(message, at % length) {
                    message[at] ^= 0x20;
                }
            }
            Self::Escape { at } => {
                if let Some(at) = letter_from(message, at % length) {
                    let escape = format!("\\u{:04x}", message[at]).into_bytes();
                    message.splice(at..=at, escape);
                }
            }
            Self::Member { brace, key, value, first } => member(message, brace, KEYS[key], VALUES[value], first),
        }
    }
}

fn letter_from(message: &[u8], at: usize) -> Option<usize> {
    (at..message.len()).find(|at| message[*at].is_ascii_alphabetic())
}

/// Adds a member at the beginning or at the end of one of the message's objects.
fn member(message: &mut Vec<u8>, brace: usize, key: &str, value: &str, first: bool) {
    let bracket = if first { b'{' } else { b'}' };
    let places: Vec<_> = (0..message.len()).filter(|at| message[*at] == bracket).collect();
    let Some(&place) = places.get(brace % places.len().max(1)) else { return };
    let (place, member) =
        if first { (place + 1, format!("\"{key}\":{value},")) } else { (place, format!(",\"{key}\":{value}")) };
    message.splice(place..place, member.into_bytes());
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x706f_7274),
        ..ProptestConfig::default()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn sec_no_bent_message_is_executed_as_something_else_than_what_was_judged() {
    let (runtime, executed) = (runtime(), std::cell::Cell::new(0));
    let gateway = Gateway::new(EdgeLimits { unusual_tool_names: true, ..EdgeLimits::default() });
    proptest!(config(1_400), |(seed in 0..SEEDS.len(), mutations in prop::collection::vec(mutation(), 1..4))| {
        let mut body = SEEDS[seed].as_bytes().to_vec();
        for mutation in &mutations { mutation.apply(&mut body); }
        let outcome = runtime.block_on(gateway.take(post(Full::new(Bytes::from(body.clone())))));
        match outcome.executed {
            None => prop_assert!(outcome.reason().is_some(), "neither refused nor executed"),
            Some(message) => {
                prop_assert_eq!(&message.bytes()[..], &body[..]);
                assert_all_parsers_agree(&message, &body.escape_ascii().to_string());
                executed.set(executed.get() + 1);
            }
        }
    });
    assert!(executed.get() > 100, "only {} of them say anything about agreement", executed.get());
}
