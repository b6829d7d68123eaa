#!/usr/bin/env bash
# Make the virtual environment, if it is not there, and install alpenhorn into it.
#
#   tools/setup_venv.sh DIRECTORY WHAT      WHAT: "." or ".[extra,...]"
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
what=$2
oldest="3.11"

die() {
    echo "alpenhorn set-up: $*" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (${oldest/./, }))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "needs Python $oldest or newer as python3; here is $(python3 --version 2>&1 || true)"
}

# Debian and its relatives ship ensurepip in a package of its own, python3-venv.
make_venv() {
    local python=$1 log
    log=$(mktemp)
    if ! "$python" -m venv "$venv" >"$log" 2>&1; then
        rm -rf "$venv"
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
            die "cannot make a virtual environment; install python3-venv ($(tail -n 1 "$log"))"
        tools/apt_install.sh python3-venv
        "$python" -m venv "$venv" || die "cannot make a virtual environment"
    fi
    rm -f "$log"
}

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    python=$(find_python)
    echo "Setting up $venv (once; a minute or two) ..."
    make_venv "$python"
fi
"$venv/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e "$what" ||
    die "pip could not install what alpenhorn needs; is a package index within reach?"
