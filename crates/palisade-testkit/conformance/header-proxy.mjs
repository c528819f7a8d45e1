// A pass-through that adds headers to every request and leaves each other byte as it is.
//
// Requests are followed just far enough to find where the next one begins (Content-Length or chunks); answers are
// not looked at. Nothing is collected, so event streams stream, and when one side hangs up so does the other.

import net from "node:net";
import tls from "node:tls";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const MOST_HEAD_BYTES = 256 * 1024;

/** Listens on a free loopback port; `url` is the target as seen through the proxy. */
export async function headerProxy(target, headers) {
  const server = net.createServer({ noDelay: true }, (client) => {
    const upstream = connect(target);
    client.on("close", () => upstream.destroy()).on("error", () => {});
    upstream.on("close", () => client.destroySoon()).on("error", () => {});
    const edit = editor(target, headers, server.address().port);
    // An error closes its socket, and a closed socket closes the other.
    pipeline(Readable.from(requests(client, edit), { objectMode: false }), upstream).catch(() => client.destroy());
    pipeline(upstream, client).catch(() => upstream.destroy());
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.protocol = "http:";
  // The name of a loopback target is kept: some servers answer to one name only.
  url.hostname = url.hostname === "localhost" ? "localhost" : "127.0.0.1";
  url.port = server.address().port;
  return { url: url.href, close: () => server.close() };
}

function connect({ protocol, hostname, port }) {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol !== "https:") return net.connect({ host, port: port || 80, noDelay: true });
  return tls.connect({ host, port: port || 443, servername: net.isIP(host) ? "" : host });
}

/** The client's bytes, with the head of each request passed through `edit`. */
async function* requests(client, edit) {
  const input = reader(client);
  for (let head; (head = await input.line("\r\n\r\n")); ) {
    yield edit(head);
    const text = head.toString("latin1");
    if (/^transfer-encoding:.*chunked/im.test(text)) yield* chunks(input);
    else yield* input.bytes(Number(/^content-length:\s*(\d+)/im.exec(text)?.[1] ?? 0));
  }
}

async function* chunks(input) {
  for (let line; (line = await input.line("\r\n")); ) {
    yield line;
    const size = parseInt(line.toString("latin1"), 16);
    if (size > 0) {
      yield* input.bytes(size + 2);
      continue;
    }
    // Trailers, up to an empty line.
    while ((line = await input.line("\r\n")) && line.length > 2) yield line;
    if (line) yield line;
    return;
  }
}

/** Reads a socket by delimiter and by count; both end early when the socket does. */
function reader(socket) {
  const source = socket[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  const more = async () => {
    const { value, done } = await source.next();
    if (!done) held = held.length ? Buffer.concat([held, value]) : value;
    return !done;
  };
  const take = (count) => {
    const taken = held.subarray(0, count);
    held = held.subarray(count);
    return taken;
  };
  return {
    /** Everything up to and including `end`, or null. */
    async line(end) {
      for (;;) {
        const at = held.indexOf(end);
        if (at >= 0) return take(at + end.length);
        if (held.length > MOST_HEAD_BYTES || !(await more())) return null;
      }
    },
    /** The next `count` bytes, as they come. */
    async *bytes(count) {
      while (count > 0) {
        if (held.length === 0 && !(await more())) return;
        const part = take(count);
        count -= part.length;
        yield part;
      }
    },
  };
}

/** Puts the headers in place of their namesakes, and the target's authority in place of the proxy's own. */
function editor(target, headers, port) {
  const nameOf = (line) => line.slice(0, line.indexOf(":")).toLowerCase();
  const replaced = new Set(headers.map(nameOf));
  const own = new RegExp(`^((?:host|origin):\\s*(?:https?://)?)(?:localhost|127\\.0\\.0\\.1):${port}\\s*$`, "i");
  return (head) => {
    const [request, ...lines] = head.toString("latin1").slice(0, -4).split("\r\n");
    const kept = lines.filter((line) => !replaced.has(nameOf(line)));
    const edited = kept.map((line) => line.replace(own, (_, before) => before.replace(/http:/, target.protocol) + target.host));
    return Buffer.from([request, ...edited, ...headers].join("\r\n") + "\r\n\r\n", "latin1");
  };
}
