# Sourced by tools/demo and tools/test: everything that a fresh Debian machine with git and python3 lacks,
# a virtual environment in .venv, and the compiled code, built in place. Each step is skipped when it is done.
#
#   prepare EXTRAS    EXTRAS: of pyproject.toml, with commas; may be empty
#
# PYTHON may name another interpreter than python3.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
[ -t 2 ] || say() { printf '==> %s\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

PYTHON=${PYTHON:-python3}

# The Debian packages that are missing, in $missing.
look_for_packages() {
    missing=
    "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
    command -v "${CC:-cc}" >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
    includes=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -f "$includes/Python.h" ] || missing="$missing python3-dev"
    command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
    if [ -n "$missing" ] && ! command -v "${CC:-cc}" >/dev/null 2>&1; then
        missing="$missing zlib1g-dev libzstd-dev"
    else
        has_header zlib || missing="$missing zlib1g-dev"
        has_header zstd || missing="$missing libzstd-dev"
    fi
}

has_header() {
    prefix=$(printenv "REGCACHE_$(echo "$1" | tr a-z A-Z)_PREFIX" || true)
    echo "#include <$1.h>" | "${CC:-cc}" ${prefix:+-I"$prefix/include"} -E - >/dev/null 2>&1 ||
        pkg-config --exists "$(echo "$1" | sed 's/^zstd$/libzstd/')" 2>/dev/null
}

install_packages() {
    look_for_packages
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        fail "This machine lacks what these Debian packages hold; install its own packages of the kind:$missing"
    if [ "$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null 2>&1; then as_root=sudo; else
        fail "Please run as root: apt-get install$missing"
    fi
    say "installing$missing"
    # One program holds the package lists at a time; others are given five minutes.
    apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    $apt update >/dev/null || say "the package lists could not be renewed; trying with those that are here"
    $apt install -y --no-install-recommends $missing >/dev/null || fail "apt-get could not install:$missing"
    look_for_packages
    [ -z "$missing" ] || fail "Still missing after their installation:$missing"
}

# An environment of another interpreter, or one that no longer runs, is made anew.
make_environment() {
    wanted=$("$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)') || fail "$PYTHON does not run."
    found=$(.venv/bin/python -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null || true)
    if [ "$wanted" != "$found" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        say "making the virtual environment .venv with Python $(echo "$wanted" | cut -d' ' -f1)"
        "$PYTHON" -m venv --clear .venv || fail "The virtual environment could not be made."
    fi
}

install_requirements() {
    state="$(cksum <pyproject.toml) [$1]"
    [ "$(cat .venv/installed 2>/dev/null || true)" != "$state" ] || return 0
    say "installing the Python packages that regcache needs${1:+ (with $1)}"
    # The build's own needs, then regcache as it stands here, without compiling: that is the next step.
    quiet_pip "setuptools>=77" "Cython>=3.2.3"
    REGCACHE_PURE=1 quiet_pip --no-build-isolation -e ".${1:+[$1]}"
    echo "$state" >.venv/installed
}

quiet_pip() {
    .venv/bin/python -m pip --disable-pip-version-check install -q --upgrade-strategy only-if-needed "$@" ||
        fail "pip could not install: $*"
}

build_in_place() {
    mkdir -p build
    say "building the compiled code"
    if ! .venv/bin/python setup.py -q build_ext --inplace >build/log.txt 2>&1; then
        tail -n 40 build/log.txt >&2
        fail "The build failed; its whole output is in build/log.txt."
    fi
}

prepare() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || fail "regcache needs Python 3.9 or later."
    install_packages
    make_environment
    install_requirements "$1"
    build_in_place
}
