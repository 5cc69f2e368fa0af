#!/bin/sh
# Measures everything that the README's performance section shows and writes docs/performance.md and docs/performance.svg.
#
#   scripts/bench.sh [PYTHON]       PYTHON has torch, torchvision, timm, onnx, onnxruntime, safetensors, pillow (default: python3)
#
# Takes about an hour on two cores; leave the machine alone meanwhile.  Figures already measured are kept in
# build/performance.jsonl: remove a line to measure its row again.  DIOPTER_SHARED: models and pictures (default ../shared).
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
shared=${DIOPTER_SHARED:-../shared}
lines=build/performance.jsonl
test -x build/diopter || { echo "bench.sh: build first: scripts/quickstart.sh, or cmake -B build && cmake --build build" >&2; exit 1; }
touch "$lines"
"$python" scripts/compare_peers.py --program build/diopter --json "$lines" --skip-measured
"$python" scripts/compare_jobs.py --program build/diopter --shared "$shared" --json "$lines" --skip-measured
"$python" scripts/bench_report.py --program build/diopter --lines "$lines" --out docs/performance
echo "docs/performance.md and docs/performance.svg are written"
