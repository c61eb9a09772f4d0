//! rmcp in the bridge matrix: `matrix_rmcp URL KEY MODE filtered|whole`, where MODE is legacy, auto (probe, then fall back)
//! or modern (no fallback). It does what `matrix_story.mjs` does, and reports in the same way.

use std::{
    process,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt as _, ErrorData, RoleClient,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, Implementation, ProgressNotificationParam, ProtocolVersion, Request,
    },
    service::{NotificationContext, PeerRequestOptions, RequestContext, RunningService},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const LIMIT: Duration = Duration::from_secs(20);
/// Until a call that is to be cancelled has surely arrived.
const HEAD_START: Duration = Duration::from_secs(1);
const TOOLS: [&str; 5] = ["ask", "count", "greet", "hold", "was_cancelled"];
/// The gateway's filter leaves it out.
const HIDDEN: &str = "wipe";
const THINGS: [&str; 6] = ["list", "call", "progress", "elicitation", "cancellation", "stream"];

type Session = RunningService<RoleClient, Person>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: matrix_rmcp URL KEY MODE filtered|whole";
    let [url, key, mode, tools] = arguments.try_into().ok().context(usage)?;
    let filtered = tools == "filtered";
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(key);
    let transport = StreamableHttpClientTransport::from_config(config);
    let session = Person::default().serve_with_lifecycle(transport, lifecycle(&mode)?).await?;
    let peer = session.peer_info().context("the server has not said what it is")?;
    report(&json!({ "version": peer.protocol_version.as_str() }));
    for thing in THINGS {
        report(&json!({ "thing": thing, "why": complaint(&session, thing, filtered).await }));
    }
    session.cancel().await?;
    Ok(())
}

fn lifecycle(mode: &str) -> anyhow::Result<ClientLifecycleMode> {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    Ok(match mode {
        "legacy" => ClientLifecycleMode::Initialize,
        "auto" => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        "modern" => ClientLifecycleMode::Discover { preferred_versions },
        _ => bail!("no such mode: {mode}"),
    })
}

fn report(line: &Value) {
    println!("{line}");
}

/// Why `thing` cannot be had; nothing when it can.
async fn complaint(session: &Session, thing: &str, filtered: bool) -> Option<String> {
    let shown = async {
        match thing {
            "list" => list(session, filtered).await,
            "call" => expect("Hello, Ada.", session, "greet", json!({ "name": "Ada" })).await,
            "progress" => counting(session, 3, 200).await,
            "elicitation" => expect("You like green.", session, "ask", json!({})).await,
            "cancellation" => cancellation(session).await,
            _ => counting(session, 20, 500).await,
        }
    };
    match timeout(LIMIT, shown).await {
        Ok(result) => result.err().map(|error| format!("{error:#}")),
        Err(_) => Some(format!("no end after {LIMIT:?}")),
    }
}

// The six things ---------------------------------------------------------------------------------------

async fn list(session: &Session, filtered: bool) -> anyhow::Result<()> {
    let tools = session.list_all_tools().await?;
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    names.sort_unstable();
    let hidden: &[&str] = if filtered { &[] } else { &[HIDDEN] };
    ensure!(names == [&TOOLS[..], hidden].concat(), "{names:?}");
    if !filtered {
        return expect("Everything is wiped.", session, HIDDEN, json!({})).await;
    }
    match session.call_tool(call(HIDDEN, json!({}))?).await {
        Err(error) if error.to_string().contains("exposes no tool") => Ok(()),
        outcome => bail!("{HIDDEN} answered {outcome:?}"),
    }
}

/// Progress must come in order, whole, and while the tool works: a buffering gateway delivers it all at the end.
async fn counting(session: &Session, to: u32, every_ms: u32) -> anyhow::Result<()> {
    session.service().take_progress();
    let arguments = json!({ "to": to, "everyMs": every_ms });
    expect(&format!("Counted to {to}."), session, "count", arguments).await?;

    let (values, times): (Vec<_>, Vec<_>) = session.service().take_progress().into_iter().unzip();
    ensure!(values == (1..=to).map(f64::from).collect::<Vec<_>>(), "progress {values:?}");
    let spread = times[times.len() - 1] - times[0];
    let due = Duration::from_millis(u64::from((to - 1) * every_ms));
    ensure!(spread > due / 2, "all came within {spread:?}: buffered");
    Ok(())
}

async fn cancellation(session: &Session) -> anyhow::Result<()> {
    let key = json!({ "key": format!("rmcp {}", process::id()) });
    let request = ClientRequest::CallToolRequest(Request::new(call("hold", key.clone())?));
    let held = session.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    sleep(HEAD_START).await;
    held.cancel(None).await?;
    expect("cancelled", session, "was_cancelled", key).await
}

async fn expect(text: &str, session: &Session, tool: &'static str, arguments: Value) -> anyhow::Result<()> {
    let result = session.call_tool(call(tool, arguments)?).await?;
    let parts = result.content.iter().filter_map(|part| part.as_text());
    let said: String = parts.map(|part| part.text.as_str()).collect();
    ensure!(result.is_error != Some(true) && said == text, "{tool} answered {said:?}");
    Ok(())
}

fn call(tool: &'static str, arguments: Value) -> anyhow::Result<CallToolRequestParams> {
    Ok(CallToolRequestParams::new(tool).with_arguments(serde_json::from_value(arguments)?))
}

// Who answers ------------------------------------------------------------------------------------------

/// Somebody who likes green, and sees how calls go on.
#[derive(Clone, Default)]
struct Person {
    progress: Arc<Mutex<Vec<(f64, Instant)>>>,
}

impl Person {
    fn take_progress(&self) -> Vec<(f64, Instant)> {
        std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("matrix-rmcp", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "colour": "green" })))
    }

    async fn on_progress(&self, step: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).push((step.progress, Instant::now()));
    }
}
