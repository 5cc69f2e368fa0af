#!/bin/sh
# Each public header compiles alone, as C and as C++.
set -eu
include=$1/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for header in "$include"/diopter/*.h; do
    name=$(basename "$header")
    printf '#include <diopter/%s>\nint main(void) { return 0; }\n' "$name" >"$work/one.c"
    ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$include" -fsyntax-only "$work/one.c"
    if command -v c++ >/dev/null; then
        cp "$work/one.c" "$work/one.cc"
        c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$include" -fsyntax-only "$work/one.cc"
    else
        echo "skipped: $name as C++, no C++ compiler"
    fi
done
echo "every public header compiles alone"
