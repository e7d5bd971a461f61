#!/usr/bin/env bash
# Looks at a report in a real browser: Debian's chromium, without a window, driven by its chromedriver. Both are installed if they are
# missing and this may install them; where it may not, the skip is counted and printed.
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
# a browser takes a core by itself
cargo test --locked -p fjld-checks --test browser -- --ignored --test-threads 2
echo "0 skipped"
