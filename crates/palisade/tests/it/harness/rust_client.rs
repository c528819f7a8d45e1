//! The official Rust SDK, rmcp, on one visit to a server; inside the test's own process.

#![expect(deprecated, reason = "sampling and logging are on their way out of the protocol; until then they must pass")]

use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, ErrorData, GetPromptRequestParams, Implementation, InitializeRequestParams,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    RequestMetaObject, SamplingMessage, SetLevelRequestParams,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient, ServiceError};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::client::{Plan, Report};
use super::process::PATIENCE;
use super::rust_login::Login;

/// Carries out a plan.
pub(super) fn visit(plan: &Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let visitor = Visitor::new(plan);
        let report = Arc::clone(&visitor.seen);
        let done = tokio::time::timeout(2 * PATIENCE, carry_out(plan, visitor)).await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report.lock().error = Some(unconnected(&error)),
            Err(_) => report.lock().error = Some(json!({"message": "the Rust client does not end"})),
        }
        std::mem::take(&mut *report.lock())
    })
}

async fn carry_out(plan: &Plan, visitor: Visitor) -> Result<(), Box<ClientInitializeError>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(plan.url.clone());
    config.auth_header.clone_from(&plan.key);
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match plan.mode {
        "legacy" => ClientLifecycleMode::Initialize,
        "auto" => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        _ => ClientLifecycleMode::Discover { preferred_versions },
    };
    let seen = Arc::clone(&visitor.seen);
    let mut login = None;
    let client = if let Some([program, arguments @ ..]) = plan.stdio.as_deref() {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pipes = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        visitor.serve_with_lifecycle(pipes, lifecycle).await.map_err(Box::new)?
    } else if let Some(browser) = &plan.login {
        let stranger = StreamableHttpClientTransport::from_config(config.clone());
        let refused = visitor.clone().serve_with_lifecycle(stranger, lifecycle.clone()).await.err().unwrap();
        let Some(challenge) = refused.auth_challenge().map(str::to_owned) else { return Err(Box::new(refused)) };
        let known = login.insert(Login::begin(&plan.url, browser, &challenge).await.unwrap());
        let transport = StreamableHttpClientTransport::with_client(known.client.clone(), config);
        visitor.serve_with_lifecycle(transport, lifecycle).await.map_err(Box::new)?
    } else {
        let transport = StreamableHttpClientTransport::from_config(config);
        visitor.serve_with_lifecycle(transport, lifecycle).await.map_err(Box::new)?
    };
    seen.lock().revision = client.peer().peer_info().map(|info| info.protocol_version.to_string());
    match client.list_all_tools().await {
        Ok(tools) => seen.lock().tools = Some(tools.iter().map(|tool| tool.name.to_string()).collect()),
        Err(error) => seen.lock().error = Some(failed(&error)),
    }
    for step in &plan.steps {
        let mut taken = take(&client, step).await;
        if let (Err(error), Some(login)) = (&taken, &login)
            && login.upgraded(error).await
        {
            taken = take(&client, step).await;
        }
        let outcome = match taken {
            Ok(result) => json!({"result": result}),
            Err(error) => json!({"error": failed(&error)}),
        };
        seen.lock().steps.push(outcome);
    }
    client.cancel().await.unwrap();
    Ok(())
}

async fn take(client: &RunningService<RoleClient, Visitor>, step: &Value) -> Result<Value, ServiceError> {
    let word = |name: &str| step[name].as_str().map(str::to_owned);
    if let Some(tool) = word("call") {
        let mut params = CallToolRequestParams::new(tool);
        params.arguments = step["arguments"].as_object().cloned();
        if let Some(level) = step.get("log") {
            let mut meta = RequestMetaObject::default();
            meta.set_log_level(serde_json::from_value(level.clone()).unwrap());
            params.meta = Some(meta);
        }
        return client.call_tool(params).await.map(shown);
    }
    if let Some(uri) = word("read") {
        return client.read_resource(ReadResourceRequestParams::new(uri)).await.map(shown);
    }
    if let Some(name) = word("prompt") {
        let mut params = GetPromptRequestParams::new(name);
        params.arguments = step["arguments"].as_object().cloned();
        return client.get_prompt(params).await.map(shown);
    }
    if let Some(level) = step.get("level") {
        let params = SetLevelRequestParams::new(serde_json::from_value(level.clone()).unwrap());
        return client.set_level(params).await.map(|()| Value::Null);
    }
    if let Some(method) = word("await") {
        return client.service().arrival(&method).await;
    }
    panic!("no such step: {step}")
}

fn shown(result: impl Serialize) -> Value {
    serde_json::to_value(result).unwrap()
}

fn failed(error: &ServiceError) -> Value {
    match error {
        ServiceError::McpError(ErrorData { code, message, data, .. }) => {
            json!({"kind": "McpError", "code": code.0, "message": message, "data": data})
        }
        other => json!({"kind": "ServiceError", "message": chain(other), "code": null, "data": null}),
    }
}

fn unconnected(error: &ClientInitializeError) -> Value {
    let challenge = error.auth_challenge();
    json!({"kind": "ClientInitializeError", "message": chain(error), "challenge": challenge})
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The client's own side: what it declares, and what it answers when it is asked.
#[derive(Clone)]
struct Visitor {
    declares: Vec<&'static str>,
    seen: Arc<Seen>,
}

/// The report under construction.
#[derive(Default)]
struct Seen {
    report: Mutex<Report>,
    news: Notify,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap()
    }

    fn notified(&self, method: &str, params: impl Serialize) {
        self.lock().notifications.push(json!({"method": method, "params": shown(params)}));
        self.news.notify_waiters();
    }
}

impl Visitor {
    fn new(plan: &Plan) -> Self {
        Self { declares: plan.declares.clone(), seen: Arc::default() }
    }

    async fn arrival(&self, method: &str) -> Result<Value, ServiceError> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let news = self.seen.news.notified();
            if self.seen.lock().notifications_of(method) > 0 {
                return Ok(Value::Null);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Err(ServiceError::Timeout { timeout: Duration::from_secs(20) });
            }
        }
    }
}

impl ClientHandler for Visitor {
    fn get_info(&self) -> InitializeRequestParams {
        let declared: serde_json::Map<_, _> = self.declares.iter().map(|&name| (name.to_owned(), json!({}))).collect();
        let capabilities: ClientCapabilities = serde_json::from_value(declared.into()).unwrap();
        InitializeRequestParams::new(capabilities, Implementation::new("rust", "1"))
    }

    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.seen.lock().asked.push("sampling/createMessage".to_owned());
        let message = SamplingMessage::assistant_text("a canned answer");
        Ok(CreateMessageResult::new(message, "canned".to_owned()))
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.seen.lock().asked.push("elicitation/create".to_owned());
        let content = json!({"name": "Ada", "email": "ada@example.com", "check": true});
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        self.seen.notified("notifications/progress", params);
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.seen.notified("notifications/message", params);
    }
}
