// The official TypeScript SDK, version 2: every revision. The plan's mode is "legacy", "auto" or a revision to insist on.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Login, watch } from "./login.mjs";
import { asked, asks, countedFetch, notified, plan, visit } from "./visit.mjs";

const mode = ["legacy", "auto"].includes(plan.mode) ? plan.mode : { pin: plan.mode };
const capabilities = Object.fromEntries(plan.declares.map((name) => [name, {}]));
const client = new Client({ name: "typescript-v2", version: "1" }, { capabilities, versionNegotiation: { mode } });
for (const name of plan.declares) {
  client.setRequestHandler(asks[name], async () => asked(asks[name]));
}
client.fallbackNotificationHandler = async ({ method, params }) => notified(method, params);

const headers = plan.key ? { Authorization: `Bearer ${plan.key}` } : {};
const login = plan.login && !plan.stdio ? new Login(plan.login) : undefined;
const open = () => plan.stdio
  ? new StdioClientTransport({ command: plan.stdio[0], args: plan.stdio.slice(1), stderr: plan.login ? "pipe" : "inherit" })
  : new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers }, fetch: countedFetch, authProvider: login });
let transport = open();
if (plan.stdio && plan.login) watch(transport.stderr, plan.login);
// A transport whose login was refused is used up; the next one has the token.
const reopened = () => (transport = open());
const doing = (deed) => (login ? login.with(() => transport, deed) : deed());

await visit({
  connect: () => doing(() => client.connect(login ? reopened() : transport)),
  revision: () => client.getNegotiatedProtocolVersion(),
  tools: () => doing(() => client.listTools()),
  call: (params, options) => doing(() => client.callTool(params, options)),
  read: (params) => client.readResource(params),
  prompt: (params) => client.getPrompt(params),
  level: (level) => client.setLoggingLevel(level),
  leave: async () => {
    if (!plan.stdio && client.getProtocolEra() === "legacy") await transport.terminateSession();
    await client.close();
  },
});
