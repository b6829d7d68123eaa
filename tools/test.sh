#!/usr/bin/env bash
# Run all tests. What can run side by side runs so, first on SQLite, then what needs an index again
# on the database servers that are here; the end-to-end tests run one at a time, since they start
# many programs and measure time. Ends with pytest's closing line of each run.
#
#   tools/test.sh DIRECTORY-OF-PROGRAMS
set -uo pipefail
cd "$(dirname "$0")/.."

bin=$1
output=$(mktemp)
trap 'rm -f "$output"' EXIT
closing=()
failed=0

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
run "end to end, one at a time" -m e2e
[ -z "$servers" ] || run "the index on $servers" -n 2 -m "not e2e" --index "$servers" \
    tests/unit/db tests/unit/services
run "all others" -n 2 -m "not e2e"

echo
[ ${#closing[@]} -gt 0 ] || { echo "No test was found." >&2; exit 1; }
printf '%s\n' "${closing[@]}"
exit "$failed"
