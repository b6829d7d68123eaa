#!/usr/bin/env bash
# Run all tests: end to end (real daemons, each file of tests in one process), then the rooms that
# hold the SQL on the database servers that are here, then all others on SQLite. Ends with pytest's
# closing line of each run.
#
#   tools/test.sh DIRECTORY-OF-PROGRAMS
set -uo pipefail
cd "$(dirname "$0")/.."

bin=$1
output=$(mktemp)
trap 'rm -f "$output"' EXIT
closing=()
failed=0

# Images of containers often set it: each test, and each program at each start, is compiled anew.
unset PYTHONDONTWRITEBYTECODE

run() {
    local title=$1 code
    shift
    echo "== $title"
    "$bin/pytest" "$@" 2>&1 | tee "$output"
    code=${PIPESTATUS[0]}
    [ "$code" = 5 ] && return  # there are none of these
    closing+=("$(tail -n 1 "$output")")
    [ "$code" = 0 ] || failed=1
}

servers=$(tools/need_servers.sh)
tools/need_hosts.sh || true
# These wait for others most of the time; the longest come first, so that none is left alone at the end.
run "end to end" -n 3 --dist loadfile --no-loadscope-reorder -m e2e tests/e2e/three_hosts \
    tests/e2e/test_{demo,kill}.py tests/faults tests/e2e/test_{ssh_routes,log_blocks,doctor}.py \
    tests/e2e/test_{full_disk,database_restart,hostile}.py tests/e2e/test_*.py
[ -z "$servers" ] || run "the index on $servers" -n 2 -m "not e2e" --index "$servers" \
    tests/unit/db tests/unit/services
run "all others" -n 2 -m "not e2e"

echo
[ ${#closing[@]} -gt 0 ] || { echo "No test was found." >&2; exit 1; }
printf '%s\n' "${closing[@]}"
exit "$failed"
