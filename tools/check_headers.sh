#!/bin/bash
# check_headers: the public header compiles alone as C11 and C++17, pedantically, with each compiler that is here; each internal
# header compiles alone as C11. (Headers of one instruction set, and *_tmpl.h that are written once for several, compile with
# the sources of the set only.)
set -euo pipefail
cd "$(dirname "$0")/.."
count=0 status=0
strict=(-Wall -Wextra -Werror -pedantic -fsyntax-only)

try() { # try COMPILER ARGUMENT...
    count=$((count + 1))
    "$@" || { echo "failed: $*"; status=1; }
}

for compiler in gcc clang; do
    ! command -v $compiler >/dev/null || try $compiler -std=c11 "${strict[@]}" -x c include/senvec.h
done
for compiler in g++ clang++; do
    ! command -v $compiler >/dev/null || try $compiler -std=c++17 "${strict[@]}" -x c++ include/senvec.h
done
while read -r header; do
    try gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -Iinclude -I. \
        -Ilib -Iprograms -x c "$header"
done < <(find common lib programs -name '*.h' -not -path 'lib/kernels/*/*' -not -name '*_tmpl.h')
echo "$count compilations"
exit $status
