#!/bin/sh
# Measures everything that the README's performance section shows and writes docs/performance.md and docs/performance.svg.
#
#   scripts/bench.sh [PYTHON] [--rows WORD,...] [--minutes N]
#
# PYTHON has torch, torchvision, timm, onnx, onnxruntime, safetensors, pillow (default: python3).  --rows: only rows with one of
# these words in their name ("resnet18", "train", "head", "memory").  --minutes: stops after so long; figures already measured are
# kept in build/performance.jsonl, and the next run goes on from there: remove a line to measure its row again, and the file
# after a change of the program.  With either option the page is written to build/performance.md, as it may not be whole.
# Takes about 75 minutes on two cores; leave the machine alone meanwhile.  DIOPTER_SHARED: models and pictures (../shared).
set -eu
cd "$(dirname "$0")/.."
python=python3 rows= minutes=
page=docs/performance
usage() { echo "usage: scripts/bench.sh [PYTHON] [--rows WORD,...] [--minutes N]" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --rows | --minutes)
            [ -n "${2:-}" ] || usage
            case $1 in
                --rows) rows=$2 ;;
                *) minutes=$2 ;;
            esac
            page=build/performance
            shift
            ;;
        -*) usage ;;
        *) python=$1 ;;
    esac
    shift
done
case $minutes in *[!0-9]*) usage ;; esac
lines=build/performance.jsonl
test -x build/diopter || { echo "bench.sh: build first: scripts/quickstart.sh, or cmake -B build && cmake --build build" >&2; exit 1; }
touch "$lines"
before=$(wc -l < "$lines")
began=$(date +%s)

# A script of this folder, for as long as is left.  Rows are written as they are measured.
measure() {
    script=$1
    shift
    set -- "$python" "scripts/$script" --program build/diopter --json "$lines" --skip-measured --rows "$rows" "$@"
    if [ -z "$minutes" ]; then
        "$@"
        return
    fi
    left=$((began + minutes * 60 - $(date +%s)))
    status=124
    if [ "$left" -gt 0 ]; then
        status=0
        timeout "$left" "$@" || status=$?
    fi
    if [ "$status" = 124 ]; then echo "bench.sh: the $minutes minutes are over in $script; run again to go on" >&2
    elif [ "$status" != 0 ]; then exit "$status"
    fi
}

shared=${DIOPTER_SHARED:-../shared}
measure compare_limits.py --shared "$shared"
measure compare_kernels.py
measure compare_peers.py
measure compare_jobs.py --shared "$shared" --tutorial-epochs 5
if [ -n "$rows$minutes" ] && [ "$before" = "$(wc -l < "$lines")" ]; then
    echo "bench.sh: nothing was measured: no row has such a name, all of them stand in $lines already, or the time was too short" >&2
    exit 1
fi
"$python" scripts/bench_report.py --program build/diopter --lines "$lines" --out "$page"
echo "$page.md and $page.svg are written"
