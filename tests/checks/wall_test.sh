#!/bin/bash
# wall_test SOURCES LIBSENVEC.A FLAG...: a program can't see the inside of the library: a header of lib/ isn't found with a
# program's include path, and an internal symbol isn't there to be linked. FLAGs link what the static library needs.
set -euo pipefail
sources=$1 library=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/senvec-wall-XXXXXX")
trap 'rm -rf "$work"' EXIT
status=0

# try NAME yes|no MENTION CODE: compiles and links CODE as a program of programs/ would be.
try() {
    printf '%s\n' "$4" >"$work/$1.c"
    local done=yes
    gcc -std=gnu11 -I"$sources/include" -I"$sources" -I"$sources/programs" "$work/$1.c" -o "$work/$1" "$library" "${flags[@]}" \
        >"$work/$1.log" 2>&1 || done=no
    if [ $done != "$2" ] || ! grep -q "$3" "$work/$1.log" "$work/$1.c"; then
        echo "$1: built: $done, wanted: $2 ($3)"
        cat "$work/$1.log"
        status=1
    fi
}

flags=("$@")
try public yes senvec_version '#include "senvec.h"
int main(void) { return senvec_version()[0] == 0; }'
try header no 'engine/plan.h: No such file' '#include "engine/plan.h"
int main(void) { return 0; }'
try symbol no 'undefined reference to .sv_tokenizer_free' 'void sv_tokenizer_free(void *);
int main(void) { sv_tokenizer_free(0); return 0; }'
exit $status
