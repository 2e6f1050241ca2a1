#!/bin/bash
# make_wheel PYTHON OUTPUT [ARCHITECTURE]: the Python package as a wheel for every Linux with glibc 2.28 or newer, x86_64 or
# aarch64. PYTHON has the packages of bindings/python/requirements.txt: the compiler is zig's clang, which brings the headers
# and symbol versions of that glibc. auditwheel checks what the library needs and gives the wheel its name. Exit code 77: the
# sources that are compiled in can't be had here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(realpath -s "$1") output=$2 architecture=${3:-$(uname -m)}
work=$PWD/build/python
mkdir -p "$work/$architecture" "$output"
output=$(realpath "$output")

sources=$work/sources
tools/python_sources.sh "$sources" >"$work/sources.log" 2>&1 || { tail -n 1 "$work/sources.log" >&2; exit 77; }

zig=$("$python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
for tool in cc ar ranlib; do
    target=
    [ $tool != cc ] || target="-target $architecture-linux-gnu.2.28"
    printf '#!/bin/sh\nexec "%s" %s %s "$@"\n' "$zig" $tool "$target" >"$work/$architecture/$tool"
    chmod +x "$work/$architecture/$tool"
done

settings=(
    -C "build-dir=$work/$architecture/build"
    -C "cmake.define.SENVEC_EMBED=$sources"
    -C cmake.define.SENVEC_TOOLS=ON
    -C "build.targets=senvec_python;senvec"
    -C "cmake.define.CMAKE_AR=$work/$architecture/ar"
    -C "cmake.define.CMAKE_RANLIB=$work/$architecture/ranlib"
)
if [ "$architecture" != "$(uname -m)" ]; then
    settings+=(-C cmake.define.CMAKE_SYSTEM_NAME=Linux -C "cmake.define.CMAKE_SYSTEM_PROCESSOR=$architecture")
    # The linker drops the debug information; this system's strip doesn't know the other processor.
    settings+=(-C install.strip=false -C cmake.define.CMAKE_MODULE_LINKER_FLAGS=-s -C cmake.define.CMAKE_EXE_LINKER_FLAGS=-s)
    export _PYTHON_HOST_PLATFORM=linux-$architecture
fi
rm -rf "$work/$architecture/raw"
PATH=$(dirname "$python"):$PATH CC=$work/$architecture/cc CMAKE_C_COMPILER_LAUNCHER='' \
    "$python" -m pip wheel -q --no-deps --no-build-isolation --disable-pip-version-check \
    "${settings[@]}" -w "$work/$architecture/raw" . >"$work/$architecture/wheel.log" 2>&1 ||
    { cat "$work/$architecture/wheel.log" >&2; exit 1; }
PATH=$(dirname "$python"):$PATH "$python" -m auditwheel repair --plat auto -w "$output" \
    "$work/$architecture"/raw/*.whl 2>&1 | grep -vE '^INFO' || true
ls "$output"/senvec-*"$architecture".whl
