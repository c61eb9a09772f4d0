//! The shape of `routes.json`. Doc comments here are the descriptions in the published JSON Schema: they are written for
//! people who edit that file.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32};

use ipnet::IpNet;
use portcullis_policies::kit::{approval::Approver, canonical::Fingerprint};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The configuration of a Portcullis gateway.
///
/// The type describes the shape. It is read part by part, so that one mistake does not hide the others.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "routes.json")]
pub(super) struct RoutesFile {
    /// Where editors find the schema of this file. `portcullis schema` writes it.
    #[serde(default, rename = "$schema")]
    pub(super) schema: String,
    /// The behaviour of the gateway is frozen to this date, written like 2026-11-20.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub(super) compatibility_date: String,
    /// The gateway itself: where it listens, what it writes down.
    #[serde(default)]
    pub(super) gateway: Gateway,
    /// Policies with a name, to be used by any number of routes.
    #[serde(default)]
    pub(super) policies: BTreeMap<String, PolicyUse>,
    /// The routes, by path.
    pub(super) routes: serde_json::Map<String, Value>,
}

/// The gateway itself. Changes take effect after a restart.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// Address and port to listen on.
    pub listen: String,
    /// The address under which clients reach the gateway, such as `https://mcp.example.com`. The only source of links;
    /// the Host header never is. Default: `http://` and the listening address.
    pub public_url: Option<String>,
    /// Further hosts (with port, if it is not the default) that clients may use to reach the gateway.
    pub allowed_hosts: Vec<String>,
    /// Proxies in front of the gateway whose `X-Forwarded-For` is believed, as addresses or networks.
    #[serde(deserialize_with = "networks")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Serve HTTPS. Without it the gateway serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where sign-ins and keys are kept: `sqlite:FILE`, relative to this file, or `postgres://…` for several gateways.
    /// Opened only if a policy needs it.
    pub store: String,
    /// The key under which secrets are sealed in the store: 32 bytes in Base64, best as `$env(PORTCULLIS_KEY)` or
    /// `$file(…)`. Without it, `portcullis.key` beside this file is used, and made at the first start; but several gateways
    /// with one PostgreSQL store need one key.
    #[schemars(with = "Option<String>")]
    pub encryption_key: Option<Hidden>,
    /// A program that prints that key, and its arguments, such as `["vault", "kv", "get", "-field=key", "secret/portcullis"]`.
    /// It is run once at the start, without a shell, and gets ten seconds. Instead of `encryptionKey`.
    #[schemars(length(min = 1))]
    pub encryption_key_command: Option<Vec<String>>,
    /// The authorization server that MCP clients talk to.
    #[serde(rename = "oauth")]
    pub oauth: OAuthOptions,
    /// How the gateway fetches what others name: documents of clients, keys of issuers, endpoints of providers.
    pub fetch: FetchOptions,
    /// Who may see the audit log and approve tools in a browser, at `/audit` and `/pins`: one of these entries must fit, and in
    /// it everything. Default: nobody.
    pub operators: Vec<Approver>,
    /// Limits on connections and on HTTP itself.
    pub limits: ListenerLimits,
    /// What the gateway writes to its log.
    pub log: Log,
    /// Where to send traces and metrics.
    pub telemetry: Option<Telemetry>,
    /// What becomes of the rows of `audit-log`.
    pub audit: AuditOptions,
    /// What becomes of calls that wait for an approval.
    pub approvals: ApprovalOptions,
    /// Seconds that calls in flight get to end when the gateway is told to stop.
    pub drain_seconds: u32,
}

/// An address or a network. Those that are neither are left out here; the check reports them at their place.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    Ok(texts.iter().filter_map(|text| network(text)).collect())
}

pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: None,
            store: "sqlite:portcullis.db".to_owned(),
            encryption_key: None,
            encryption_key_command: None,
            oauth: OAuthOptions::default(),
            fetch: FetchOptions::default(),
            operators: Vec::new(),
            limits: ListenerLimits::default(),
            log: Log::default(),
            telemetry: None,
            audit: AuditOptions::default(),
            approvals: ApprovalOptions::default(),
            drain_seconds: 30,
        }
    }
}

impl Gateway {
    /// Does it differ from `running` in what a running gateway cannot change? All of it is set up once.
    pub fn needs_restart(&self, running: &Self) -> bool {
        self != running
    }
}

