#!/usr/bin/env bash
# Install Debian packages, as root; the package list is fetched first. Quiet unless it fails.
#
#   tools/apt_install.sh PACKAGE...
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo "Installing $* ..."
if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "alpenhorn set-up: apt-get could not install $*" >&2
    exit 1
fi
