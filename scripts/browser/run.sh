#!/usr/bin/env bash
# Looks at a report and at the documentation in a real browser: Debian's chromium, without a window, driven by its chromedriver. Both are
# installed if they are missing and this may install them; where it may not, the skip is counted and printed. The formulas of the
# documentation take KaTeX, which comes by npm; without it they are skipped, and that is counted too.
#
#     scripts/browser/run.sh [report.json]     # without one, a report of a few claims
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "${1:-}" ]; then
  FJLD_REPORT=$(realpath "$1")
  export FJLD_REPORT
fi

there() { command -v chromium > /dev/null && command -v chromedriver > /dev/null; }

if ! there && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  echo "installing chromium"
  apt-get install -y --no-install-recommends chromium chromium-driver > /dev/null 2>&1 ||
    { apt-get update > /dev/null 2>&1 && apt-get install -y --no-install-recommends chromium chromium-driver > /dev/null 2>&1; } || true
fi
if ! there; then
  echo "1 skipped: the tests in a browser (chromium and chromedriver are not here, and could not be installed)"
  exit 0
fi

bash scripts/docs.sh --quiet
export FJLD_DOCS=$PWD/target/doc FJLD_NPM=$PWD/target/npm
katex=$(grep -o 'katex@[0-9.]*' fjld-core/docs/formulas.html | head -n 1)
skipped=0
leave=()
if [ ! -d "$FJLD_NPM/$katex" ]; then
  mkdir -p "$FJLD_NPM/new"
  if (cd "$FJLD_NPM/new" && npm pack --silent "$katex" && tar -xzf katex-*.tgz) > /dev/null 2>&1; then
    mv "$FJLD_NPM/new/package" "$FJLD_NPM/$katex"
  else
    echo "skipped: the formulas (npm is not here, or does not give $katex)"
    skipped=1
    leave=(--skip formulas)
  fi
  rm -rf "$FJLD_NPM/new"
fi
# a browser takes a core by itself
cargo test --locked -p fjld-checks --test browser -- --ignored --nocapture --test-threads 2 "${leave[@]}"
echo "$skipped skipped"
