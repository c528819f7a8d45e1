#!/usr/bin/env bash
# test.sh: everything that must hold, in the order in which a fault is cheapest to find. It starts from nothing: a bare
# Debian 12 with Rust 1.95. What it needs beside Rust it installs itself (scripts/test-parts.sh); run it as root, or with
# sudo at hand, the first time. CI runs this and nothing else.
set -euo pipefail
cd "$(dirname "$0")"

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

# The counter of instructions must have the version of the library it counts for.
benchmarks() {
  local version
  version=$(grep -A1 '^name = "gungraun"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
  export PATH=$PWD/target/tools/bin:$PATH
  if [ "$(gungraun-runner --version 2>/dev/null || true)" != "gungraun-runner $version" ]; then
    cargo install --quiet --locked --root target/tools gungraun-runner --version "$version"
  fi
  cargo bench --quiet -p palisade-guard -p palisade-gateway
}

if ! command -v cc >/dev/null; then
  echo "test.sh: a C compiler is missing, which Rust needs to link: apt-get install gcc libc6-dev" >&2
  exit 1
fi

step scripts/test-parts.sh
step cargo fmt --all --check
step cargo clippy --workspace --all-targets -- -D warnings
step cargo build --workspace --bins
step cargo test --workspace
step cargo xtask tidy
step cargo xtask generate --check
step benchmarks
printf '\nall good\n'
