// Checks palisade-sign.ts against docs/reference/signature-vectors.json, which stands in the first argument.

import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import { canonical, sign } from "./palisade-sign.ts";

const book = JSON.parse(readFileSync(process.argv[2], "utf8"));
const vectors = book.vectors.filter((vector: { scheme: string }) => vector.scheme === "headers");
for (const vector of vectors) {
  const { name, method, authority, target, headers, signed } = vector;
  const request = { method, authority, target, headers, body: Buffer.from(vector.body) };
  deepStrictEqual(canonical({ ...request, headers: { ...headers, ...signed } }).toString("hex"), vector.canonical_hex, name);
  deepStrictEqual(sign(request, book.key_id, book.secret, book.timestamp, book.nonce), signed, name);
}
console.log(`${vectors.length} vectors agree`);
