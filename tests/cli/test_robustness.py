"""Hostile and odd files: every verdict as in the collection's manifest, no crash, no hang, one line for a refusal."""
import os
import shutil
import subprocess
import sys

from support import MODEL, PROGRAM, SANITIZED, SHARED, Workplace, skip

tool = SHARED / "robustness" / "run_vectors.sh"
if not tool.exists():
    skip("no collection of hostile files (DIOPTER_SHARED/robustness)")
if not MODEL.exists():
    skip("no bundled model")
environment = dict(os.environ)
if SANITIZED:
    environment.update(VMEM_KB="unlimited", TIME_FACTOR="10", TIMEOUT="60", RSS_FACTOR="0")
kinds = ["safetensors", "pth", "manifest_csv", "recipe_yaml", "pictures"]
with Workplace() as work:
    # Unpacked by tar: the Python of Debian 12 is older than the filters that the collection's own script asks tarfile for.
    subprocess.run(["tar", "-xJf", SHARED / "robustness" / "vectors.tar.xz", "-C", work], check=True)
    shutil.copy(SHARED / "robustness" / "MANIFEST.csv", work)
    command = ["bash", tool, PROGRAM, MODEL, "--strict", "--dir", work]
    for kind in kinds:
        command += ["--kind", kind]
    code = subprocess.run(command, env=environment).returncode
sys.exit(code)
