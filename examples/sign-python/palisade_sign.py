"""Signs requests to a Palisade gateway: the scheme of headers, version 1. Nothing but the standard library.

    python palisade_sign.py POST https://mcp.example.com/mcp call.json KEY_ID < secret
"""

import hashlib
import hmac
import secrets
import struct
import sys
import time
from urllib.parse import urlsplit

ABSENT = b"\xff\xff\xff\xff"


def field(value):
    """A length in four bytes, then the bytes; a header that is not sent is a length that nothing has."""
    if value is None:
        return ABSENT
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">I", len(data)) + data


def canonical(method, authority, target, headers, body):
    """What is signed. `headers` are all that are sent, names in lower case."""
    named = ["x-key-id", "x-timestamp", "x-nonce", "x-api-version", "idempotency-key", "content-type"]
    protocol = sorted(name for name in headers if name.startswith("mcp-") or name == "last-event-id")
    parts = ["palisade-v1", method, authority.lower(), target]
    parts += [headers.get(name) for name in named]
    parts += [str(len(protocol))]
    for name in protocol:
        parts += [name, headers[name]]
    parts += [hashlib.sha256(body).digest()]
    return b"".join(field(part) for part in parts)


def sign(method, authority, target, headers, body, key_id, secret, timestamp=None, nonce=None):
    """The headers to add. `headers` are the others that will be sent: Content-Type, Idempotency-Key, Mcp-*."""
    added = {
        "x-key-id": key_id,
        "x-timestamp": str(timestamp or int(time.time())),
        "x-nonce": nonce or secrets.token_urlsafe(24),
        "x-api-version": "1",
    }
    every = {name.lower(): value.strip() for name, value in headers.items()} | added
    mac = hmac.new(secret, canonical(method, authority, target, every, body), hashlib.sha256)
    return added | {"x-signature": "v1=" + mac.hexdigest()}


def main():
    method, url, path, key_id = sys.argv[1:5]
    secret = sys.stdin.buffer.read().strip()
    with open(path, "rb") as file:
        body = file.read()
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"content-type": "application/json", "idempotency-key": secrets.token_urlsafe(24)}
    for name, value in (headers | sign(method, parts.netloc, target, headers, body, key_id, secret)).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
