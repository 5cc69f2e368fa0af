#!/usr/bin/env python3
"""Holds the #include lines of src/ against scripts/layers.txt: a folder includes itself and what its line names.

Also: threads are those of base/threads.c, without OpenMP, the library neither prints nor ends the process, memory comes from
base/memory.h, and numbers and error texts do not depend on the locale.
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
allowed = {}
for line in (root / "scripts/layers.txt").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        folder, _, may = line.partition(":")
        allowed[folder.strip()] = set(may.split()) | {folder.strip()}

FORBIDDEN = re.compile(r"(?<![\w.>])(?:exit|_exit|abort|printf|puts|perror|vprintf)\s*\(|fprintf\s*\(\s*std(?:out|err)")
# Where a context exists, memory is counted and checked through it; api/ makes contexts and hands out blocks of its own.
ALLOCATES = re.compile(r"(?<![\w.>])(?:malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf)\s*\(")
LOCALE = re.compile(r"(?<![\w.>])(?:strerror|perror|atof|atoi|strtod|strtof|setlocale|localtime|isalpha|toupper|tolower)\s*\(")
MAY_ALLOCATE = {("base", "memory.c"), ("api", "context.c")}
MAY_USE_LOCALE = {("base", "number.c"), ("base", "status.c")}
problems = []
for path in sorted((root / "src").rglob("*.[ch]")):
    parts = path.relative_to(root / "src").parts
    folder = parts[0]
    if folder not in allowed:
        problems.append(f"{path.relative_to(root)}: folder {folder} is not in scripts/layers.txt")
        continue
    in_comment = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.relative_to(root)}:{number}"
        match = re.match(r'\s*#\s*include\s+["<]((?:[a-z0-9_]+)/[^">]+)[">]', line)
        if match:
            target = match.group(1).split("/")[0]
            if target in allowed and target not in allowed[folder]:
                problems.append(f"{where}: {folder}/ may not include {match.group(1)}")
            if target == "diopter" and folder not in ("api", "cli"):
                problems.append(f"{where}: only api/ and cli/ include the public headers")
        if re.match(r"\s*#\s*pragma\s+omp", line):
            problems.append(f"{where}: threads are those of base/threads.c")
        code = re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split("//")[0]
        if "/*" in code:
            code = code.split("/*")[0]
            in_comment = "*/" not in line
        elif in_comment:
            in_comment = "*/" not in line
            continue
        if folder != "cli" and FORBIDDEN.search(code):
            problems.append(f"{where}: the library does not print or end the process")
        if folder != "cli" and parts not in MAY_ALLOCATE and ALLOCATES.search(code):
            problems.append(f"{where}: memory comes from base/memory.h")
        if folder != "cli" and parts not in MAY_USE_LOCALE and LOCALE.search(code):
            problems.append(f"{where}: depends on the locale; base/str.h and dio_errno_text do not")
for problem in problems:
    print(problem)
print(f"{len(problems)} problems" if problems else "layers hold")
sys.exit(bool(problems))
