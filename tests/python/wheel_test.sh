#!/bin/bash
# wheel_test VENV DIR TINY_MODEL: makes the wheel and the sdist with the packages of VENV, installs each into an empty
# environment below DIR, and runs the package's tests there.
set -euo pipefail
maker=$(realpath -s "$1")/bin/python directory=$(realpath -m "$2") tiny=$(realpath "$3")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")") root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
unset SENVEC_LIBRARY PYTHONPATH

"$maker" -c 'import ziglang, auditwheel, scikit_build_core, build' 2>/dev/null ||
    { echo "SKIP: $maker has no packages to make a wheel with; './run test' installs them"; exit 77; }
fresh() { # fresh NAME: an empty environment
    rm -rf "${directory:?}/$1"
    "$maker" -m venv "$directory/$1"
}

rm -rf "$directory/dist"
"$root/tools/make_wheel.sh" "$maker" "$directory/dist" || {
    code=$?
    [ $code != 77 ] || echo "SKIP: what a wheel is made of can't be had here"
    exit $code
}
wheel=("$directory"/dist/*.whl)
size=$(stat -c %s "${wheel[0]}")
[ "$size" -lt 3000000 ] || { echo "the wheel has $size bytes; it should stay below 3 MB"; exit 1; }

fresh from_wheel
"$directory/from_wheel/bin/pip" install -q --disable-pip-version-check "${wheel[0]}" ||
    { echo "SKIP: numpy could not be installed: no network?"; exit 77; }
cd "$directory"
echo "== the wheel, $size bytes"
from_wheel/bin/python "$here/run_package_tests.py" "$tiny"
echo "== its command"
for script in cli/test_cli.py cli/test_inputs.py cli/test_outputs.py cli/test_parts.py; do
    from_wheel/bin/python "$root/tests/$script" from_wheel/bin/senvec "$tiny"
done
from_wheel/bin/python "$root/tests/hub/pull_test.py" from_wheel/bin/senvec # fetches through Python
: >empty.pem
refused=$(from_wheel/bin/senvec serve --model "$tiny" --tls-cert empty.pem --tls-key empty.pem 2>&1) && exit 1
[ "$(wc -l <<<"$refused")" = 1 ] && grep -q "without TLS" <<<"$refused" || { echo "serve said: $refused"; exit 1; }

(cd "$root" && PATH=$(dirname "$maker"):$PATH "$maker" -m build -q --sdist --no-isolation -o "$directory/dist")
fresh from_sdist
echo "== the sdist"
from_sdist/bin/pip install -q --disable-pip-version-check dist/*.tar.gz
from_sdist/bin/python "$here/run_package_tests.py" "$tiny"
