// One visit of a TypeScript client to a server: the plan comes in as JSON on standard input, what happened goes out as
// one JSON line on standard output. Both drivers share this; what differs between the two SDKs is in the drivers.
//
// Plan:   {url, key, certificate: [its file, its key's file], stdio: [the command to speak to instead], mode, declares: ["sampling", "elicitation"], steps: [...]}
// Steps:  {call, arguments, progress, log} | {read: uri} | {prompt: name, arguments} | {level} | {await: notification}
// Report: {revision, tools, steps: [{result} | {error}], notifications: [{method, params}], asked: [method], error,
//          farewell: the error of leaving, sent: requests, correlations: [the id that each response bore]}

import { readFileSync } from "node:fs";

/** What a client that declares sampling or elicitation answers when it is asked. */
export const answers = {
  "sampling/createMessage": { role: "assistant", model: "canned", content: { type: "text", text: "a canned answer" } },
  "elicitation/create": { action: "accept", content: { name: "Ada", email: "ada@example.com", check: true } },
};

/** The request methods behind a declared capability. */
export const asks = { sampling: "sampling/createMessage", elicitation: "elicitation/create" };

/** How long an awaited notification may take. */
const PATIENCE_MS = 20_000;

export const plan = JSON.parse(readFileSync(0, "utf8"));

export const report = {
  revision: null, tools: null, steps: [], notifications: [], asked: [], error: null, farewell: null, sent: 0, correlations: [],
};

/** The platform's fetch, counted: by this a test knows what must stand in the gateway's journal. */
export async function countedFetch(...request) {
  report.sent += 1;
  const response = await fetch(...request);
  const correlation = response.headers.get("x-correlation-id");
  if (correlation) report.correlations.push(correlation);
  return response;
}

const waiting = [];

/** Notes a notification, and wakes who waits for one of its kind. */
export function notified(method, params) {
  report.notifications.push({ method, params });
  for (const waiter of waiting.splice(0)) waiter();
}

/** Notes that the server asked, and answers. */
export function asked(method) {
  report.asked.push(method);
  return answers[method];
}

/** An error of any SDK as plain data. */
function plain(error) {
  const { name, code, message, data, status } = error;
  return { kind: error.constructor?.name ?? name, code, message: String(message), data, status: status ?? data?.status };
}

async function arrival(method) {
  const deadline = AbortSignal.timeout(PATIENCE_MS);
  while (!report.notifications.some((notification) => notification.method === method)) {
    await new Promise((resolve, reject) => {
      deadline.addEventListener("abort", () => reject(new Error(`${method} did not arrive`)));
      waiting.push(resolve);
    });
  }
  return null;
}

function take(client, step) {
  if ("call" in step) {
    const logged = step.log ? { _meta: { "io.modelcontextprotocol/logLevel": step.log } } : {};
    const options = step.progress ? { onprogress: (params) => notified("notifications/progress", params) } : {};
    return client.call({ name: step.call, arguments: step.arguments ?? {}, ...logged }, options);
  }
  if ("read" in step) return client.read({ uri: step.read });
  if ("prompt" in step) return client.prompt({ name: step.prompt, arguments: step.arguments ?? {} });
  if ("level" in step) return client.level(step.level);
  if ("await" in step) return arrival(step.await);
  throw new Error(`no such step: ${JSON.stringify(step)}`);
}

/** Connects, lists the tools, takes every step, leaves, and says what happened. */
export async function visit(client) {
  try {
    await client.connect();
    report.revision = client.revision();
    report.tools = (await client.tools()).tools.map((tool) => tool.name);
    for (const step of plan.steps) {
      report.steps.push(
        await take(client, step).then((result) => ({ result }), (error) => ({ error: plain(error) })),
      );
    }
    await client.leave().catch((error) => (report.farewell = plain(error)));
  } catch (error) {
    report.error = plain(error);
  }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}
