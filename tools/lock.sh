#!/bin/sh
# Writes the hashed locks anew from pyproject.toml, keeping the versions that still fit; with UPGRADE=1
# the newest that fit.
set -eu
cd "$(dirname "$0")/.."

python=.venv/bin/python
if ! [ -x .venv/bin/uv ]; then
    workshop=$(mktemp -d)
    trap 'rm -rf "$workshop"' EXIT
    "$(tools/find_python.sh)" -m venv "$workshop"
    python=$workshop/bin/python
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --requirement requirements/bootstrap.txt
fi
. tools/uv.sh

# lock FILE WHAT...: one lock; its header names `make lock`.
lock() {
    echo "Locking $1"
    "$python" -m uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" ${UPGRADE:+--upgrade} --output-file "$@"
}
bootstrap=requirements/bootstrap.txt
lock "$bootstrap" --group bootstrap --python-version 3.10
# setuptools is the same in all three, so that a set-up does not change it under a running build.
lock requirements/line-a.txt pyproject.toml --extra dev --constraints "$bootstrap" \
    --python-version 3.10 --python-platform x86_64-manylinux_2_28
lock requirements/line-b.txt pyproject.toml --extra dev --constraints "$bootstrap" \
    --python-version 3.11 --universal
# The container image's: what running needs of line B, at its versions. See Dockerfile.
lock requirements/image.txt pyproject.toml --extra openvino --constraints requirements/line-b.txt \
    --python-version 3.13 --python-platform x86_64-manylinux_2_39
# Where no C++ compiler works, tools/compiler.sh takes this one.
echo "ziglang>=0.14" | lock requirements/compiler.txt - --python-version 3.10
