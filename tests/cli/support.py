"""Running the program and looking at what it says; shared by the tests of the command line."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.environ.get("DIOPTER_BINARY", "build/diopter")
SOURCE = pathlib.Path(os.environ.get("DIOPTER_SOURCE", ".")).resolve()
BUILD = pathlib.Path(os.environ.get("DIOPTER_BUILD", SOURCE / "build"))
SHARED = pathlib.Path(os.environ.get("DIOPTER_SHARED", SOURCE.parent / "shared"))
SANITIZED = os.environ.get("DIOPTER_SANITIZED", "OFF") not in ("OFF", "")
MODEL = SOURCE / "samples" / "tiles_base.safetensors"


def run(*args, cwd=None, env=None, **more):
    """Runs the program; result has returncode, stdout, stderr (text)."""
    full = dict(os.environ)
    full.pop("DIOPTER_CPU", None)
    full.update(env or {})
    return subprocess.run([PROGRAM, *map(str, args)], cwd=cwd, env=full, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="surrogateescape", timeout=900, **more)


class Checks:
    """Counts, and prints what failed; ends with the line that test runners read."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, good, what, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}\n    {detail}", flush=True)

    def exits(self, code, *args, says=None, lines=None, **more):
        """The program ends with `code`; stderr holds every text of `says`, and has `lines` lines."""
        result = run(*args, **more)
        name = " ".join(map(str, args))
        detail = f"exit {result.returncode}, stdout {result.stdout[-300:]!r}, stderr {result.stderr[-600:]!r}"
        self.that(result.returncode == code, f"exit {code}: {name}", detail)
        for text in [says] if isinstance(says, str) else says or []:
            self.that(text in result.stderr, f"says {text!r}: {name}", detail)
        if lines is not None:
            count = len([line for line in result.stderr.split("\n") if line])
            self.that(count == lines, f"{lines} lines on stderr: {name}", detail)
        return result

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


class Workplace:
    """A folder that goes away."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="diopter-test-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)