/// A secret of the configuration. It can be compared, and not printed.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Hidden(SecretString);

impl Hidden {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Hidden {}

/// The authorization server that MCP clients talk to.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OAuthOptions {
    /// Clients that the operator knows, besides those that register themselves or are named by the URL of a document.
    pub clients: Vec<ConfiguredClient>,
    /// Clients that register themselves (RFC 7591), as most do today.
    pub registration: Registration,
    /// Clients that are named by the URL of a document.
    pub client_documents: ClientDocuments,
    /// Requests to sign in or for tokens that one address may send in a minute.
    pub requests_per_minute_and_address: NonZeroU32,
}

impl Default for OAuthOptions {
    fn default() -> Self {
        Self {
            clients: Vec::new(),
            registration: Registration::default(),
            client_documents: ClientDocuments::default(),
            requests_per_minute_and_address: positive(600),
        }
    }
}

/// A client that the operator knows.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfiguredClient {
    /// What it sends as `client_id`.
    pub client_id: String,
    /// Its secret, best as `$env(…)`. A client without one is public, and proves itself by PKCE alone.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<Hidden>,
    /// Its public keys (a JWK set), if it proves itself by signing (`private_key_jwt`).
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Its name, for the page that asks for consent.
    #[serde(default)]
    pub name: Option<String>,
    /// Addresses that people are sent back to. On loopback any port goes.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// What it may do: `authorization_code`, `refresh_token`, `client_credentials`. Default: the first two.
    #[serde(default)]
    pub grant_types: Option<Vec<String>>,
}

/// Clients that register themselves.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Registration {
    /// May they?
    pub enabled: bool,
    /// Registrations from one address in an hour.
    pub per_hour_and_address: NonZeroU32,
    /// Clients that may be registered at a time.
    pub most_clients: NonZeroU32,
    /// Days after which a client is forgotten that nobody uses.
    pub unused_days: NonZeroU32,
    /// Schemes, beside https and http on loopback, under which programs of this machine may be called back.
    pub redirect_schemes: Vec<String>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            enabled: true,
            per_hour_and_address: positive(60),
            most_clients: positive(10_000),
            unused_days: positive(90),
            redirect_schemes: ["cursor", "vscode", "vscode-insiders", "windsurf", "claude"].map(str::to_owned).to_vec(),
        }
    }
}

/// Clients that are named by the URL of a document.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientDocuments {
    /// Hosts whose documents are taken; one that begins with a dot stands for all below it. Default: all.
    pub allowed_hosts: Option<Vec<String>>,
    /// Hosts whose documents are not.
    pub blocked_hosts: Vec<String>,
}

/// A certificate and its key. Both are read again when the files change.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file with the certificate chain.
    pub certificate: String,
    /// PEM file with the private key.
    pub key: String,
}

/// How the gateway fetches what others name: only from public addresses, without following redirects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FetchOptions {
    /// Addresses or networks that may be asked although they are not public, such as that of an identity provider inside.
    #[serde(deserialize_with = "networks")]
    #[schemars(with = "Vec<String>")]
    pub allowed_networks: Vec<IpNet>,
    /// PEM files with certificates of authorities to trust beyond the system's.
    pub roots: Vec<String>,
}

/// Limits on connections and on HTTP itself.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListenerLimits {
    /// Connections held at once; more are answered 503.
    pub connections: NonZeroU32,
    /// Bytes of a request's headers, together.
    pub header_bytes: NonZeroU32,
    /// Number of a request's headers.
    pub headers: NonZeroU32,
    /// Seconds within which a request's headers must have come.
    pub header_seconds: NonZeroU32,
    /// Seconds within which a TLS handshake must be done.
    pub handshake_seconds: NonZeroU32,
    /// Seconds for which a client may leave what is sent to it unread.
    pub unread_seconds: NonZeroU32,
    /// Concurrent streams of one HTTP/2 connection.
    pub http2_streams: NonZeroU32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: positive(10_000),
            header_bytes: positive(16 << 10),
            headers: positive(64),
            header_seconds: positive(10),
            handshake_seconds: positive(5),
            unread_seconds: positive(60),
            http2_streams: positive(100),
        }
    }
}

const fn positive(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// What the gateway writes to its log.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Log {
    /// A line for each request.
    pub access: bool,
    /// How lines look: `auto` is `human` on a terminal and `json` elsewhere.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,portcullis=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { access: true, format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `human` on a terminal, `json` elsewhere.
    Auto,
    /// For people.
    Human,
    /// For programs: one object a line.
    Json,
}

