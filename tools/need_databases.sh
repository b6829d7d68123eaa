#!/usr/bin/env bash
# See to it that MariaDB and PostgreSQL can be started by the tests: install what is missing when we
# may, else say in one line what will be skipped. Never starts a service, never fails.
set -uo pipefail
cd "$(dirname "$0")"

missing=()
PATH="$PATH:/usr/sbin:/usr/local/sbin"
# The server program, and the client package with a helper of its set-up; neither has a service.
command -v mariadbd mariadb-install-db my_print_defaults >/dev/null ||
    missing+=(mariadb-server-core mariadb-client-core)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    missing+=(postgresql)
[ ${#missing[@]} = 0 ] && exit 0

skipped="tests on a database server will be skipped, for want of: ${missing[*]}"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "alpenhorn set-up: $skipped"
    exit 0
fi

# Debian starts a server that it installs, unless this file says no (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
./apt_install.sh "${missing[@]}" || echo "alpenhorn set-up: $skipped"
exit 0
