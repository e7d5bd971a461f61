#!/usr/bin/env bash
# Builds the documentation with its formulas set (fjld-core/docs/formulas.html). Arguments go to cargo doc; warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTDOCFLAGS="-D warnings --html-in-header $PWD/fjld-core/docs/formulas.html ${RUSTDOCFLAGS:-}"
exec cargo doc --locked --workspace --no-deps "$@"
