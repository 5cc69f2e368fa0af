#!/bin/sh
# Builds base/, the portable kernels and the operators' arithmetic for aarch64 with Debian's cross compiler and runs their tests
# under qemu's user emulation.  The libraries of the rest (jpeg, png, yaml, ...) are not needed for that and are left out.
#
#   scripts/test_aarch64.sh [BUILD_FOLDER]
#
# Needs: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static.  Without them it says so and ends with 77,
# which the tests count as skipped.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source/build-aarch64}
compiler=aarch64-linux-gnu-gcc

for program in $compiler qemu-aarch64-static; do
  if ! command -v $program >/dev/null; then
    echo "skipped: $program is missing (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)"
    exit 77
  fi
done

mkdir -p "$build"
rm -f "$build"/*.o "$build"/check_*
flags="-std=c11 -D_GNU_SOURCE -DDIOPTER_VERSION=\"aarch64\" -g1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  -ffp-contract=off -fno-math-errno -I$source/src -I$source/tests"

# Two at a time; what did not compile is missed by the linker.
started=0
compile() {
  # shellcheck disable=SC2086
  $compiler $flags $3 -c "$1" -o "$build/$2_$(basename "$1" .c).o" &
  started=$((started + 1))
  if [ $((started % 2)) -eq 0 ]; then wait; fi
}
# hash.c is nettle's and blas/ needs dlopen: neither belongs to a static program that only computes.
for folder in base tensor kernels kernels/portable kernels/ref ops; do
  for file in "$source/src/$folder"/*.c; do
    if [ "$(basename "$file")" != hash.c ]; then compile "$file" "$(echo $folder | tr / _)" -O3; fi
  done
done
# The two programs without a test library; gcc 12 breaks down over their loops at -O3.
for file in "$source"/tests/kernels/check_*.c "$source"/tests/kernels/bench.c "$source"/tests/kernels/fenced.c; do
  compile "$file" check_kernels -O1
done
for name in check_ops harness golden_file; do
  compile "$source/tests/ops/$name.c" check_ops -O1
done
wait

failed=0
for program in kernels ops; do
  # shellcheck disable=SC2046
  $compiler -static -pthread "$build/check_$program"_*.o $(ls "$build"/*.o | grep -v /check_) -lm -o "$build/check_$program" 2>"$build/link.txt" || { cat "$build/link.txt"; exit 1; }
  machine=$(head -c 20 "$build/check_$program" | od -An -tx1 -j18 -N2 | tr -d ' ')
  [ "$machine" = b700 ] || { echo "check_$program is not an aarch64 program (machine $machine)"; exit 1; }
  echo "check_$program, aarch64, $(qemu-aarch64-static --version | head -1):"
  DIOPTER_TESTS="$source/tests" qemu-aarch64-static "$build/check_$program" || failed=1
done
exit $failed
