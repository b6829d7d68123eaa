#!/usr/bin/env bash
# What must hold before a change is given to others. Runs every step, so that one call shows
# everything that is wrong; a step prints only if it fails. Says at its end how long it took.
#
#   tools/check.sh DIRECTORY-OF-PROGRAMS
set -uo pipefail
cd "$(dirname "$0")/.."

bin=$1
output=$(mktemp)
memory=
trap 'rm -rf "$output" ${memory:+"$memory"}' EXIT
failed=()

# Images of containers often set it: each test, and each program at each start, is compiled anew.
unset PYTHONDONTWRITEBYTECODE

# The tests' files lie in memory where there is room: they then wait for no disk. `make test` uses
# a real disk.
free_kb=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [ "${free_kb:-0}" -gt 2000000 ] && [ -w /dev/shm ]; then
    memory=$(mktemp -d -p /dev/shm)
    export PYTEST_DEBUG_TEMPROOT=$memory
fi

step() {
    local name=$1 begin=$SECONDS
    shift
    printf '%-22s' "$name"
    if "$@" >"$output" 2>&1; then
        echo "ok ($((SECONDS - begin)) s)  $(tail -n 1 "$output")"
    else
        echo "FAILED"
        cat "$output"
        failed+=("$name")
    fi
}

step "format" "$bin/ruff" format --check --output-format=concise .
step "lint" "$bin/ruff" check --output-format=concise .
step "types" "$bin/mypy"
step "import rules" "$bin/lint-imports" --no-logo
step "quick tests, docs" "$bin/pytest" -n 2 -m "not e2e and not slow"

if [ ${#failed[@]} -gt 0 ]; then
    printf -v list '%s, ' "${failed[@]}"
    echo "Check FAILED after $SECONDS s: ${list%, }"
    exit 1
fi
echo "Check passed in $SECONDS s."
