#!/usr/bin/env bash
# See to it that the three hosts of the end-to-end tests can be made: install what they need when we
# may, else say in one line what is missing. (Their database server: need_servers.sh.)
set -euo pipefail
cd "$(dirname "$0")"

export PATH="$PATH:/usr/sbin:/sbin"
packages=()
command -v ip >/dev/null && command -v tc >/dev/null || packages+=(iproute2)
command -v nsenter >/dev/null && command -v unshare >/dev/null || packages+=(util-linux)
command -v ssh >/dev/null || packages+=(openssh-client)
command -v sshd >/dev/null || packages+=(openssh-server)
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    exec ./apt_install.sh "${packages[@]}" >&2
fi
echo "Not tested on three hosts: these packages are missing: ${packages[*]}." >&2
exit 1
