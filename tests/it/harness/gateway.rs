//! The real gateway, inside the test.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis::{
    oauth::TokenJudge,
    pipeline::{Live, Plan, Reloaded, Toolbox, plan_file},
    server::{Services, Stop, assemble, bind, serve},
    upstreams::demo_server,
};
use portcullis_policies::kit::clock::{Clock, SystemClock};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Client, Process, Reply, Request, Upstream, call, soon};

/// A configuration in the making, with a folder of its own.
pub(crate) struct Setup {
    config: Value,
    folder: TempDir,
    background: bool,
    clock: Arc<dyn Clock>,
}

/// One route in the making.
#[derive(Clone)]
pub(crate) struct Route(Value);

impl Route {
    pub(crate) fn to(upstream: &Upstream) -> Self {
        Self::url(&upstream.url())
    }

    pub(crate) fn url(url: &str) -> Self {
        Self(json!({ "upstream": { "url": url }, "policies": [] }))
    }

    pub(crate) fn demo() -> Self {
        Self(json!({ "upstream": { "demo": true }, "policies": [] }))
    }

    pub(crate) fn upstream(mut self, key: &str, value: Value) -> Self {
        self.0["upstream"][key] = value;
        self
    }

    pub(crate) fn clock(self, name: &str, seconds: f64) -> Self {
        self.within("clocks", name, seconds.into())
    }

    pub(crate) fn limit(self, name: &str, value: u64) -> Self {
        self.within("limits", name, value.into())
    }

    pub(crate) fn allow_unusual_names(self) -> Self {
        self.within("limits", "unusualToolNames", true.into())
    }

    /// Takes several messages in one request.
    pub(crate) fn split_batches(mut self) -> Self {
        self.0["batches"] = "split".into();
        self
    }

    pub(crate) fn policy(mut self, policy: &str, options: &Value) -> Self {
        let policies = self.0["policies"].as_array_mut().unwrap();
        policies.push(json!({ "policy": policy, "options": options }));
        self
    }

    /// Which clients it serves.
    pub(crate) fn era(mut self, era: &str) -> Self {
        self.0["era"] = era.into();
        self
    }

    fn within(mut self, part: &str, name: &str, value: Value) -> Self {
        self.0[part][name] = value;
        self
    }
}

impl Setup {
    pub(crate) fn new() -> Self {
        let config = json!({
            "compatibilityDate": "2026-11-20",
            "gateway": { "listen": "127.0.0.1:0" },
            "routes": {},
        });
        Self { config, folder: TempDir::new().unwrap(), background: false, clock: Arc::new(SystemClock) }
    }

    pub(crate) fn route(mut self, path: &str, route: Route) -> Self {
        self.config["routes"][path] = route.0;
        self
    }

    /// In `gateway`.
    pub(crate) fn gateway(mut self, key: &str, value: Value) -> Self {
        self.config["gateway"][key] = value;
        self
    }

    /// A public OAuth client that the operator knows.
    pub(crate) fn client(self, id: &str, redirect: &str) -> Self {
        self.oauth_client(&json!({ "clientId": id, "name": id, "redirectUris": [redirect] }))
    }

    /// An OAuth client that the operator knows.
    pub(crate) fn oauth_client(mut self, client: &Value) -> Self {
        let oauth = &mut self.config["gateway"]["oauth"];
        if oauth["clients"].is_null() {
            oauth["clients"] = json!([]);
        }
        oauth["clients"].as_array_mut().unwrap().push(client.clone());
        self
    }

    /// One of `gateway.limits`.
    pub(crate) fn listener_limit(mut self, name: &str, value: u64) -> Self {
        self.config["gateway"]["limits"][name] = value.into();
        self
    }

    /// A file beside the configuration.
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    /// Where such a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// With what runs beside the requests: reloads on change, and the sweeping of connections.
    pub(crate) fn with_background(mut self) -> Self {
        self.background = true;
        self
    }

