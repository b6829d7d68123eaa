#!/usr/bin/env bash
# Run all tests: what can run side by side first, then the end-to-end tests one at a time, since
# those measure time and start programs. Ends with pytest's closing line of each run.
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
    "$bin/pytest" "$@" 2>&1 | tee "$output"
    local code=${PIPESTATUS[0]}
    [ "$code" = 5 ] && return  # there are none of these
    closing+=("$(tail -n 1 "$output")")
    [ "$code" = 0 ] || failed=1
}

run -n 2 -m "not e2e"
run -m e2e
echo
printf '%s\n' "${closing[@]}"
[ "${#closing[@]}" -gt 0 ] || { echo "No test was found." >&2; exit 1; }
exit "$failed"
