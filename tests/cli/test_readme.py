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
    for name in ("samples", "scripts"):
        (work / name).symlink_to(SOURCE / name)
    shutil.copytree(SOURCE / "configs", work / "configs")  # their paths are relative to them
    subprocess.run([BUILD / "make_tiles", "tiles", "20"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    (work / "xrays").mkdir()
    for kind, name in (("forest", "normal"), ("houses", "pneumonia")):
        for part in ("train", "test"):
            shutil.copytree(work / "tiles" / part / kind, work / "xrays" / part / name)
    (work / "models").mkdir()
    fetched = SOURCE / "models" / "efficientnet-lite0.pth"
    # Stands in for the download: the commands are what is tested here, not the weights.
    shutil.copy(fetched if fetched.exists() else MODEL, work / "models" / "efficientnet-lite0.pth")
    shutil.copytree(work / "tiles", work / "quickstart" / "tiles")
    shutil.copytree(work / "tiles", work / "photos")
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
            if "arch:resnet50" in line or "resume" in line:
                continue  # the first is slow, the other has tests of its own
            if "-o run1" in line:
                shutil.rmtree(work / "run1", ignore_errors=True)
            for made in ("predictions.csv", "predictions.jsonl", "model.pth", "model.safetensors"):
                (work / made).unlink(missing_ok=True)
            result = subprocess.run(line.replace("diopter", "build/diopter", 1), shell=True, cwd=work, capture_output=True,
                                    text=True, stdin=subprocess.DEVNULL, timeout=600)
            check.that(result.returncode == 0, f"example of {verb} --help: {line}", f"exit {result.returncode}: {result.stderr[-500:]}")
    # Every recipe is a whole run, and looks at pictures without its weights.
    for name in ("tiles", "photographs", "xrays"):
        result = subprocess.run([PROGRAM, "train", "--recipe", f"configs/{name}.yaml", "--epochs", "2", "-o", f"whole-{name}"],
                                cwd=work, capture_output=True, text=True, timeout=600)
        check.that(result.returncode == 0 and (work / f"whole-{name}" / "report.html").exists(), f"configs/{name}.yaml is a whole run",
                   result.stderr[-500:])
    (work / "models" / "efficientnet-lite0.pth").unlink()
    (work / "pictures.yaml").write_text("seed: 1\n")
    looks = (
        (["--recipe", "configs/xrays.yaml", "xrays"], 0, "no such file or folder; train would refuse"),
        (["--recipe", "configs/xrays.yaml"], 3, "no such file or folder"),
        (["--recipe", "pictures.yaml", "xrays"], 0, "model: none is named"),
        (["--recipe", "pictures.yaml", "--data", "xrays"], 0, "model: none is named"),
        (["--recipe", "pictures.yaml"], 3, "model is missing"),
        (["--recipe", "configs/xrays.yaml", "--model", "samples/tiles_base.safetensors"], 0, "model: resnet20_cifar"),
        (["--model", "samples/tiles_base.safetensors", "xrays"], 0, "model: resnet20_cifar"),
        (["--model", "no/such.pth", "xrays"], 4, "no/such.pth"),
    )
    for arguments, code, says in looks:
        result = subprocess.run([PROGRAM, "check", *arguments], cwd=work, capture_output=True, text=True, timeout=600)
        said = result.stdout + result.stderr
        check.that(result.returncode == code and says in said, f"check {' '.join(arguments)}", f"exit {result.returncode}: {said[-500:]}")
check.end()
