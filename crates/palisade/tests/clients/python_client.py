"""The official Python SDK on one visit to a server.

The plan comes in as JSON on standard input, what happened goes out as one JSON line; visit.mjs describes both. The plan's
mode is "auto", "legacy" or "2026-07-28".
"""

import json
import ssl
import sys

from urllib.parse import parse_qs, urlparse

import anyio
import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp.shared.exceptions import MCPError

PATIENCE_S = 20
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


REDIRECT = "http://127.0.0.1:9/callback"


class Login:
    """What the SDK keeps of a login, in memory, and the person at the browser: the authorization server's page for tests
    (`plan.login`) follows the redirects and gives back the last one."""

    def __init__(self, browser):
        self.browser = browser
        self.kept = self.information = self.answer = None

    async def get_tokens(self):
        return self.kept

    async def set_tokens(self, tokens):
        self.kept = tokens

    async def get_client_info(self):
        return self.information

    async def set_client_info(self, information):
        self.information = information

    async def redirect(self, url):
        async with httpx2.AsyncClient(trust_env=False) as http:
            self.answer = (await http.get(self.browser, params={"url": url})).text

    async def callback(self):
        answer = {name: values[0] for name, values in parse_qs(urlparse(self.answer).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    def provider(self, url):
        metadata = OAuthClientMetadata(
            client_name="palisade-tests",
            application_type="native",
            redirect_uris=[REDIRECT],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        )
        return OAuthClientProvider(url, metadata, self, self.redirect, self.callback)


class Visit:
    """One client, one plan, one report."""

    def __init__(self, plan):
        self.plan = plan
        self.report = {"revision": None, "tools": None, "steps": [], "notifications": [], "asked": [], "error": None}
        self.report |= {"sent": 0, "correlations": []}
        self.news = anyio.Event()

    def notified(self, method, params):
        self.report["notifications"].append({"method": method, "params": params})
        self.news.set()
        self.news = anyio.Event()

    async def on_message(self, message):
        # Progress is noted by the callback of the call it belongs to.
        if isinstance(message, Exception) or message.method == "notifications/progress":
            return
        params = message.params.model_dump(mode="json", by_alias=True) if message.params else None
        self.notified(message.method, params)

    async def on_progress(self, progress, total, message):
        self.notified("notifications/progress", {"progress": progress, "total": total, "message": message})

    async def on_sampling(self, _context, _params):
        self.report["asked"].append("sampling/createMessage")
        content = types.TextContent(type="text", text="a canned answer")
        return types.CreateMessageResult(role="assistant", model="canned", content=content)

    async def on_elicitation(self, _context, _params):
        self.report["asked"].append("elicitation/create")
        content = {"name": "Ada", "email": "ada@example.com", "check": True}
        return types.ElicitResult(action="accept", content=content)

    def client(self, http):
        declares = self.plan["declares"]
        if self.plan["stdio"]:
            program, *arguments = self.plan["stdio"]
            transport = stdio_client(StdioServerParameters(command=program, args=arguments))
        else:
            transport = streamable_http_client(self.plan["url"], http_client=http)
        return Client(
            transport,
            mode=self.plan["mode"],
            sampling_callback=self.on_sampling if "sampling" in declares else None,
            elicitation_callback=self.on_elicitation if "elicitation" in declares else None,
            message_handler=self.on_message,
        )

    async def on_request(self, _request):
        self.report["sent"] += 1

    async def on_response(self, response):
        if correlation := response.headers.get("x-correlation-id"):
            self.report["correlations"].append(correlation)

    async def arrival(self, method):
        with anyio.fail_after(PATIENCE_S):
            while not any(seen["method"] == method for seen in self.report["notifications"]):
                await self.news.wait()

    async def take(self, client, step):
        if "call" in step:
            return await client.call_tool(
                step["call"],
                step.get("arguments") or {},
                progress_callback=self.on_progress if step.get("progress") else None,
                meta={LOG_LEVEL: step["log"]} if step.get("log") else None,
            )
        if "read" in step:
            return await client.read_resource(step["read"])
        if "prompt" in step:
            return await client.get_prompt(step["prompt"], step.get("arguments") or {})
        if "level" in step:
            return await client.set_logging_level(step["level"])
        if "await" in step:
            return await self.arrival(step["await"])
        raise ValueError(f"no such step: {step}")

    async def step(self, client, step):
        try:
            result = await self.take(client, step)
        except Exception as error:
            return {"error": plain(error)}
        if result is not None:
            result = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"result": result}

    async def run(self):
        headers = {"Authorization": f"Bearer {self.plan['key']}"} if self.plan["key"] else {}
        if self.plan.get("certificate"):
            context = ssl.create_default_context()
            context.load_cert_chain(*self.plan["certificate"])
            http = httpx2.AsyncClient(verify=context, headers=headers)
        else:
            http = create_mcp_http_client(headers=headers)
        if self.plan.get("login"):
            http.auth = Login(self.plan["login"]).provider(self.plan["url"])
        http.event_hooks = {"request": [self.on_request], "response": [self.on_response]}
        async with http, self.client(http) as client:
            self.report["revision"] = client.protocol_version
            self.report["tools"] = [tool.name for tool in (await client.list_tools()).tools]
            for step in self.plan["steps"]:
                self.report["steps"].append(await self.step(client, step))


def plain(error):
    """An error as plain data; of a group, its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    told = {"kind": type(error).__name__, "message": str(error), "code": None, "data": None}
    if isinstance(error, MCPError):
        told |= {"code": error.code, "data": error.data}
    return told


def main():
    visit = Visit(json.load(sys.stdin))
    try:
        anyio.run(visit.run)
    except BaseException as error:
        visit.report["error"] = plain(error)
    print(json.dumps(visit.report))


main()
