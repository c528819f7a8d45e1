//! The MCP side of the demo: lists the tools of a set, and hands each call to its tool.

use std::{
    borrow::Cow,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
    },
    service::{QuitReason, RequestContext, ServerInitializeError},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

use crate::{
    http,
    refusal::{Refusal, quoted},
    state::State,
    tool::DemoTool,
    toolset::Toolset,
};

/// A demo server. Clones are the same server: they share its counters and the trading desk's stored values.
#[derive(Clone)]
pub struct Server {
    tools: Arc<[DemoTool]>,
    state: Arc<State>,
}

impl Server {
    /// A server of the tools of `toolset`, with nothing stored.
    #[must_use]
    pub fn new(toolset: Toolset) -> Self {
        Self { tools: toolset.tools().into(), state: Arc::new(State::new(toolset, SystemTime::now)) }
    }

    /// Serves one connection of newline-delimited JSON-RPC until the client closes it.
    ///
    /// Calls that are under way when the client closes its side are still answered.
    pub async fn serve<R, W>(self, reader: R, writer: W) -> io::Result<()>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let running = match ServiceExt::serve(self, (reader, writer)).await {
            Ok(running) => running,
            // A client that leaves without a word has done nothing wrong.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the first message was not a request"));
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        match running.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(io::Error::other(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Serves Streamable HTTP at `/mcp` until the future is dropped.
    ///
    /// Only requests to a loopback name or to the listener's own address are answered, and none from a web page.
    pub async fn serve_http(self, listener: TcpListener) -> io::Result<()> {
        http::serve(self, listener).await
    }

    fn tool(&self, name: &str) -> Option<&DemoTool> {
        self.tools.iter().find(|tool| tool.name() == name)
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title("Palisade demo")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(server)
            .with_instructions("Tools to try a gateway with. All prices are made up and nothing is ever traded.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(REVISIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|page| page.cursor.is_some()) {
            return Err(ErrorData::invalid_params("cursor: there is only one page", None));
        }
        let tools = self.tools.iter().map(|tool| tool.definition.clone()).collect();
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(u64::try_from(LIST_STAYS_FRESH.as_millis()).unwrap_or(u64::MAX))
            .with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.tool(&request.name) else {
            return Err(ErrorData::invalid_params(format!("unknown tool: {}", quoted(&request.name)), None));
        };
        let outcome = tool.call(&self.state, request.arguments.unwrap_or_default());
        self.state.count(&outcome);
        Ok(result_of(outcome).into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tool(name).map(|tool| tool.definition.clone())
    }
}

fn result_of(outcome: Result<Value, Refusal>) -> CallToolResult {
    match outcome {
        Ok(answer) => CallToolResult::structured(answer),
        Err(refusal) => {
            let details = json!({ "code": refusal.code, "message": refusal.message, "details": refusal.details });
            CallToolResult::structured_error(details)
        }
    }
}

/// The revisions that Palisade guards, oldest first.
const REVISIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];
/// The tools never change while the server runs.
const LIST_STAYS_FRESH: Duration = Duration::from_mins(5);
