#!/bin/sh
# Makes .venv complete, or does nothing where it is. PYTHON=<name or path> names the interpreter.
# Nothing is written outside the project's folder; packages are cached in .cache/uv, or where
# UV_CACHE_DIR says.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
stamp=.venv/complete  # written last: the digest of what .venv is made from, then where and by which Python

# One set-up at a time: `make run` and `make test` may be started together.
if command -v flock >/dev/null; then
    exec 9<pyproject.toml
    flock -n 9 || { echo "Another set-up is running; waiting for it." && flock 9; }
fi

digest() {
    cat pyproject.toml requirements/*.txt tools/*.sh | sha256sum
}
base_python() { # the interpreter that .venv was made from
    "$python" -I -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
}
describe() {
    "$python" -I -c 'import sys; print(sys.version_info[:3], sys.prefix)' && base_python
} 2>/dev/null
chosen() { # no interpreter is asked for, or the one that .venv was made from
    [ -z "${PYTHON:-}" ] && return 0
    base=$(tools/find_python.sh) || exit 1
    [ "$base" = "$(base_python)" ]
}

# A .venv without a stamp is half-made, one that does not run has lost its interpreter, and one made
# elsewhere has that place's path in it: each is made anew.
if [ -f "$stamp" ] && [ "$(sed 1d "$stamp")" = "$(describe)" ] && chosen; then
    [ "$(sed -n 1p "$stamp")" = "$(digest)" ] && exit 0
    rm "$stamp"
else
    base=$(tools/find_python.sh)
    [ ! -e .venv ] || echo "Removing a .venv that is unfinished, moved or of another Python."
    rm -rf .venv
    "$base" -m venv .venv
fi

line=line-b
"$python" -I -c 'import sys; sys.exit(sys.version_info >= (3, 11))' && line=line-a
echo "Setting up .venv: $("$python" -V), requirements/$line.txt"

"$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement requirements/bootstrap.txt
. tools/uv.sh
. tools/compiler.sh

# Without isolation, the few packages that have no wheel are built with the locked setuptools.
"$python" -m uv pip sync --python "$python" --require-hashes --no-build-isolation \
    --compile-bytecode "requirements/$line.txt"
# The project itself: Beam's workers and the commands find its packages from any folder.
"$python" -m uv pip install --python "$python" --quiet --no-deps --no-build-isolation --offline \
    --editable .
{ digest && describe; } >"$stamp"
