"""Every command in the README is run, in its order; those that need a network are skipped by name.

The README's own set-up commands build and test the project, which is what is going on already: they are named and left out.
The folder `xrays` of the README is made of sample tiles, and the weights are the bundled ones when the fetched are not there.
"""
import os
import re
import shutil
import subprocess

from support import BUILD, MODEL, PROGRAM, SANITIZED, SOURCE, Checks, Workplace, skip

SETUP = ("scripts/quickstart.sh", "scripts/test.sh")

if SANITIZED:
    skip("README commands under sanitizers: too slow, the plain build runs them")
if not MODEL.exists():
    skip("no bundled model")
check = Checks()


def commands():
    text = (SOURCE / "README.md").read_text()
    for before, block in re.findall(r"(<!-- network -->\n)?```sh\n(.*?)```", text, re.S):
        for line in block.splitlines():
            if line.strip():
                yield line, bool(before)


with Workplace() as work:
    (work / "build").mkdir()
    (work / "build" / "diopter").symlink_to(os.path.abspath(PROGRAM))
    for name in ("samples", "configs", "scripts"):
        (work / name).symlink_to(SOURCE / name)
    subprocess.run([BUILD / "make_tiles", "tiles", "20"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    (work / "xrays").mkdir()
    for kind, name in (("forest", "normal"), ("houses", "pneumonia")):
        for part in ("train", "test"):
            shutil.copytree(work / "tiles" / part / kind, work / "xrays" / part / name)
    (work / "models").mkdir()
    fetched = SOURCE / "models" / "efficientnet-lite0.pth"
    # Stands in for the download: the commands are what is tested here, not the weights.
    shutil.copy(fetched if fetched.exists() else MODEL, work / "models" / "efficientnet-lite0.pth")
    ran = 0
    for line, network in commands():
        if line in SETUP:
            print(f"not repeated here: {line}")
            continue
        if network:
            print(f"skipped, needs a network: {line}")
            continue
        result = subprocess.run(line, shell=True, cwd=work, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        check.that(result.returncode == 0, line, f"exit {result.returncode}: {result.stderr[-500:]}")
        ran += 1
    check.that(ran >= 8, "the README has commands", ran)
    check.that((work / "run1" / "report.html").exists(), "run1/report.html")
    # Examples of --help.
    for verb in ("info", "train", "eval", "predict", "export", "check", "system", "bench"):
        text = subprocess.run([PROGRAM, verb, "--help"], capture_output=True, text=True).stdout
        examples = [line.strip() for line in text.split("Examples\n")[1].splitlines() if line.strip()]
        for line in examples:
            if "arch:resnet50" in line or "resume" in line or "--recipe" in line:
                continue  # the first is slow, the others have tests of their own
            if verb == "train":
                shutil.rmtree(work / "run1", ignore_errors=True)
            for made in ("predictions.csv", "predictions.jsonl", "model.pth", "model.safetensors"):
                (work / made).unlink(missing_ok=True)
            result = subprocess.run(line.replace("diopter", "build/diopter", 1), shell=True, cwd=work, capture_output=True,
                                    text=True, stdin=subprocess.DEVNULL, timeout=600)
            check.that(result.returncode == 0, f"example of {verb} --help: {line}", f"exit {result.returncode}: {result.stderr[-500:]}")
check.end()
