//! Calling a tool: it logs, tells how far it is, asks, and answers at once or as a task.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, JsonObject,
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
    },
    service::RequestContext,
    task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions},
    transport::streamable_http_server::session::local::LocalSessionManager,
};
use tokio::{sync::broadcast, time::sleep};

use crate::{
    asking::{Asked, Brought, internal, is_modern, missing_capability, typed},
    fixture::{Changed, Fixture, TaskUse, ToolSpec, fill},
};

const STEP: Duration = Duration::from_millis(50);
const RETRY: Duration = Duration::from_millis(100);
/// More than any session of the suite opens.
const MOST_STREAMS: u64 = 32;

/// What all sessions have together.
pub(crate) struct Shared {
    pub(crate) fixture: Fixture,
    pub(crate) tasks: TaskManager,
    pub(crate) changes: broadcast::Sender<Changed>,
    sessions: Arc<LocalSessionManager>,
}

impl Shared {
    pub(crate) fn new(fixture: Fixture, sessions: Arc<LocalSessionManager>) -> Self {
        Self { fixture, tasks: TaskManager::new(), changes: broadcast::channel(16).0, sessions }
    }

    pub(crate) async fn call(
        &self,
        params: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = self.fixture.tools.iter().find(|tool| tool.questions.name == params.name);
        let tool = tool.ok_or_else(|| ErrorData::invalid_params(format!("no tool {}", params.name), None))?;
        self.perform(tool, context).await?;
        let brought = Brought { responses: params.input_responses, state: params.request_state };
        let known = self.fixture.known(params.arguments);
        match tool.questions.ask(known, brought, context).await? {
            Asked::Missing(missing) => Ok(missing.into()),
            Asked::All(known) => self.answer(tool.clone(), known, context).await,
        }
    }

    /// What can be seen of the tool before it answers.
    async fn perform(&self, tool: &ToolSpec, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.log(tool, context).await?;
        tell_progress(tool, context).await?;
        if let Some(changed) = tool.changes {
            self.announce(changed, context).await?;
        }
        if tool.hangs_up {
            self.hang_up(context).await;
        }
        Ok(())
    }

    /// Clients of 2026-07-28 say with each request whether they want the log.
    async fn log(&self, tool: &ToolSpec, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let wanted = !is_modern(context) || context.meta.log_level().is_some();
        for line in &tool.logs {
            if wanted {
                let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, line.as_str().into());
                context.peer.notify_logging_message(message).await.map_err(internal)?;
            }
            sleep(STEP).await;
        }
        Ok(())
    }

    /// To who listens, and to the session of this call.
    async fn announce(&self, changed: Changed, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let _nobody_listens = self.changes.send(changed);
        match changed {
            _ if is_modern(context) => Ok(()),
            Changed::Tools => context.peer.notify_tool_list_changed().await.map_err(internal),
            Changed::Prompts => context.peer.notify_prompt_list_changed().await.map_err(internal),
        }
    }

    /// Closes the streams of the session: the SDK does not say which of them is this call's.
    async fn hang_up(&self, context: &RequestContext<RoleServer>) {
        let parts = context.extensions.get::<http::request::Parts>();
        let session = parts.and_then(|parts| parts.headers.get("mcp-session-id")).and_then(|id| id.to_str().ok());
        let sessions = self.sessions.sessions.read().await;
        let Some(session) = session.and_then(|id| sessions.get(id)) else { return };
        for stream in 0..MOST_STREAMS {
            let _no_such_stream = session.close_sse_stream(stream, Some(RETRY)).await;
        }
        drop(sessions);
        sleep(RETRY * 2).await;
    }

    async fn answer(
        &self,
        tool: ToolSpec,
        known: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let knows_tasks = context.client_capabilities().is_some_and(|declared| declared.supports_tasks());
        match tool.task {
            Some(_) if knows_tasks => {
                let run = |task| Box::pin(work(tool, known, task)) as _;
                let task = self.tasks.spawn(TaskOptions::new().with_poll_interval_ms(100), run);
                Ok(CreateTaskResult::new(task).into())
            }
            Some(TaskUse::Required) => {
                Err(missing_capability(ClientCapabilities::builder().enable_tasks().build(), context))
            }
            _ => {
                sleep(duration(&tool, &known)).await;
                Ok(said(&tool, &known)?.into())
            }
        }
    }
}

async fn tell_progress(tool: &ToolSpec, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    for step in &tool.progress {
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, *step).with_total(100.0);
            context.peer.notify_progress(progress).await.map_err(internal)?;
        }
        sleep(STEP).await;
    }
    Ok(())
}

/// The tool as a task, which ends early when it is cancelled.
async fn work(tool: ToolSpec, mut known: JsonObject, task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let mut questions = Vec::new();
    for (key, request) in &tool.task_asks {
        let request = typed(request, &known)?;
        questions.push((
            key,
            tokio::spawn({
                let (task, key) = (task.clone(), key.clone());
                async move { task.request_input(key, request).await }
            }),
        ));
    }
    for (key, answer) in questions {
        let answer = answer.await.map_err(internal)??;
        known.insert(key.clone(), answer);
    }
    tokio::select! {
        () = sleep(duration(&tool, &known)) => {}
        () = task.cancelled() => return Err(TaskExit::Cancelled),
    }
    Ok(said(&tool, &known)?)
}

/// How long the client said, else how long the tool takes.
fn duration(tool: &ToolSpec, known: &JsonObject) -> Duration {
    let asked_for = known.get("arguments").and_then(|arguments| arguments["seconds"].as_f64());
    Duration::try_from_secs_f64(asked_for.unwrap_or(tool.seconds)).unwrap_or_default()
}

fn said(tool: &ToolSpec, known: &JsonObject) -> Result<CallToolResult, ErrorData> {
    if tool.crashes {
        return Err(ErrorData::internal_error("the job crashed", None));
    }
    let content = serde_json::from_value(fill(&tool.says, known)).map_err(internal)?;
    Ok(if tool.fails { CallToolResult::error(content) } else { CallToolResult::success(content) })
}