/// What becomes of the rows of `audit-log`. The store has them all; they can go elsewhere too.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditOptions {
    /// Days for which the store keeps them.
    #[schemars(range(min = 1, max = 36_500))]
    pub keep_days: u32,
    /// A file to which they are appended, as NDJSON, relative to this file. It may be moved away at any time; a new one begins then.
    pub file: Option<String>,
    /// Write them to standard output, as NDJSON.
    pub stdout: bool,
    /// An address to which they are posted, as NDJSON, a group at a time.
    pub webhook: Option<Webhook>,
    /// An OpenTelemetry collector to which they are posted as log records.
    pub otlp: Option<OtlpLogs>,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { keep_days: 90, file: None, stdout: false, webhook: None, otlp: None }
    }
}

/// An OpenTelemetry collector that takes log records.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpLogs {
    /// The address of its OTLP/HTTP receiver, such as `http://127.0.0.1:4318`; records go to `/v1/logs` below it.
    pub endpoint: String,
    /// Sent along, such as `Authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: HiddenHeaders,
}

/// What becomes of calls that wait for an approval.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApprovalOptions {
    /// An address that gets a message when a call begins to wait, and what becomes of it.
    pub webhook: Option<SignedWebhook>,
}

/// An address that gets messages (Standard Webhooks).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedWebhook {
    /// Where it is: `https`, or `http` on this machine. `gateway.fetch.allowedNetworks` names networks that are not public.
    pub url: String,
    /// Sent along, such as `Authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: HiddenHeaders,
    /// The secret with which messages are signed: 24 to 64 bytes in Base64, after `whsec_` or without, best as `$env(NAME)`.
    #[schemars(with = "Option<String>")]
    pub secret: Option<Hidden>,
}

/// An address to which something is posted.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where it is: `https`, or `http` on this machine. `gateway.fetch.allowedNetworks` names networks that are not public.
    pub url: String,
    /// Sent along, such as `Authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: HiddenHeaders,
}

/// Headers whose values cannot be printed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct HiddenHeaders(BTreeMap<String, Hidden>);

impl HiddenHeaders {
    /// Their names and values.
    pub fn exposed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }
}

/// Where to send traces and metrics.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Telemetry {
    /// Address of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`.
    pub otlp: String,
    /// Headers for the collector.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Name of this service in traces and metrics.
    #[serde(default = "service_name")]
    pub service_name: String,
}

/// What the gateway is called among services, unless the configuration says otherwise.
pub fn service_name() -> String {
    "portcullis".to_owned()
}

/// One route: an upstream, and the policies in front of it in the order in which requests pass them.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteOptions {
    /// The MCP server behind this route.
    pub(super) upstream: Upstream,
    /// The policies, outermost first.
    pub(super) policies: Vec<PolicyRef>,
    /// Limits on messages and answers.
    #[serde(default)]
    pub(super) limits: RouteLimits,
    /// How long each part of an exchange may take, in seconds.
    #[serde(default)]
    pub(super) clocks: RouteClocks,
    /// Methods to let through beyond those that MCP defines.
    #[serde(default)]
    pub(super) allow_methods: Vec<String>,
    /// Which clients the route serves: those with sessions (revisions up to 2025-11-25), those without (2026-07-28 and
    /// later), or `both`, whatever the upstream speaks.
    #[serde(default)]
    pub(super) era: Era,
    /// What becomes of several messages in one request, which clients of 2025-03-26 may send and no others.
    #[serde(default)]
    pub(super) batches: Batches,
}

/// Which clients a route serves.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// All. Where the upstream speaks only the other era, the gateway translates.
    #[default]
    Both,
    /// Those whose era the upstream speaks. Nothing is translated.
    Upstream,
    /// Only those with sessions (revisions up to 2025-11-25).
    Legacy,
    /// Only those without (2026-07-28 and later).
    Modern,
}

impl Era {
    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Upstream => "upstream",
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// The MCP server behind a route.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// Address of a server that speaks Streamable HTTP, such as `https://mcp.linear.app/mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Use the sample server that is built into the gateway.
    #[serde(default)]
    pub demo: bool,
    /// Speak HTTP/2 to the upstream: one connection for everything. Default: HTTP/1.1.
    #[serde(default)]
    pub http2: bool,
    /// How to trust the upstream.
    #[serde(default)]
    pub tls: UpstreamTls,
}

