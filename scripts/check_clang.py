#!/usr/bin/env python3
"""Holds every source that gcc compiles against clang's warnings, as errors; nothing is written.

    scripts/check_clang.py BUILD      BUILD has a compile_commands.json

Exit code 1 with clang's messages when a file fails, 77 when there is no clang."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys


def command(entry):
    """The compiler's words without the compiler and what it writes."""
    words = shlex.split(entry["command"])
    words = words[next(i for i, word in enumerate(words) if os.path.basename(word).split("-")[0] in ("cc", "gcc", "c99")) + 1:]
    out = []
    skip = False
    for word in words:
        if not skip and word not in ("-c", "-o"):
            out.append(word)
        skip = word == "-o"
    return out


def check(entry):
    # Without OpenMP, whose header is a package of its own with clang: this sees the code for compilers that lack it.
    words = ["clang", "-fsyntax-only", "-Werror", "-Wno-unknown-warning-option", "-Wno-ignored-optimization-argument"]
    done = subprocess.run(words + command(entry) + ["-fno-openmp"], cwd=entry["directory"], capture_output=True, text=True)
    return done.returncode, done.stderr


def main():
    if not shutil.which("clang"):
        print("skipped: no clang on this machine")
        sys.exit(77)
    entries = json.loads(pathlib.Path(sys.argv[1], "compile_commands.json").read_text())
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for code, text in pool.map(check, entries):
            failed += code != 0
            if code:
                print(text, file=sys.stderr)
    print(f"{len(entries)} compilations, {failed} that clang does not take")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
