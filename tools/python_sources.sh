#!/bin/bash
# python_sources DIR: the sources of jansson and utf8proc, from Debian's source packages, as DIR/jansson and DIR/utf8proc, to be
# compiled into the Python package's library. It works with apt's sources and keys but with lists and a package state of its
# own: the system isn't touched and root isn't needed. On failure the last line says why.
set -euo pipefail

directory=$(realpath -m "$1")
[ ! -e "$directory/complete" ] || exit 0

command -v apt-get >/dev/null || { echo "no apt-get here, so no sources of jansson and utf8proc"; exit 1; }
rm -rf "$directory"
mkdir -p "$directory"/apt/{lists/partial,archives/partial,sources}
: >"$directory/apt/status"
# The system's own places for packages, read as places for sources.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
    [ ! -e "$file" ] || sed -E 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$directory/apt/sources/${file##*/}"
done
[ ! -e "$directory/apt/sources/sources.list" ] || mv "$directory/apt/sources/sources.list" "$directory/apt/sources/main.list"
apt() {
    apt-get -q -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$directory/apt/sources" \
        -o Dir::State::lists="$directory/apt/lists" -o Dir::State::status="$directory/apt/status" \
        -o Dir::Cache="$directory/apt" -o Dir::Cache::archives="$directory/apt/archives" "$@"
}
apt update || { echo "apt-get could not fetch the lists of source packages"; exit 1; }
for name in jansson utf8proc; do
    mkdir "$directory/$name" "$directory/apt/$name"
    (cd "$directory/apt/$name" && apt source --download-only "$name") ||
        { echo "the package sources of this system don't serve the source of $name"; exit 1; }
    tar -xf "$directory/apt/$name/${name}"_*.orig.tar.* -C "$directory/$name" --strip-components=1
done
rm -rf "$directory/apt"
touch "$directory/complete"
