//! Logs, traces and metrics on their way out.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use portcullis_policies::kit::refusal::Reason;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::access::Outcome;
use crate::config::{Log, LogFormat, Telemetry};

/// How the log is written.
#[derive(Clone, Debug)]
pub struct Logging {
    /// What the configuration says.
    pub log: Log,
    /// Is standard error a terminal?
    pub terminal: bool,
}

/// Starts the log, once a process. Lines go to standard error; control characters in values are escaped.
pub fn start_logging(logging: &Logging) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&logging.log.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    // Without tracing's own `target`: a line about a call has one that means the tool.
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(logging.terminal).with_target(false);
    let json = match logging.log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !logging.terminal,
    };
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in tests, keeps the first.
    let _ =
        if json { registry.with(lines.json().flatten_event(true)).try_init() } else { registry.with(lines).try_init() };
}

/// Everything that is exported.
#[derive(Clone, Debug)]
pub(super) struct Exporters {
    pub(super) meters: SdkMeterProvider,
    pub(super) registry: prometheus::Registry,
    tracers: Option<SdkTracerProvider>,
}

impl Exporters {
    /// Prometheus always; OTLP where it is configured.
    pub(super) fn start(telemetry: Option<&Telemetry>) -> anyhow::Result<Self> {
        let registry = prometheus::Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let meters = SdkMeterProvider::builder().with_reader(prometheus);
        let Some(telemetry) = telemetry else {
            return Ok(Self { meters: meters.build(), registry, tracers: None });
        };
        let resource = Resource::builder().with_service_name(telemetry.service_name.clone()).build();
        let client = OtlpClient::new();
        let collector = telemetry.otlp.trim_end_matches('/');
        let headers: HashMap<_, _> = telemetry.headers.clone().into_iter().collect();
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_headers(headers.clone())
            .with_endpoint(format!("{collector}/v1/metrics"))
            .build()?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_headers(headers)
            .with_endpoint(format!("{collector}/v1/traces"))
            .build()?;
        let tracers = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build();
        let meters = meters.with_periodic_exporter(metrics).with_resource(resource).build();
        Ok(Self { meters, registry, tracers: Some(tracers) })
    }

    pub(super) fn tracing(&self) -> Option<Tracing> {
        let tracer = self.tracers.as_ref()?.tracer("portcullis");
        Some(Tracing { tracer, propagator: Arc::new(TraceContextPropagator::new()) })
    }

    /// Sends what has not been sent. Blocks: not for a thread of the runtime.
    pub(super) fn flush(&self) {
        if let Some(tracers) = &self.tracers
            && let Err(error) = tracers.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
        if let Err(error) = self.meters.shutdown() {
            tracing::warn!(%error, "the last metrics were not sent");
        }
    }
}

/// Makes a span of each request, as a part of the caller's trace (W3C Trace Context).
#[derive(Clone, Debug)]
pub(super) struct Tracing {
    tracer: SdkTracer,
    propagator: Arc<TraceContextPropagator>,
}

/// One request's span.
pub(super) struct RequestSpan(Context);

impl Tracing {
    /// Begins a span and puts it into the headers, from where it crosses to the upstream.
    pub(super) fn begin(&self, route: &Arc<str>, headers: &mut HeaderMap) -> RequestSpan {
        let parent = self.propagator.extract(&Headers(headers));
        let span = self
            .tracer
            .span_builder(format!("POST {route}"))
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("http.route", Arc::clone(route))])
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        self.propagator.inject_context(&context, &mut HeadersMut(headers));
        RequestSpan(context)
    }
}

impl RequestSpan {
    pub(super) fn end(self, outcome: &Outcome<'_>) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(outcome.status.as_u16())));
        span.set_attribute(KeyValue::new("mcp.method.name", outcome.method_label()));
        if let Some(reason) = outcome.reason {
            span.set_attribute(KeyValue::new("error.type", reason.code()));
            if reason.status().is_server_error() {
                span.set_status(Status::error(Reason::meaning(reason)));
            }
        }
        span.end();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), http::HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The exporters' way out. They run on threads of their own without a reactor, so each request is a task on ours.
#[derive(Clone, Debug)]
struct OtlpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: tokio::runtime::Handle,
}

impl OtlpClient {
    const ANSWER_BYTES: usize = 1 << 20;

    fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = hyper_rustls::HttpsConnectorBuilder::new();
        let builder = match builder.with_provider_and_native_roots(Arc::clone(&provider)) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::warn!(%error, "the system has no certificates; Mozilla's are used");
                let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
                let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
                hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config)
            }
        };
        let connector = builder.https_or_http().enable_http1().build();
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: tokio::runtime::Handle::current(),
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, Self::ANSWER_BYTES).collect().await?.to_bytes();
            Ok(http::Response::from_parts(head, body))
        });
        sending.await?
    }
}
