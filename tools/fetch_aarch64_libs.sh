#!/bin/bash
# fetch_aarch64_libs DIR: Debian's arm64 builds of the libraries that senvec needs, unpacked under DIR, for the cross build.
# It works with apt's sources and keys but with lists and a package state of its own: the system isn't touched and root isn't
# needed. On failure the last line says why.
set -euo pipefail

directory=$(realpath -m "$1")
[ ! -e "$directory/complete" ] || exit 0

command -v apt-get >/dev/null || { echo "no apt-get here, so no arm64 libraries"; exit 1; }
rm -rf "$directory"
mkdir -p "$directory"/apt/lists/partial "$directory"/apt/archives/partial
: >"$directory/apt/status"
apt() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User="$(id -un)" \
        -o Dir::State::lists="$directory/apt/lists" -o Dir::State::status="$directory/apt/status" \
        -o Dir::Cache="$directory/apt" -o Dir::Cache::archives="$directory/apt/archives" "$@"
}
packages=(libjansson-dev libutf8proc-dev libcmocka-dev zlib1g-dev libzstd-dev)
apt update || { echo "apt-get could not fetch the lists of arm64 packages"; exit 1; }
apt install -y --no-install-recommends --download-only "${packages[@]}" ||
    { echo "the package sources of this system don't serve arm64: ${packages[*]}"; exit 1; }
# Their dependencies came along; the C library is the cross compiler's own.
for archive in "$directory"/apt/archives/{libjansson,libutf8proc,libcmocka,zlib1g,libzstd}*.deb; do
    dpkg-deb -x "$archive" "$directory"
done
rm -rf "$directory/apt"
touch "$directory/complete"
