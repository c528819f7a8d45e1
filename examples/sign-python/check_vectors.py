"""Checks palisade_sign.py against docs/reference/signature-vectors.json, which stands in the first argument."""

import json
import sys

from palisade_sign import canonical, sign

with open(sys.argv[1], encoding="utf-8") as file:
    book = json.load(file)

checked = 0
for vector in book["vectors"]:
    if vector["scheme"] != "headers":
        continue
    body = vector["body"].encode()
    request = (vector["method"], vector["authority"], vector["target"])
    every = vector["headers"] | vector["signed"]
    assert canonical(*request, every, body).hex() == vector["canonical_hex"], vector["name"]
    signed = sign(
        *request, vector["headers"], body, book["key_id"], book["secret"].encode(), book["timestamp"], book["nonce"]
    )
    assert signed == vector["signed"], vector["name"]
    checked += 1
print(f"{checked} vectors agree")
