#!/bin/bash
# install_test BUILD-DIRECTORY MODEL-DIRECTORY: installs into an empty folder, moves it, and there builds a C and a C++ program
# against the shared and the static library, by pkg-config and by find_package; all eight must give the same line.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=$1 model=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/prefix"
prefix=$work/prefix

# Exactly these files.
(cd "$prefix" && find . ! -type d | sed -E 's,^\./,,; s,lib/[^/]*-linux-gnu/,lib/,' | LC_ALL=C sort) >"$work/files"
cat >"$work/expected" <<'LIST'
bin/senvec
include/senvec.h
lib/cmake/senvec/senvecConfig.cmake
lib/cmake/senvec/senvecConfigVersion.cmake
lib/cmake/senvec/senvecTargets-relwithdebinfo.cmake
lib/cmake/senvec/senvecTargets.cmake
lib/libsenvec.a
lib/libsenvec.so
lib/libsenvec.so.0
lib/libsenvec.so.0.1.0
lib/pkgconfig/senvec.pc
share/bash-completion/completions/senvec
share/man/man1/senvec.1
LIST
diff "$work/expected" "$work/files"

library=$(dirname "$(find "$prefix" -name libsenvec.a)")
export LD_LIBRARY_PATH=$library PKG_CONFIG_PATH=$library/pkgconfig
read -ra flags < <(pkg-config --cflags senvec)
read -ra shared < <(pkg-config --libs senvec)
read -ra static < <(pkg-config --libs --static senvec)
static=("${static[@]/#-lsenvec/-l:libsenvec.a}")
warnings=(-Wall -Wextra -Werror -pedantic)
gcc -std=c11 "${warnings[@]}" "${flags[@]}" "$here/consumer.c" -o "$work/c_pc_shared" "${shared[@]}" -lm
gcc -std=c11 "${warnings[@]}" "${flags[@]}" "$here/consumer.c" -o "$work/c_pc_static" "${static[@]}" -lm
g++ -std=c++17 "${warnings[@]}" "${flags[@]}" -x c++ "$here/consumer.c" -x none -o "$work/cpp_pc_shared" "${shared[@]}" -lm
g++ -std=c++17 "${warnings[@]}" "${flags[@]}" -x c++ "$here/consumer.c" -x none -o "$work/cpp_pc_static" "${static[@]}" -lm

cmake -S "$here/consumer" -B "$work/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log"
cmake --build "$work/consumer" >>"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }

[ -f "$model/config.json" ] || { echo "SKIP: no model at $model"; exit 77; }
status=0 first=
for program in "$work"/c_pc_* "$work"/cpp_pc_* "$work"/consumer/c_* "$work"/consumer/cpp_*; do
    uses=no
    # The static ones must not find the shared library by chance.
    ! ldd "$program" | grep libsenvec >/dev/null || uses=yes
    case $(basename "$program")-$uses in
        *static-no | *_senvec-yes | *shared-yes) ;;
        *) echo "$(basename "$program"): linked with the wrong library"; status=1 ;;
    esac
    line=$("$program" "$model") || { echo "$(basename "$program") failed"; status=1; continue; }
    echo "$(basename "$program"): $line"
    [ "${first:=$line}" = "$line" ] || { echo "differs from the first"; status=1; }
done
"$prefix/bin/senvec" --version
exit $status
