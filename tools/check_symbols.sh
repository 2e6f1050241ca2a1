#!/bin/bash
# check_symbols SHARED-LIBRARY STATIC-LIBRARY: what the libraries define and use.
# Both export senvec_* and nothing else, so that no program can reach what is inside; and neither calls what prints or ends the
# process.
set -euo pipefail
export LC_ALL=C
status=0

complain() { # complain WHAT SYMBOLS
    [ -z "$2" ] || { printf '%s: %s\n' "$1" "$(tr '\n' ' ' <<<"$2")"; status=1; }
}

exported=$(nm -D --defined-only "$1" | awk '{print $NF}')
[ -n "$exported" ] || { echo "$1: exports nothing"; exit 1; }
complain "$1 exports" "$(grep -v '^senvec_' <<<"$exported" || true)"
complain "$2 defines" "$(nm -g --defined-only "$2" 2>/dev/null | awk 'NF == 3 {print $3}' | grep -v '^senvec_' || true)"
complain "$1 calls" "$(nm -D --undefined-only "$1" | awk '{sub(/@.*/, "", $NF); print $NF}' |
    grep -xE '(v?printf|puts|putchar|perror|_?exit|abort|system|strcpy|strcat|v?sprintf|gets|stdout|stderr)' || true)"
echo "$(wc -l <<<"$exported") exported symbols"
exit $status
