#!/bin/sh
# Runs the fuzz targets: scripts/fuzz.sh [SECONDS [TARGET...]], for example scripts/fuzz.sh 60 json yaml.
# What was found new is kept in build-fuzz/corpus; an input that fails is left in build-fuzz as crash-*.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-30}
[ $# -gt 0 ] && shift
cmake --preset fuzz >/dev/null
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
targets=
for name in "$@"; do targets="$targets fuzz_$name"; done
# shellcheck disable=SC2086
cmake --build build-fuzz -j "$(nproc)" --target $targets
cd build-fuzz
LSAN_OPTIONS=suppressions=../tests/lsan.txt
export LSAN_OPTIONS
for name in "$@"; do
    echo "== $name, $seconds s"
    mkdir -p "corpus/$name" "../tests/fuzz/corpus/$name"
    ./tests/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        "corpus/$name" "../tests/fuzz/corpus/$name" 2>fuzz_"$name".log || { tail -40 fuzz_"$name".log; exit 1; }
    grep -E 'stat::number_of_executed_units|cov:' fuzz_"$name".log | tail -2
done
