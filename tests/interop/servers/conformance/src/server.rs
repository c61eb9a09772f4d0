//! What the server answers to each method.

use std::{borrow::Cow, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
        Implementation, JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    Era,
    asking::{Asked, Brought, internal},
    fixture::{Changed, ToolSpec, fill},
    tools::Shared,
};

/// One session, or one request without a session.
pub(crate) struct Conformance {
    shared: Arc<Shared>,
    era: Era,
}

type Context = RequestContext<RoleServer>;

impl Conformance {
    pub(crate) fn new(shared: Arc<Shared>, era: Era) -> Self {
        Self { shared, era }
    }

    fn capabilities(&self) -> ServerCapabilities {
        let mut capabilities = self.shared.fixture.capabilities.clone();
        if !matches!(self.era, Era::Legacy) {
            capabilities["extensions"] = json!({ "io.modelcontextprotocol/tasks": {} });
        }
        serde_json::from_value(capabilities).unwrap_or_default()
    }
}

impl ServerHandler for Conformance {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(self.capabilities()).with_server_info(Implementation::new("conformance-server", "0.1.0"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        match self.era {
            Era::Both => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
            Era::Legacy => Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25)),
            Era::Modern => Cow::Owned(vec![ProtocolVersion::V_2026_07_28]),
        }
    }

    // Tools ------------------------------------------------------------------------------------------

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        let tools = self.shared.fixture.tools.iter().map(shown).collect::<Result<_, _>>()?;
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tool = self.shared.fixture.tools.iter().find(|tool| tool.questions.name == name)?;
        shown(tool).ok()
    }

    async fn call_tool(&self, params: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        self.shared.call(params, &context).await
    }

    async fn get_task(&self, params: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&params.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, params: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&params.task_id, params.input_responses)
    }

    async fn cancel_task(&self, params: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&params.task_id)
    }

    // Prompts ----------------------------------------------------------------------------------------

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = self.shared.fixture.prompts.iter();
        let prompts = prompts.map(|prompt| named(&prompt.questions.name, &prompt.shown)).collect::<Result<_, _>>()?;
        Ok(ListPromptsResult::with_all_items(prompts))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let fixture = &self.shared.fixture;
        let prompt = fixture.prompts.iter().find(|prompt| prompt.questions.name == params.name);
        let prompt = prompt.ok_or_else(|| ErrorData::invalid_params(format!("no prompt {}", params.name), None))?;
        let brought = Brought { responses: params.input_responses, state: params.request_state };
        match prompt.questions.ask(fixture.known(params.arguments), brought, &context).await? {
            Asked::Missing(missing) => Ok(missing.into()),
            Asked::All(known) => Ok(GetPromptResult::new(read(fill(&prompt.messages, &known))?).into()),
        }
    }

    async fn complete(&self, params: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        let words = ["paris", "park", "party"].map(str::to_owned);
        let values = words.into_iter().filter(|word| word.starts_with(&params.argument.value)).collect();
        CompletionInfo::new(values).map(CompleteResult::new).map_err(internal)
    }

    // Resources --------------------------------------------------------------------------------------

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = self.shared.fixture.resources.iter().cloned();
        Ok(ListResourcesResult::with_all_items(resources.map(read).collect::<Result<_, _>>()?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = self.shared.fixture.resource_templates.iter().cloned();
        Ok(ListResourceTemplatesResult::with_all_items(templates.map(read).collect::<Result<_, _>>()?))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let found = self.resource(&params.uri);
        let missing = || ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": params.uri })));
        let contents = read(found.ok_or_else(missing)?)?;
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    // Log and subscriptions --------------------------------------------------------------------------

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let changed = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                changed = changes.recv() => changed,
            };
            // What was not asked for, the SDK does not send; a listener that has gone is seen above.
            let _not_sent = match changed {
                Ok(Changed::Tools) => subscription.sink().notify_tool_list_changed().await,
                Ok(Changed::Prompts) => subscription.sink().notify_prompt_list_changed().await,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            };
        }
    }
}

impl Conformance {
    /// The contents of a resource, or of the one template.
    fn resource(&self, uri: &str) -> Option<Value> {
        let fixture = &self.shared.fixture;
        let (template, id) = match fixture.resources.iter().find(|resource| resource["uri"] == uri) {
            Some(resource) => (resource, ""),
            None => (fixture.resource_templates.first()?, uri.strip_prefix("test://template/")?.strip_suffix("/data")?),
        };
        let mut known = fixture.known(None);
        known.insert("id".to_owned(), id.into());
        let mut contents = fill(template, &known);
        contents["uri"] = uri.into();
        Some(contents)
    }
}

fn shown(tool: &ToolSpec) -> Result<Tool, ErrorData> {
    let mut shown = tool.shown.clone();
    shown.entry("inputSchema").or_insert_with(|| json!({ "type": "object", "properties": {} }));
    named(&tool.questions.name, &shown)
}

fn named<T: DeserializeOwned>(name: &str, shown: &JsonObject) -> Result<T, ErrorData> {
    let mut shown = shown.clone();
    shown.insert("name".to_owned(), name.into());
    read(Value::Object(shown))
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(internal)
}
