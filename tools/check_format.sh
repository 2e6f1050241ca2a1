#!/bin/bash
# check_format [--fix]: the C sources are as clang-format 14 leaves them. The version is fixed (tools/requirements.txt), because
# each formats differently. Exits with 77 where that version isn't here.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=
for candidate in .venv/bin/clang-format clang-format-14 clang-format; do
    case $("$candidate" --version 2>/dev/null) in
        *"version 14."*) tool=$candidate; break ;;
    esac
done
[ -n "$tool" ] || { echo "SKIP: no clang-format 14; ./run lint installs it"; exit 77; }
mode=(--dry-run --Werror)
[ "${1:-}" != --fix ] || mode=(-i)
mapfile -t files < <(find include common lib programs examples tests tools -name '*.[ch]' -o -name '*.cpp' | sort)
"$tool" "${mode[@]}" "${files[@]}"
echo "${#files[@]} files formatted"
