//! What a layer costs that only passes a request on: `RouteService` beside nested boxed Tower services.
//!
//! `cargo bench --bench chain`.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use divan::{AllocProfiler, Bencher, black_box};
use portcullis_policies::kit::{
    chain::{Inbound, Request, Response, RouteLayer, RouteService, answered, around, gate, stack},
    json::Limits,
    message::Message,
    reply::Reply,
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const LAYERS: [usize; 5] = [0, 1, 5, 10, 20];

fn request() -> Request {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    let message = Message::read(call.into(), &Limits::MESSAGE).expect("a message");
    Request::new(Inbound::Message(message))
}

/// Nothing in these chains waits, so one poll is the whole call.
fn finish(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => unreachable!("nothing waits"),
    }
}

fn route(layers: usize, layer: &RouteLayer) -> RouteService {
    let end = RouteService::from_fn(|_| answered(Response::new(Reply::Empty)));
    stack(vec![layer.clone(); layers]).layer(end)
}

fn run(bencher: Bencher<'_, '_>, chain: &RouteService) {
    bencher.with_inputs(request).bench_values(|request| finish(black_box(chain).run(request)));
}

#[divan::bench(args = LAYERS)]
fn route_service_of_gates(bencher: Bencher<'_, '_>, layers: usize) {
    run(bencher, &route(layers, &gate(|_| Ok(()))));
}

#[divan::bench(args = LAYERS)]
fn route_service_of_arounds(bencher: Bencher<'_, '_>, layers: usize) {
    let passing = around(|request, next: RouteService| async move {
        let Ok(response) = next.run(request).await;
        response
    });
    run(bencher, &route(layers, &passing));
}

type Boxed = BoxCloneSyncService<Request, Response, Infallible>;

/// As a layer is usually written: the rest of the chain is cloned into the future.
fn boxed(layers: usize) -> Boxed {
    let end = BoxCloneSyncService::new(service_fn(|_| async { Ok(Response::new(Reply::Empty)) }));
    (0..layers).fold(end, |inner, _| {
        BoxCloneSyncService::new(service_fn(move |request| {
            let inner = inner.clone();
            async move { inner.oneshot(request).await }
        }))
    })
}

#[divan::bench(args = LAYERS)]
fn nested_box_clone_sync_services(bencher: Bencher<'_, '_>, layers: usize) {
    let chain = boxed(layers);
    bencher.with_inputs(request).bench_values(|request| {
        let mut service = black_box(&chain).clone();
        finish(service.call(request))
    });
}
