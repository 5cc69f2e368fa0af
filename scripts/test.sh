#!/bin/sh
# Installs what is missing, builds with warnings as errors, and runs the tests; needs no network on a prepared machine.
#
#   scripts/test.sh [--quick]     --quick: no sanitizer build
#
# Real weights, pictures and hostile files are used where DIOPTER_SHARED (default: ../shared) has them.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
quick=no
case "${1:-}" in
    "") ;;
    --quick) quick=yes ;;
    *) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac

need_packages $build_packages $test_packages
jobs=$(nproc)

echo "== build"
cmake -S . -B build-test -G Ninja -DDIOPTER_WERROR=ON -DDIOPTER_TESTS=ON >build-test.log 2>&1 || { cat build-test.log; exit 1; }
cmake --build build-test -j "$jobs" >build-test.log 2>&1 || { grep -v '^\[' build-test.log; exit 1; }
rm -f build-test.log

failed=0
echo "== tests"
ctest --test-dir build-test --output-on-failure -j 1 || failed=1

if [ "$quick" = no ]; then
    echo "== quick tests under the address and undefined-behaviour sanitizers"
    cmake -S . -B build-sanitize -G Ninja -DDIOPTER_WERROR=ON -DDIOPTER_TESTS=ON -DDIOPTER_SANITIZE=ON \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo >build-test.log 2>&1 || { cat build-test.log; exit 1; }
    cmake --build build-sanitize -j "$jobs" >build-test.log 2>&1 || { grep -v '^\[' build-test.log; exit 1; }
    rm -f build-test.log
    # OpenBLAS keeps memory to the end of the process.
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS=suppressions=$PWD/tests/lsan.txt:print_suppressions=0 \
        ctest --test-dir build-sanitize --output-on-failure -j "$jobs" -LE slow || failed=1
fi
exit $failed
