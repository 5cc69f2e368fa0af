# Sourced by the other scripts: installs Debian packages that are missing, and nothing when none is.

build_packages="gcc cmake ninja-build pkg-config libjpeg62-turbo-dev libpng-dev libstb-dev libopenblas0-pthread
libyaml-dev libarchive-dev zlib1g-dev nettle-dev"
test_packages="libcmocka-dev libjansson-dev python3 xz-utils clang"

# need_packages NAME...
need_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "these Debian packages, or their like, are needed:$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    # An old package list names files that are gone; a failed first try therefore updates it.
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 || {
        $as_root apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
    }
}
