//! The strict reader beside `serde_json`, and beside looking for secrets: throughput, and heap allocations.
//!
//! `cargo bench --bench reader`. divan prints bytes per second and, where there are any, allocations per read.

use std::{
    fmt::Write,
    pin::pin,
    task::{Context, Waker},
};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use portcullis_policies::{
    kit::{
        chain::{Inbound, Request, Response, RouteService, answered},
        host::Host,
        json::Limits,
        message::Message,
        reply::Reply,
    },
    layer,
    secret_guard::SecretGuard,
};
use serde_json::{Value, json};
use tower::Layer;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// One message of each kind that matters.
const SHAPES: [&str; 7] =
    ["300 B call", "300 B escaped", "4 KiB call", "64 KiB text", "64 KiB code", "64 KiB structure", "64 KiB non-ASCII"];

fn message(shape: &str) -> Bytes {
    let arguments = match shape {
        "300 B call" => r#"{"query":"status:open label:bug","limit":25,"sort":{"by":"updated","order":"desc"},"labels":["bug","ui"]}"#.to_owned(),
        "300 B escaped" => r#"{"query":"status:\"open\"\nlabel:bug","limit":25,"path":"a\/b\/c","sort":{"by":"updated","order":"desc"}}"#.to_owned(),
        "4 KiB call" => structure(3_900),
        "64 KiB text" => format!(r#"{{"text":"{}"}}"#, "The quick brown fox jumps over the lazy dog. ".repeat(1_450)),
        "64 KiB code" => format!(r#"{{"text":"{}"}}"#, r#"    let name = \"value\";\n    if x { return y; }\n"#.repeat(1_200)),
        "64 KiB structure" => structure(65_300),
        "64 KiB non-ASCII" => format!(r#"{{"text":"{}"}}"#, "Съешь же ещё этих мягких французских булок, да выпей чаю. ".repeat(620)),
        other => unreachable!("{other}"),
    };
    let meta =
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    format!(r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"search_issues","arguments":{arguments},"_meta":{meta}}}}}"#).into()
}

/// Nested objects, short strings and numbers, about `length` bytes of them.
fn structure(length: usize) -> String {
    let mut json = String::from(r#"{"items":["#);
    for n in 0.. {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            json,
            r#"{comma}{{"id":{n},"title":"Item {n}","done":{},"score":{}.25,"owner":{{"name":"ada","team":{{"id":"t-{}","size":7}}}},"tags":["a","bc","def"]}}"#,
            n % 2 == 0,
            n * 3,
            n % 10,
        );
        if json.len() > length {
            break;
        }
    }
    json + "]}"
}

#[divan::bench(args = SHAPES)]
fn strict(bencher: Bencher<'_, '_>, shape: &str) {
    let bytes = message(shape);
    assert!(Message::read(bytes.clone(), &Limits::MESSAGE).is_ok(), "{shape}");
    bencher.counter(BytesCount::new(bytes.len())).bench(|| Message::read(black_box(bytes.clone()), &Limits::MESSAGE));
}

#[divan::bench(args = SHAPES)]
fn serde_json_value(bencher: Bencher<'_, '_>, shape: &str) {
    let bytes = message(shape);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| serde_json::from_slice::<Value>(black_box(&bytes)));
}

/// A call that passes `secret-guard`, which looks for tokens and keys, or for everything.
#[divan::bench(args = SHAPES)]
fn secret_guard(bencher: Bencher<'_, '_>, shape: &str) {
    guard(bencher, shape, &json!({ "results": "off" }));
}

#[divan::bench(args = SHAPES)]
fn secret_guard_personal_data(bencher: Bencher<'_, '_>, shape: &str) {
    guard(bencher, shape, &json!({ "results": "off", "detect": ["tokens", "keys", "personal-data"] }));
}

fn guard(bencher: Bencher<'_, '_>, shape: &str, options: &Value) {
    let bytes = message(shape);
    let end = RouteService::from_fn(|_| answered(Response::new(Reply::Empty)));
    let chain = layer::<SecretGuard>(options, &Host::default()).expect("the options are right").layer(end);
    let message = Message::read(bytes.clone(), &Limits::MESSAGE).expect("a message");
    let request = || Request::new(Inbound::Message(message.clone()));
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(request).bench_values(|request| {
        pin!(black_box(&chain).run(request)).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
}
