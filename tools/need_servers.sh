#!/usr/bin/env bash
# See to it that the database servers of the tests are there: install them when we may. Prints the
# kinds that are, for pytest's --index, and one line on standard error for each that is not.
#
# The tests run servers of their own in temporary directories; the system's are never touched.
set -euo pipefail
cd "$(dirname "$0")"

has_mariadb() { PATH="$PATH:/usr/sbin:/usr/libexec" command -v mariadbd; }
has_postgres() { command -v postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres'; }

packages=()
has_mariadb >/dev/null || packages+=(mariadb-server-core)
has_postgres >/dev/null || packages+=(postgresql)
if [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    ./apt_install.sh "${packages[@]}" >&2 || true
fi

kinds=()
for kind in mariadb postgres; do
    if "has_$kind" >/dev/null; then
        kinds+=("$kind")
    else
        echo "Not tested on $kind: it is not installed here (Debian: ${packages[*]})." >&2
    fi
done
(IFS=, && echo "${kinds[*]}")
