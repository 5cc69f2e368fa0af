"""The main job as a person does it: train, evaluate, predict, export; interrupted, killed, resumed; the same bits every time."""
import csv
import hashlib
import json
import re
import os
import random
import shutil
import signal
import subprocess
import time

from support import BUILD, MODEL, PROGRAM, SANITIZED, Checks, Workplace, run, skip

if not MODEL.exists():
    skip("no bundled model")
check = Checks()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder):
    """Digest of each file of a run that equal runs have equal."""
    return {str(p.relative_to(folder)): digest(p) for p in sorted(folder.rglob("*"))
            if p.is_file() and p.name not in ("log.txt",) and ".lock" not in p.name}


with Workplace() as work:
    subprocess.run([BUILD / "make_tiles", work / "tiles", "20"], check=True, stdout=subprocess.DEVNULL)
    tiles = work / "tiles"

    # Head only; every file equal whatever the number of threads.
    trees = {}
    for threads in (1, 2) if SANITIZED else (1, 2, 3, 7):
        out = work / f"head{threads}" / "run"
        out.parent.mkdir()
        check.exits(0, "train", MODEL, tiles, "-o", out, "--epochs", 5, "--threads", threads, "--seed", 3)
        trees[threads] = tree(out)
    check.that(all(t == trees[1] for t in trees.values()), "equal runs with other thread counts give equal files",
               {k: [n for n in t if t[n] != trees[1].get(n)] for k, t in trees.items()})
    run1 = work / "head1" / "run"
    for name in ("model.safetensors", "metrics.jsonl", "recipe.yaml", "log.txt", "report.html"):
        check.that((run1 / name).exists(), f"the run has {name}")
    report = (run1 / "report.html").read_text()
    check.that("http://" not in report.replace("http://www.w3.org", "") and "https://" not in report, "the report needs no network")
    check.that(str(work) not in "".join(p.read_text(errors="replace") for p in run1.iterdir()
                                        if p.is_file() and p.name != "log.txt"), "absolute paths stand in log.txt alone")
    check.exits(2, "train", MODEL, tiles, "-o", run1, says="exists", lines=1)
    info = run("info", run1)
    check.that(info.returncode == 0 and "frozen" in info.stdout, "info shows the freeze receipt", info.stdout)

    # Full fine-tuning: killed and interrupted at random moments, resumed to the same bits.
    settings = ["--freeze", "none", "--epochs", 4, "--batch-size", 16, "--seed", 5, "--augment-flip", "true"]
    whole = work / "whole" / "run"
    whole.parent.mkdir()
    started = time.monotonic()
    check.exits(0, "train", MODEL, tiles, "-o", whole, *settings)
    took = time.monotonic() - started
    dice = random.Random(7)
    for round_ in range(2 if SANITIZED else 5):
        broken = work / f"broken{round_}" / "run"
        broken.parent.mkdir()
        number = signal.SIGINT if round_ == 1 else signal.SIGKILL
        child = subprocess.Popen([PROGRAM, "train", MODEL, tiles, "-o", broken, *map(str, settings)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        moment = took * (0.4 if number == signal.SIGINT else dice.uniform(0.1, 0.95))
        time.sleep(moment)
        child.send_signal(number)
        said = child.communicate(timeout=300)[1]
        if number == signal.SIGINT and child.returncode != 0:
            check.that(child.returncode == -signal.SIGINT, "Ctrl-C ends by SIGINT", child.returncode)
            check.that("--resume" in said, "Ctrl-C says how to go on", said[-300:])
        # Killed before there was a run to resume: one starts again.
        result = run("train", "--resume", broken)
        if result.returncode != 0:
            shutil.rmtree(broken, ignore_errors=True)
            result = run("train", MODEL, tiles, "-o", broken, *settings)
        check.that(result.returncode == 0, f"resumed after {number.name} at {moment:.1f} s", result.stderr[-400:])
        check.that(digest(broken / "model.safetensors") == digest(whole / "model.safetensors"),
                   f"the same bits after {number.name} at {moment:.1f} s of {took:.1f} s")
    check.exits(0, "train", "--resume", whole)

    # Evaluation.
    result = check.exits(0, "eval", run1, tiles, "--json", "--plot", work / "plot.svg")
    judged = json.loads(result.stdout)
    check.that(all(k in judged for k in ("top1", "n", "skipped", "classes", "per_class", "confusion")), "eval --json has its keys",
               list(judged))
    low, high = re.search(r"balanced accuracy +[0-9.]+ +95 % interval ([0-9.]+) to ([0-9.]+)", run("eval", run1, tiles).stdout).groups()
    check.that(f"95&#8239;%: {100 * float(low):.1f} % to {100 * float(high):.1f} %" in report, "report and eval give one interval", (low, high))
    described = json.loads(run("info", "--json", run1).stdout)
    check.that("0 changed" in described["receipt"] and "base_source" in described["provenance"], "info --json has receipt and provenance",
               described["provenance"])
    check.that(judged["n"] == 24 and sum(map(sum, judged["confusion"])) == 24, "eval judges the test split", judged["n"])
    check.that(judged["top1"] > 0.5, "the head has learned", judged["top1"])
    check.that((work / "plot.svg").read_text().lstrip().startswith("<"), "eval --plot")

    # Prediction.
    pictures = tiles / "test"
    table = work / "p.csv"
    check.exits(0, "predict", run1, pictures, "-o", table, "--top", 2, "--scores", "probs")
    rows = list(csv.DictReader(table.open()))
    check.that(len(rows) == 24 and list(rows[0])[:6] == ["path", "label", "score", "label_2", "score_2", "error"], "CSV columns",
               list(rows[0]))
    check.that([r["path"] for r in rows] == sorted(r["path"] for r in rows), "sorted")
    check.exits(2, "predict", run1, pictures, "-o", table, says="exists", lines=1)
    check.exits(0, "predict", run1, pictures, "-o", table, "--overwrite")
    lines = work / "p.jsonl"
    check.exits(0, "predict", run1, pictures, "-o", lines, "--scores", "logits", "--top", 3)
    first = json.loads(lines.read_text().splitlines()[0])
    check.that(list(first) == ["path", "label", "score", "top", "scores"] and len(first["scores"]) == 6 and len(first["top"]) == 3,
               "JSON line", first)
    check.that(run("predict", run1, pictures).stdout.startswith("path,label,score"), "CSV on standard output")
    mixed = work / "mixed"
    shutil.copytree(pictures, mixed)
    (mixed / "broken.png").write_bytes((next(pictures.rglob("*.png"))).read_bytes()[:200])
    (mixed / "empty.jpg").write_bytes(b"")
    out = work / "mixed.csv"
    check.exits(1, "predict", run1, mixed, "-o", out, says="broken.png")
    rows = {os.path.basename(r["path"]): r for r in csv.DictReader(out.open())}
    check.that(rows["broken.png"]["error"] and not rows["broken.png"]["label"], "a broken picture's row", rows["broken.png"])
    lonely = work / "lonely"
    lonely.mkdir()
    (lonely / "a.png").write_bytes(b"\x89PNG")
    check.exits(3, "predict", run1, lonely, "-o", work / "none.csv")
    check.that(not (work / "none.csv").exists(), "no output when no picture could be read")

    done = check.exits(0, "train", "--resume", run1)
    check.that("epochs are done" in done.stdout, "a finished run is said to be done", done.stdout)

    # Export.
    for name, more in (("m.pth", []), ("m.safetensors", ["--precision", "f16"]), ("folder", [])):
        check.exits(0, "export", run1, "-o", work / name, *more)
        check.exits(2, "export", run1, "-o", work / name, *more, says="exists", lines=1)
    again = run("predict", work / "m.pth", pictures, "--arch", json.loads(run("info", "--json", run1).stdout)["architecture"])
    check.that(again.returncode == 0, "the exported .pth loads", again.stderr)

    # Recipes.
    recipe = work / "r.yaml"
    recipe.write_text(f"model: {MODEL}\ndata: tiles\nepochs: 3\nseed: 2\n")
    check.exits(0, "check", "--recipe", recipe)
    nodata = work / "nodata.yaml"
    nodata.write_text(f"model: {MODEL}\ndata: missing\n")
    check.exits(3, "train", "--recipe", nodata, cwd=lonely)
    check.that(not (work / "runs").exists(), "no runs/ before the data were looked at")
    for n in (1, 2):
        check.exits(0, "train", "--recipe", "../r.yaml", cwd=lonely)
        made = sorted(p.name for p in (work / "runs").glob("*")) if (work / "runs").exists() else []
        check.that(made == [f"r-{i}" for i in range(1, n + 1)], "a recipe alone makes runs/<recipe>-N beside it", made)
    check.that(not (lonely / "runs").exists(), "and not where the program was started")
    check.exits(0, "check", tiles)

    # Bench: what it times is in its JSON, and the model is left as it was.
    timed = json.loads(check.exits(0, "bench", MODEL, "--batch-size", "2", "--train-step", "--pictures", pictures, "--json").stdout)
    count = sum(1 for path in pictures.rglob("*") if path.is_file())
    check.that(timed["pictures"]["count"] == timed["pictures"]["good"] == count, "bench reads the folder", timed["pictures"])
    step = timed["training_step"]
    check.that(0 < step["forward"] < step["seconds"] and 0 < step["backward"] < step["seconds"], "a training step has its parts", step)
    kinds = {kind["op"]: kind for kind in step["kinds"]}
    check.that(kinds["conv"]["forward"] > 0 and kinds["conv"]["backward"] > 0, "and says where they go", step)
    check.exits(0, "bench", "arch:resnet20_cifar", "--train-step", "--batch-size", "2", "--quiet")
    check.exits(2, "bench", "--train-step", says="needs a model", lines=1)
    check.exits(4, "bench", "--pictures", lonely / "missing", lines=1)
check.end()
