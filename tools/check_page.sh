#!/bin/bash
# check_page [--fix]: the report's JavaScript is as Biome formats it, and Biome's linter finds nothing in it or in the style
# sheet. The files are linted as one script, which they are in the page, so that a name is found that no file declares or
# none uses; the order is the one of programs/report/CMakeLists.txt. The version is fixed (tools/requirements.txt). Exits with
# 77 where it isn't here.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$PWD/.venv/bin/biome
[ -x "$tool" ] || { echo "SKIP: no Biome; ./run lint installs it, on x86_64"; exit 77; }
mode=()
[ "${1:-}" != --fix ] || mode=(--write)
whole=$(mktemp -d)
trap 'rm -rf "$whole"' EXIT
cd programs/report/page
"$tool" format "${mode[@]}" .
cp biome.json page.css "$whole"
for file in $(sed -n 's|.*${page}/\(.*\.js\) .*|\1|p' ../CMakeLists.txt); do
    printf '/* %s */\n' "$file"
    cat "$file"
done >"$whole/page.js"
cd "$whole"
"$tool" lint --error-on-warnings .
