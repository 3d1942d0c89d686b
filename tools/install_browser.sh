#!/bin/sh
# Install a browser for the tests of the report, unless there is one: from the system's packages where this user may,
# otherwise playwright's own. Without a browser those tests are skipped and say so; nothing else needs one.
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable chrome microsoft-edge; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    timeout 120 apt-get update -qq >/dev/null 2>&1 || true
    timeout 300 apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 && exit 0
fi

timeout 300 "$(dirname "$0")/../.venv/bin/python" -m playwright install chromium >/dev/null 2>&1 && exit 0
echo "No browser could be installed: the report is not tested in one." >&2
