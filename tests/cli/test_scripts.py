"""The comparing scripts: what stops one is said in a line, never by a traceback."""
import json
import os
import subprocess
import sys

from support import SOURCE, Checks, Workplace

check = Checks()


def stops(name, *args, says, cwd=None):
    """Without modules that came with no Python."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-S", SOURCE / "scripts" / f"compare_{name}.py", *map(str, args)]
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    lines = done.stderr.splitlines()
    check.that(done.returncode == 1 and len(lines) == 1 and says in lines[0], f"{name} {args}: {says}", done.stderr[-600:])


with Workplace() as work:
    for name in ["jobs", "limits", "pytorch"]:
        stops(name, "--shared", work / "nowhere", says="No such file or directory")
    for name in ["kernels", "peers", "jobs", "limits"]:
        stops(name, "--json", work / "nowhere" / "rows", says="rows: No such file or directory")
        (work / "cut").write_text(json.dumps({"row": "x"}) + "\n{")
        stops(name, "--json", work / "cut", "--skip-measured", says="not JSON")
    stops("kernels", "--program", work / "nowhere", says="nowhere: No such file or directory")
    stops("precision", work / "nowhere", "a", "b", says="nowhere: No such file or directory")
    stops("precision", "false", "a", "b", says="ended with 1")
    for name, args in [("logits", []), ("tuned", ["run", "folder"])]:
        stops(name, *args, says="needs the Python module")
    (work / "shared" / "data").mkdir(parents=True)
    (work / "shared" / "data" / "hymenoptera_sub.tar").write_text("no archive")
    stops("limits", "--shared", work / "shared", says="not a tar archive")
check.end()
