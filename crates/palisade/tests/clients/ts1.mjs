// The official TypeScript SDK, version 1: it speaks the revisions up to 2025-11-25.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { Login, watch } from "./login.mjs";
import { asked, asks, countedFetch, notified, plan, visit } from "./visit.mjs";

const schemas = { sampling: CreateMessageRequestSchema, elicitation: ElicitRequestSchema };

const capabilities = Object.fromEntries(plan.declares.map((name) => [name, {}]));
const client = new Client({ name: "typescript-v1", version: "1" }, { capabilities });
for (const name of plan.declares) {
  client.setRequestHandler(schemas[name], async () => asked(asks[name]));
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

// The transport by standard input does not keep it.
if (plan.stdio) transport.setProtocolVersion = (revision) => (transport.protocolVersion = revision);

await visit({
  connect: () => doing(() => client.connect(login ? reopened() : transport)),
  revision: () => transport.protocolVersion,
  tools: () => doing(() => client.listTools()),
  call: (params, options) => doing(() => client.callTool(params, undefined, options)),
  read: (params) => client.readResource(params),
  prompt: (params) => client.getPrompt(params),
  level: (level) => client.setLoggingLevel(level),
  leave: async () => {
    if (!plan.stdio) await transport.terminateSession();
    await client.close();
  },
});
