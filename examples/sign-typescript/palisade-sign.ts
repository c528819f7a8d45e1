// Signs requests to a Palisade gateway: the scheme of headers, version 1. Nothing but Node's own modules.

import { createHash, createHmac, randomBytes } from "node:crypto";

export type Headers = Record<string, string>;

export interface Outgoing {
  method: string;
  /** The host as it stands in `Host`. */
  authority: string;
  /** Path and query exactly as they are sent. */
  target: string;
  /** All other headers that will be sent: Content-Type, Idempotency-Key, Mcp-*. */
  headers: Headers;
  body: Uint8Array;
}

/** A length in four bytes, then the bytes; a header that is not sent is a length that nothing has. */
function field(value: string | Uint8Array | undefined): Buffer {
  const length = Buffer.alloc(4, 0xff);
  if (value === undefined) return length;
  const bytes = Buffer.from(value as string);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** What is signed. Names of headers are in lower case. */
export function canonical(request: Outgoing): Buffer {
  const { method, authority, target, headers, body } = request;
  const named = ["x-key-id", "x-timestamp", "x-nonce", "x-api-version", "idempotency-key", "content-type"];
  const protocol = Object.keys(headers).filter((name) => name.startsWith("mcp-") || name === "last-event-id").sort();
  const parts = ["palisade-v1", method, authority.toLowerCase(), target];
  const values = named.map((name) => headers[name]);
  const rest = [String(protocol.length), ...protocol.flatMap((name) => [name, headers[name]])];
  const digest = createHash("sha256").update(body).digest();
  return Buffer.concat([...parts, ...values, ...rest, digest].map(field));
}

/** The headers to add. */
export function sign(
  request: Outgoing,
  keyId: string,
  secret: string | Uint8Array,
  timestamp = Math.floor(Date.now() / 1000),
  nonce = randomBytes(24).toString("base64url"),
): Headers {
  const given = Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value.trim()]);
  const added: Headers = {
    "x-key-id": keyId,
    "x-timestamp": String(timestamp),
    "x-nonce": nonce,
    "x-api-version": "1",
  };
  const signed = canonical({ ...request, headers: { ...Object.fromEntries(given), ...added } });
  const mac = createHmac("sha256", secret).update(signed).digest("hex");
  return { ...added, "x-signature": `v1=${mac}` };
}