    /// By another clock than the machine's.
    pub(crate) fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The text of `routes.json`.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(&self.config).unwrap()
    }

    /// Starts the gateway in this process.
    pub(crate) async fn start(self) -> Gateway {
        let file = self.write();
        let services = Services::new(Arc::clone(&self.clock));
        let tools = Toolbox {
            kinds: portcullis_policies::STANDARD.to_vec(),
            demo: demo_server(),
            host: services.host(0),
            shared: services.shared.clone(),
            listen: None,
        };
        let Plan { generation, report, .. } = plan_file(&file, &self.text(), &tools);
        let generation = generation.unwrap_or_else(|| panic!("{report}"));
        let live = Arc::new(Live::new(generation, file.clone(), tools));
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = Stop::new();
        let assembly =
            assemble(Arc::clone(&live), services.clone(), self.folder.path(), address, &shutdown, 0x00C0_FFEE)
                .await
                .unwrap();
        let (again, reloads) = mpsc::channel(1);
        if self.background {
            assembly.start_background(Some(&file), reloads);
        }
        let serving = tokio::spawn(serve(listener, assembly, shutdown));
        Gateway { address, live, services, file, stop, serving, _again: again, _folder: self.folder }
    }

    /// Starts the program.
    pub(crate) fn spawn(self) -> Process {
        self.spawn_with(&[])
    }

    /// Starts the program with environment variables.
    pub(crate) fn spawn_with(self, variables: &[(&str, &str)]) -> Process {
        let file = self.write();
        Process::start(Arc::new(self.folder), &file, variables, &[])
    }

    /// Starts the program with more arguments.
    pub(crate) fn spawn_saying(self, arguments: &[&str]) -> Process {
        let file = self.write();
        Process::start(Arc::new(self.folder), &file, &[], arguments)
    }

    /// The folder, with the configuration in it.
    pub(crate) fn into_folder(self) -> TempDir {
        self.write();
        self.folder
    }

    fn write(&self) -> PathBuf {
        let file = self.folder.path().join("routes.json");
        fs::write(&file, self.text()).unwrap();
        file
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    live: Arc<Live>,
    services: Services,
    file: PathBuf,
    stop: Stop,
    serving: JoinHandle<()>,
    _again: mpsc::Sender<()>,
    _folder: TempDir,
}

impl Gateway {
    /// With one route, `/mcp`, without policies.
    pub(crate) async fn before(upstream: &Upstream) -> Self {
        Setup::new().route("/mcp", Route::to(upstream)).start().await
    }

    /// With one route, `/mcp`.
    pub(crate) async fn with(route: Route) -> Self {
        Setup::new().route("/mcp", route).start().await
    }

    pub(crate) async fn client(&self) -> Client {
        Client::to(self.address).await
    }

    /// Asks once, on a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        self.client().await.ask(request).await
    }

    /// POSTs one message to `/mcp`.
    pub(crate) async fn post(&self, message: &Value) -> Reply {
        self.ask(&Request::post("/mcp", message)).await
    }

    /// Calls a tool without arguments, on `/mcp`.
    pub(crate) async fn call(&self, tool: &str) -> Reply {
        self.post(&call(1, tool, &Value::Object(Map::new()))).await
    }

    /// How often a connection to an upstream was `reused`, or opened and why, as the metrics say it.
    pub(crate) async fn upstream_connections(&self) -> BTreeMap<String, u64> {
        self.reuse("portcullis_upstream_connections_total").await
    }

    /// As gateways do that have a store in common.
    pub(crate) fn shares_a_key_with(&self, other: &Self) {
        for gateway in [self, other] {
            gateway.services.shared.seal().use_key(&[7; 32]);
        }
    }

    /// As gateways are told that have a store in common.
    pub(crate) fn expect_peers(&self) {
        self.services.shared.expect_peers();
    }

    /// The same of sessions that the gateway keeps warm for clients of 2026-07-28.
    pub(crate) async fn upstream_sessions(&self) -> BTreeMap<String, u64> {
        self.reuse("portcullis_upstream_sessions_total").await
    }

    async fn reuse(&self, metric: &str) -> BTreeMap<String, u64> {
        let metrics = self.ask(&Request::get("/metrics")).await;
        let lines = metrics.text().lines().filter(|line| line.starts_with(metric));
        lines
            .map(|line| {
                let (labels, count) = line.rsplit_once(' ').unwrap();
                let reason =
                    labels.split_once("reason=\"").map_or("reused", |(_, rest)| rest.split('"').next().unwrap());
                assert_eq!(labels.contains("outcome=\"reused\""), reason == "reused", "{line}");
                (reason.to_owned(), count.parse().unwrap())
            })
            .collect()
    }

    /// Replaces the configuration's file at one stroke, as editors do.
    pub(crate) fn write(&self, text: &str) {
        replace(&self.file, text);
    }

    /// Replaces a file beside the configuration at one stroke.
    pub(crate) fn write_beside(&self, name: &str, text: &str) {
        replace(&self.file.with_file_name(name), text);
    }

    pub(crate) async fn reload(&self) -> Reloaded {
        let live = Arc::clone(&self.live);
        tokio::task::spawn_blocking(move || live.reload()).await.unwrap()
    }

    /// Where the configuration is, and the store.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap()
    }

    /// What happens once a minute, now.
    pub(crate) async fn tidy(&self) {
        self.services.authority().unwrap().tidy().await.unwrap();
    }

    /// What it knows people to have signed in with.
    pub(crate) fn subject_tokens(&self) -> TokenJudge {
        let tokens = TokenJudge::default();
        tokens.open(Arc::clone(self.services.authority().unwrap()));
        tokens
    }

    pub(crate) fn stop(&self) {
        self.stop.stop();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) {
        soon("the gateway ends", &mut self.serving).await.unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

pub(crate) fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("replacement");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}
