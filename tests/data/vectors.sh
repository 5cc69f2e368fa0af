#!/bin/sh
# The hostile manifests of the shared data, each to its verdict: vectors.sh CHECK_MANIFEST SOURCE
shared=${DIOPTER_SHARED:-$2/../shared}
if [ ! -x "$shared/robustness/run_vectors.sh" ]; then
    echo "skipped: $shared/robustness is not there (set DIOPTER_SHARED)"
    exit 77
fi
# A sanitizer reserves address space: the limit on it is for plain builds.
CMD_manifest_csv='{file}' VMEM_KB=unlimited TIME_FACTOR=10 exec "$shared/robustness/run_vectors.sh" "$1" --kind manifest_csv --strict
