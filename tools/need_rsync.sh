#!/usr/bin/env bash
# See to it that rsync is there: install it when we may, else say in one line what to do.
set -euo pipefail
cd "$(dirname "$0")"

command -v rsync >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    exec ./apt_install.sh rsync
fi
echo "alpenhorn set-up: rsync is missing; install it (for instance: sudo apt-get install rsync)" >&2
exit 1
