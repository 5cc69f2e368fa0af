"""Options that several verbs share do in each of them what --help says."""
import csv
import json
import shutil
import subprocess

from support import BUILD, MODEL, Checks, Workplace, skip

if not MODEL.exists():
    skip("no bundled model")
check = Checks()

with Workplace() as work:
    subprocess.run([BUILD / "make_tiles", work / "tiles", "10"], check=True, stdout=subprocess.DEVNULL)
    flat = work / "flat"
    for kind in ("forest", "houses"):
        shutil.copytree(work / "tiles" / "train" / kind, flat / kind)
    run1 = work / "run 1"
    result = check.exits(0, "train", MODEL, flat, "-o", run1, "--epochs", 2, "--val-share", 0.3, "--seed", 4, "--json")
    check.that(json.loads(result.stdout)["run"] == str(run1), "train --json is JSON", result.stdout)

    # Data without a val: what train cut off, by the same share and seed.
    def judged(*more):
        return json.loads(check.exits(0, "eval", run1, flat, "--json", *more).stdout)["n"]

    everything = judged()
    cut = judged("--split", "val", "--val-share", 0.3, "--seed", 4)
    check.that(0 < cut < everything, "eval --split val judges a part", (cut, everything))
    check.exits(3, "eval", run1, flat, "--split", "test", says="no split test")

    # A cut picture: bad, or filled up where that is allowed.
    first, second = sorted((flat / "forest").iterdir())[:2]
    second.write_bytes(second.read_bytes()[:second.stat().st_size * 2 // 3])
    rows = list(csv.DictReader(check.exits(1, "predict", run1, flat / "forest", says="truncated").stdout.splitlines()))
    check.that("truncated" in rows[1]["error"] and not rows[1]["label"], "a cut picture is bad", rows[1])
    rows = list(csv.DictReader(check.exits(0, "predict", run1, flat / "forest", "--allow-damaged").stdout.splitlines()))
    check.that(rows[1]["label"] and not rows[1]["error"], "--allow-damaged fills it", rows[1])
    check.exits(1, "check", flat, "--max-bad", 0.5)
    check.exits(0, "check", flat, "--allow-damaged")
    result = json.loads(check.exits(1, "check", flat, "--max-bad", 0.5, "--json").stdout)
    check.that(result["exit"] == 1 and "would skip 1" in result["report"], "check --json", result)
    cache = work / "cache"
    check.exits(0, "train", MODEL, flat, "-o", work / "filled", "--epochs", 1, "--cache", cache, "--allow-damaged")
    check.exits(1, "train", MODEL, flat, "-o", work / "skipped", "--epochs", 1, "--cache", cache, "--max-bad", 0.5,
                says="truncated")

    # Threads of a recipe, under those of the command line; the bits are the same.
    (work / "threads.yaml").write_text(f"model: {MODEL}\ndata: tiles\nepochs: 1\nthreads: 3\n")
    for run_, more, threads in (("r3", (), 3), ("r2", ("--threads", 2), 2)):
        check.exits(0, "train", "--recipe", work / "threads.yaml", "-o", work / run_, *more)
        check.that(f", {threads} threads" in (work / run_ / "log.txt").read_text(), f"{threads} threads", more)
    check.that((work / "r3" / "model.safetensors").read_bytes() == (work / "r2" / "model.safetensors").read_bytes(), "the same bits")

    # Lines of JSON or of CSV, whatever the name.
    lines = check.exits(0, "predict", run1, first, "--json").stdout.splitlines()
    check.that(len(lines) == 1 and json.loads(lines[0])["path"] == str(first), "predict --json writes JSON lines", lines)
    check.exits(0, "predict", run1, first, "-o", work / "out.txt", "--format", "jsonl")
    check.that(json.loads((work / "out.txt").read_text())["top"][0]["label"], "--format says what a name does not")
# info --plan tells the ways that the steps take, and keeps to --exact, --precision and --cpu.
def plan_of(*more):
    return json.loads(check.exits(0, "info", "arch:resnet18", "--plan", "--json", *more).stdout)["plan"]


fast, exact, portable = plan_of("--batch-size", 3), plan_of("--exact"), plan_of("--cpu", "portable", "--precision", "bf16")
check.that(fast["batch"] == 3 and fast["memory"]["total"] >= fast["memory"]["weights"] > 40e6, "info --plan: memory", fast["memory"])
check.that([step["path"] for step in exact["steps"] if step["op"] == "conv"].count("direct") >= 16, "info --plan --exact has no Winograd", exact["steps"])
check.that({step["path"] for step in fast["steps"] if step["name"] == "conv1"} == {"few channels"}, "info --plan: the first layer", fast["steps"][0])
check.that(portable["level"] == "portable" and portable["steps"][0]["precision"] == "bf16", "info --plan --cpu portable", portable["level"])
text = check.exits(0, "info", MODEL, "--plan", "--precision", "int8").stdout
check.that("memory" in text and " int8 " in text and "image by image" in text, "info --plan as a table", text)

check.end()
