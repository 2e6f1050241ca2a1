#!/bin/bash
# python_sources DIR: the sources of the libraries that are compiled into the Python package's library and command, from
# Debian's source packages, as DIR/jansson and so on. It works with apt's sources and keys but with lists and a package state
# of its own: the system isn't touched and root isn't needed. On failure the last line says why.
set -euo pipefail

directory=$(realpath -m "$1")
[ ! -e "$directory/complete" ] || exit 0

command -v apt-get >/dev/null ||
    { echo "no apt-get here, so no sources of the libraries that the Python package carries"; exit 1; }
rm -rf "$directory"
mkdir -p "$directory"/apt/{lists/partial,archives/partial,sources}
: >"$directory/apt/status"
# The system's own places for packages, read as places for sources.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
    [ ! -e "$file" ] || sed -E 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$directory/apt/sources/${file##*/}"
done
[ ! -e "$directory/apt/sources/sources.list" ] || mv "$directory/apt/sources/sources.list" "$directory/apt/sources/main.list"
with_own_state() {
    "$@" -q -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$directory/apt/sources" \
        -o Dir::State::lists="$directory/apt/lists" -o Dir::State::status="$directory/apt/status" \
        -o Dir::Cache="$directory/apt" -o Dir::Cache::archives="$directory/apt/archives"
}
with_own_state apt-get update || { echo "apt-get could not fetch the lists of source packages"; exit 1; }
for name in jansson utf8proc zlib libzstd protobuf-c libmicrohttpd; do
    mkdir "$directory/$name" "$directory/apt/$name"
    # The newest version; an older one where this system's servers list it but don't have it.
    for version in $(with_own_state apt-cache showsrc --only-source "$name" | sed -n 's/^Version: //p' | sort -rVu); do
        ! (cd "$directory/apt/$name" && with_own_state apt-get source --download-only "$name=$version") || break
    done
    archive=("$directory/apt/$name/${name}"_*.orig.tar.*z*)
    [ -e "${archive[0]}" ] || { echo "the package sources of this system don't serve the source of $name"; exit 1; }
    tar -xf "${archive[0]}" -C "$directory/$name" --strip-components=1
done
rm -rf "$directory/apt"
touch "$directory/complete"
