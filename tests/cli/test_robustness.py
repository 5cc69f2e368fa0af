"""Hostile and odd files: every verdict as in the collection's manifest, no crash, no hang, one line for a refusal."""
import os
import subprocess
import sys

from support import BUILD, MODEL, PROGRAM, SANITIZED, SHARED, skip

tool = SHARED / "robustness" / "run_vectors.sh"
if not tool.exists():
    skip("no collection of hostile files (DIOPTER_SHARED/robustness)")
if not MODEL.exists():
    skip("no bundled model")
environment = dict(os.environ)
if SANITIZED:
    environment.update(VMEM_KB="unlimited", TIME_FACTOR="10", TIMEOUT="60", RSS_FACTOR="0")
kinds = ["safetensors", "pth", "manifest_csv", "recipe_yaml", "pictures"]
command = ["bash", tool, PROGRAM, MODEL, "--strict"]
for kind in kinds:
    command += ["--kind", kind]
sys.exit(subprocess.run(command, env=environment).returncode)
