# Sourced: hands pip's index and certificates to uv, which does not read pip's settings, and keeps
# uv's cache inside the project's folder. $python is a Python that has pip.

pip_setting() {
    "$python" -m pip config get "global.$1" 2>/dev/null || true
}

if ! env | grep -qE '^UV_(DEFAULT_INDEX|INDEX|INDEX_URL|CONFIG_FILE|NO_INDEX|OFFLINE)='; then
    index=${PIP_INDEX_URL:-$(pip_setting index-url)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi
if [ -z "${SSL_CERT_FILE:-}" ]; then
    certificates=${PIP_CERT:-${REQUESTS_CA_BUNDLE:-$(pip_setting cert)}}
    [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
fi
export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.cache/uv}"
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-${PIP_DEFAULT_TIMEOUT:-120}}"