impl Upstream {
    /// As rules name it: the host of its URL, `demo` for the built-in server.
    pub fn name(&self) -> String {
        let url = self.url.as_deref().and_then(|url| url::Url::parse(url).ok());
        url.as_ref().and_then(url::Url::host_str).unwrap_or("demo").to_owned()
    }

    /// Tells it from others on the same host. Of the rest of the URL, which may hold a secret, nothing can be read.
    pub fn key(&self) -> String {
        let Some(url) = &self.url else { return self.name() };
        let [a, b, c, d, ..] = *Fingerprint::of_bytes(url.as_bytes()).as_bytes();
        format!("{}#{:08x}", self.name(), u32::from_be_bytes([a, b, c, d]))
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.as_deref().unwrap_or("the built-in demo server"))
    }
}

/// How to trust an upstream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// PEM files with certificates of authorities to trust beyond the system's.
    pub roots: Vec<String>,
}

/// What becomes of several messages in one request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Batches {
    /// They are refused.
    #[default]
    Refuse,
    /// Each of them, 32 at most, passes the whole chain as a request of its own.
    Split,
}

/// A policy with its options.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyUse {
    /// Which policy.
    pub(super) policy: String,
    /// How it is set up.
    #[serde(default = "no_options")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub(super) options: Value,
}

pub(super) fn no_options() -> Value {
    Value::Object(serde_json::Map::new())
}

/// A policy in a chain: the name of one under `policies`, the type of one that needs no options, or one in place.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(untagged)]
pub(super) enum PolicyRef {
    /// By name.
    Named(String),
    /// In place.
    InPlace(PolicyUse),
}

/// Limits on messages and answers of one route.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RouteLimits {
    /// Bytes of a request.
    pub request_bytes: NonZeroU32,
    /// Nested objects and arrays in a request.
    pub depth: u16,
    /// Values in a request.
    pub nodes: NonZeroU32,
    /// Keys of one object in a request.
    pub keys: NonZeroU32,
    /// Bytes of one string in a request.
    pub string_bytes: NonZeroU32,
    /// Bytes a second that a request's body must bring on average, after five seconds.
    pub request_bytes_per_second: NonZeroU32,
    /// Allow tool names outside `A-Z a-z 0-9 _ . - /` or longer than 128 characters.
    pub unusual_tool_names: bool,
    /// Bytes of a JSON answer.
    pub response_bytes: NonZeroU32,
    /// Bytes of one event of an event stream.
    pub event_bytes: NonZeroU32,
    /// Bytes of one line of an event stream.
    pub event_line_bytes: NonZeroU32,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            request_bytes: positive(1 << 20),
            depth: 64,
            nodes: positive(10_000),
            keys: positive(256),
            string_bytes: positive(512 << 10),
            request_bytes_per_second: positive(1 << 10),
            unusual_tool_names: false,
            response_bytes: positive(8 << 20),
            event_bytes: positive(1 << 20),
            event_line_bytes: positive(256 << 10),
        }
    }
}

/// How long each part of an exchange with the upstream may take, in seconds.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RouteClocks {
    /// Opening a TCP connection.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub connect: f64,
    /// The TLS handshake.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub tls: f64,
    /// From the request to the beginning of the answer.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub first_byte: f64,
    /// Between two pieces of a JSON answer.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub idle_json: f64,
    /// Between two pieces of an event stream; comments count.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub idle_events: f64,
    /// The whole exchange.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub total: f64,
    /// Silence after which the client's event stream gets a comment.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub keep_alive: f64,
    /// A subscription (`subscriptions/listen`), which no other clock ends. Clients open another one.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub listen: f64,
    /// A session that the gateway itself holds at the upstream, after its last use.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub idle_session: f64,
    /// For which a person may think before they answer what the upstream asks in the middle of a call.
    #[schemars(range(min = 0.001, max = 86400.0))]
    pub input: f64,
}

impl Default for RouteClocks {
    fn default() -> Self {
        Self {
            connect: 2.0,
            tls: 5.0,
            first_byte: 30.0,
            idle_json: 60.0,
            idle_events: 300.0,
            total: 600.0,
            keep_alive: 15.0,
            listen: 3600.0,
            idle_session: 300.0,
            input: 600.0,
        }
    }
}
