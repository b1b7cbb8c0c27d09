# Sourced: where no C++ compiler works, fetches one from the package index into .cache/zig and names it
# to the builds of the few packages that have no wheel (pyfarmhash is C++, crcmod C). $python has uv.

cxx=${CXX:-$("$python" -I -c 'import sysconfig; print(sysconfig.get_config_var("CXX") or "g++")')}
cxx_works() { # makes a library of standard C++, as a build would: a compiler may be there in part only
    echo '#include <utility>' | $cxx -x c++ -shared -fPIC -o .venv/probe.so - && rm .venv/probe.so
} >/dev/null 2>&1

if ! cxx_works; then
    echo "No C++ compiler works here ($cxx): fetching one, about 100 MB, into .cache/zig"
    zig=$PWD/.cache/zig
    rm -rf "$zig"
    "$python" -m uv pip install --python "$python" --quiet --no-deps --require-hashes \
        --target "$zig" --requirement requirements/compiler.txt
    export ZIG_GLOBAL_CACHE_DIR="$zig/cache" ZIG_LOCAL_CACHE_DIR="$zig/cache"
    # On PATH, so that a space in the folder's name needs no quotes. The target is any x86-64 and any
    # glibc that the packages run on; Debian's Python.h includes a header by its place in /usr/include.
    export PATH="$zig/ziglang:$PATH"
    target="-target x86_64-linux-gnu.2.17 -idirafter /usr/include"
    export CC="zig cc $target" CXX="zig c++ $target"
    # Said in full, as Python would add its own compiler's options to link with, which zig need not know.
    # pyfarmhash uses templates alone of C++'s library; to link that would take a minute to build it.
    export LDSHARED="$CC -shared" LDCXXSHARED="$CXX -shared -nostdlib++"
fi
