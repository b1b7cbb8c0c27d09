#!/bin/sh
# Prints the path of the best Python interpreter here that can make .venv; says why not, and what to
# install, where there is none. PYTHON=<name or path> names the one to be checked instead.
set -eu

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Run by each candidate: prints "fits <base interpreter>", or says what is wrong. A virtual
# environment's Python answers with the one it was made from. The headers are for pyfarmhash,
# which has no wheel; tools/compiler.sh sees to the compiler.
probe='
import os, sys
found, wanted = "%d.%d" % sys.version_info[:2], sys.argv[1].split()
if found not in wanted:
    sys.exit("is Python %s, not %s" % (found, " or ".join(wanted)))
if sys.implementation.name != "cpython" or sys.maxsize < 2**32:
    sys.exit("is not a 64-bit CPython")
missing = []
for module in ("venv", "ensurepip", "ssl", "ctypes", "zlib", "bz2", "lzma", "sqlite3"):
    try:
        __import__(module)
    except ImportError:
        missing.append(module)
if missing:
    hint = " (Debian, Ubuntu: apt-get install python%s-venv)" % found
    sys.exit("lacks %s%s" % (", ".join(missing), hint if "ensurepip" in missing else ""))
import sysconfig
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
if not os.path.exists(header):
    sys.exit("lacks %s (Debian, Ubuntu: apt-get install python%s-dev)" % (header, found))
print("fits " + os.path.realpath(sys._base_executable))
'

# try_python INTERPRETER VERSIONS: prints its base interpreter, or notes in $looked_at what is wrong.
looked_at=
try_python() {
    case $looked_at in *"
  $1: "*) return 1 ;; esac
    if ! command -v "$1" >/dev/null; then
        answer="not found"
    elif answer=$("$1" -I -c "$probe" "$2" 2>&1); then
        case $answer in *"fits /"*)
            printf '%s\n' "/${answer##*fits /}"
            return 0 ;;
        esac
        answer="is no Python"
    fi
    looked_at="$looked_at
  $1: $(printf '%s\n' "${answer:-does not run}" | sed -n '/./{p;q;}')"
    return 1
}

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || glibc=
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] && [ -n "$glibc" ] ||
    fail "The packages are locked for Linux on x86-64 with glibc; this is $(uname -sm), ${glibc:-no glibc}."

minor=${glibc#*.}
if [ "${minor%%.*}" -ge 39 ]; then
    versions="3.13 3.12 3.11"
    allowed="$versions 3.10"
    advice="Install a Python 3.11 to 3.13 with its headers, for example
  Debian, Ubuntu:  apt-get install python3 python3-venv python3-dev
  pyenv:           pyenv install 3.13
or name an interpreter:  make PYTHON=/path/to/python3.13 ..."
else
    versions=3.10
    allowed=$versions
    advice="This system has $glibc, and newer Pythons' packages need 2.39. Install a Python 3.10
with its headers, for example
  Ubuntu 22.04:  apt-get install python3.10 python3.10-venv python3.10-dev
  pyenv:         pyenv install 3.10
or name an interpreter:  make PYTHON=/path/to/python3.10 ..."
fi

if [ -n "${PYTHON:-}" ]; then
    try_python "$PYTHON" "$allowed" && exit 0
    fail "PYTHON=$PYTHON cannot be used:$looked_at" "$advice"
fi

# try_on_path NAME VERSIONS: tries it in every folder of PATH; pyenv's shims often come first and fail.
try_on_path() {
    rest=$PATH:
    while [ -n "$rest" ]; do
        candidate=${rest%%:*}/$1
        rest=${rest#*:}
        [ -x "$candidate" ] || continue
        try_python "$candidate" "$2" && return 0
    done
    return 1
}

for version in $versions; do
    try_on_path "python$version" "$version" && exit 0
    for folder in "${PYENV_ROOT:-}/versions" "${HOME:-}/.pyenv/versions"; do
        for candidate in "$folder/$version".*/bin/"python$version"; do
            [ -x "$candidate" ] || continue
            try_python "$candidate" "$version" && exit 0
        done
    done
done
try_on_path python3 "$versions" && exit 0
fail "No fitting Python was found. Looked at:${looked_at:-
  nothing: no Python on PATH, none of pyenv}" "$advice"
