// A real authorization server for the tests, on a free port of 127.0.0.1: https://github.com/panva/node-oidc-provider.
//
// Clients register themselves (RFC 7591), must use PKCE, and get tokens for the resource they name (RFC 8707). Whoever logs
// in is "ada". The person at the browser is here too: GET /browser?url=… follows the redirects of an authorization request
// and answers where the last one leads. GET /counts says how often the keys were fetched, somebody logged in, and a token
// was refreshed. An argument is the seconds that an access token is good for.

import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;
const scopes = ["tools.list", "tools.call"];
const seconds = Number(process.argv[2] ?? 600);

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, kid: "signs", use: "sig", alg: "ES256" }, { ...rsa, kid: "other", use: "sig", alg: "RS256" }] },
  scopes: ["openid", "offline_access", ...scopes],
  clients: [
    { client_id: "gate", client_secret: "the-secret-of-the-gate", redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
  ],
  pkce: { required: () => true },
  ttl: { AccessToken: seconds, AuthorizationCode: 60, Grant: 600, Interaction: 60, Session: 600, RefreshToken: 600 },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => ({
        scope: scopes.join(" "),
        audience: resource,
        accessTokenFormat: resource.includes("opaque") ? "opaque" : "jwt",
        accessTokenTTL: seconds,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    const asked = oidc.params.scope ?? "";
    grant.addOIDCScope(asked);
    for (const resource of [oidc.params.resource ?? []].flat()) grant.addResourceScope(resource, asked);
    await grant.save();
    return grant;
  },
});

/** Follows the redirects of an authorization request, as a browser does, up to the client's own address. */
async function browse(first) {
  const cookies = new Map();
  for (let url = first, step = 0; step < 10; step += 1) {
    if (!url.startsWith(issuer)) return url;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(";");
      const at = pair.indexOf("=");
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get("location");
    if (!location) return `${issuer}/?error=${response.status}&text=${encodeURIComponent((await response.text()).slice(0, 300))}`;
    url = new URL(location, url).href;
  }
  return `${issuer}/?error=loop`;
}

/** A client registers for all scopes that there are, whichever it asks for first: it may need more later. */
async function registration(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const { scope: _first, ...metadata } = JSON.parse(Buffer.concat(parts).toString());
  request.body = metadata;
}

const counts = { fetched: 0, logins: 0, refreshed: 0 };
provider.on("grant.success", ({ oidc }) => {
  if (oidc.params.grant_type === "refresh_token") counts.refreshed += 1;
});
const callback = provider.callback();
server.on("request", async (request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/jwks") counts.fetched += 1;
  if (url.pathname === "/counts") return response.end(JSON.stringify(counts));
  if (url.pathname === "/browser") counts.logins += 1;
  if (url.pathname === "/browser") return response.end(await browse(url.searchParams.get("url")));
  if (url.pathname.startsWith("/interaction/")) {
    const { prompt } = await provider.interactionDetails(request, response);
    const result = prompt.name === "login" ? { login: { accountId: "ada" } } : { consent: {} };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }
  if (url.pathname === "/reg" && request.method === "POST") await registration(request);
  return callback(request, response);
});
provider.on("server_error", (_context, error) => console.error("server_error", error));
console.error(`listening on ${issuer}`);
