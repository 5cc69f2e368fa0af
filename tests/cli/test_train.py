"""A training run from the outside: refusals leave nothing, recipes give the same run, a moved run goes on, readers may leave."""
import os
import re
import shutil
import signal
import subprocess
import time

from support import BUILD, MODEL, PROGRAM, Checks, Workplace, run

check = Checks()


def recipe(path, **keys):
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return path


def interrupted(run_folder, *args, cwd):
    """Starts a run, waits for its first epoch, and stops it."""
    process = subprocess.Popen([PROGRAM, "train", *map(str, args), "-o", run_folder, "--quiet"], cwd=cwd, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    log = cwd / run_folder / "log.txt"
    for _ in range(1200):
        if log.exists() and "search epoch" in log.read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=300)


with Workplace() as place:
    tiles = place / "tiles"
    subprocess.run([BUILD / "make_tiles", tiles, "6"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    quick = ["--epochs", "2", "--quiet"]

    # A run that is refused before its first step leaves no folder behind; one that was there stays, without the run.
    bad = place / "bad"
    shutil.copytree(tiles, bad)
    sorted(bad.rglob("*.png"))[0].write_text("no picture")
    check.exits(3, "train", MODEL, bad, "-o", place / "refused", *quick, says="more than --max-bad", lines=1)
    check.that(not (place / "refused").exists(), "--max-bad leaves no run folder")
    (place / "empty").mkdir()
    check.exits(3, "train", MODEL, bad, "-o", place / "empty", *quick, "--bad", "stop", says="--bad stop", lines=1)
    left = sorted(p.name for p in (place / "empty").iterdir())
    check.that(left in ([], [".lock"]), "a folder that was there is left empty", left)
    by_name = recipe(place / "named.yaml", model=MODEL, data=bad, epochs=1)
    check.exits(3, "train", "--recipe", by_name, "--quiet")
    check.that(not (place / "runs").exists(), "nor a folder `runs`")

    # What only the model can judge is told with the recipe's line.
    check.exits(3, "train", "--recipe", recipe(place / "a.yaml", model=MODEL, data=tiles, arch="resnet99"), "-o", place / "x",
                says=["a.yaml: line 3: arch", "resnet99"], lines=1)
    check.exits(3, "train", "--recipe", recipe(place / "b.yaml", model="arch:resnet99", data=tiles), "-o", place / "x",
                says="b.yaml: line 1: model", lines=1)
    check.exits(3, "train", "--recipe", recipe(place / "c.yaml", model=MODEL, data=tiles, freeze="stage:99"), "-o", place / "x",
                says="c.yaml: line 3: freeze", lines=1)
    check.exits(3, "train", "--recipe", recipe(place / "d.yaml", model=MODEL, data=tiles, freeze="none", train_only="linear*"),
                "-o", place / "x", says="d.yaml: line 4: freeze and train_only exclude each other", lines=1)
    check.exits(2, "train", MODEL, tiles, "-o", place / "x", "--freeze", "none", "--train-only", "linear*",
                says="--freeze and --train-only exclude each other", lines=1)
    check.that(not (place / "x").exists(), "none of them made a folder")

    # The resolved recipe is the run: every long option is a key, numbers are numbers to YAML 1.1, the bits are the same.
    first, second = place / "first", place / "second"
    check.exits(0, "train", MODEL, tiles, "-o", first, *quick, "--lr", "1e-5", "--lr-min", "1e-7", "--mean", "0.1,1e-5,0.3",
                "--cpu", "portable", "--linear", "own", "--max-pixels", "5000000", "--views", "2", "--augment-flip", "0.5")
    text = (first / "recipe.yaml").read_text()
    for line in ["lr: 1.0e-05", "lr_min: 1.0e-07", "mean: [0.1, 1.0e-05, 0.3]", "cpu: portable", "linear: own", "max_pixels: 5000000"]:
        check.that(line in text.replace(",", ", ").replace(",  ", ", "), f"the resolved recipe has {line}", text)
    check.exits(0, "train", "--recipe", first / "recipe.yaml", "-o", second, "--quiet")
    for name in ["model.safetensors", "recipe.yaml", "metrics.jsonl", "report.html"]:
        check.that((first / name).read_bytes() == (second / name).read_bytes(), f"a run from the resolved recipe has the same {name}")
    only = place / "only"
    check.exits(0, "train", MODEL, tiles, "-o", only, *quick, "--train-only", "linear.*")
    check.that("freeze:" not in (only / "recipe.yaml").read_text(), "train_only stands without freeze")
    check.exits(0, "train", "--recipe", only / "recipe.yaml", "-o", place / "only-again", "--quiet")
    check.exits(0, "train", "--recipe", only / "recipe.yaml", "--freeze", "none", "-o", place / "whole", "--quiet")
    shown = run("train", "--help").stdout
    command_only = {"output", "recipe", "resume", "overwrite", "new-data", "new-recipe", "weights-only", "json", "quiet", "help"}
    for option in sorted(set(re.findall(r"^  (?:-\w, )?--([a-z0-9-]+)", shown, re.M)) - command_only):
        key = option.replace("-", "_")
        body = f"augment:\n  {key[8:]}: [\n" if key.startswith("augment_") else f"{key}:\n"
        (place / "key.yaml").write_text(body)
        result = run("train", "--recipe", place / "key.yaml", "-o", place / "x")
        check.that("unknown key" not in result.stderr, f"--{option} is a key of recipes", result.stderr)

    # Where the tuned model comes from; what is frozen and random.
    facts = check.exits(0, "info", first).stdout
    for fact in [r"^source +tiles_base\.safetensors$", r"^source_sha256 +[0-9a-f]{64}$", r"^base_source +trained from scratch$"]:
        check.that(re.search(fact, facts, re.M), f"info names {fact}", facts)
    check.exits(0, "train", "arch:resnet20_cifar", tiles, "-o", place / "random", "--freeze", "backbone", "--epochs", "1",
                says="random weights, which nothing has trained")

    # A cache that is none is refused at once.
    (place / "file").write_text("")
    os.mkfifo(place / "fifo")
    for wrong in ["file", "fifo", "file/below"]:
        check.exits(2, "train", MODEL, tiles, "-o", place / "x", *quick, "--cache", place / wrong, says="is not a folder", lines=1)
    twins = place / "classes.txt"
    twins.write_text("a\nb\nc\nb\n")
    check.exits(3, "info", MODEL, "--classes", twins, says='classes.txt: line 4: class "b" stands in line 2 already', lines=1)

    # A run that was moved, alone or away from its model and data.
    home = place / "home"
    home.mkdir()
    shutil.copy(MODEL, home / "m.safetensors")
    shutil.copytree(tiles, home / "pictures")
    code = interrupted("run", "m.safetensors", "pictures", "--epochs", "100000", "--freeze", "none", cwd=home)
    check.that(code == -signal.SIGINT, "an interrupted run dies by the signal", code)
    check.exits(3, "predict", home / "run", tiles, says="go on with it: diopter train --resume", lines=1)
    again = ["--epochs", "100000", "--early-stop", "1", "--new-recipe", "--quiet"]
    (place / "deep" / "er").mkdir(parents=True)
    shutil.move(home / "run", place / "deep" / "er" / "run")
    moved = place / "deep" / "er" / "run"
    shutil.copytree(moved, place / "lost")
    check.exits(0, "train", "--resume", moved, *again)
    shutil.move(home, place / "elsewhere")
    lost = place / "lost"
    check.exits(4, "train", "--resume", lost, *again, says=["its model is not where it was", "--model PATH"], lines=1)
    model = ["--model", place / "elsewhere" / "m.safetensors"]
    check.exits(4, "train", "--resume", lost, *again, *model, says=["its data is not where it was", "--data PATH"], lines=1)
    check.exits(3, "train", "--resume", lost, *again, *model, "--data", bad, says="not those that the run began with", lines=1)
    check.exits(0, "train", "--resume", lost, *again, *model, "--data", place / "elsewhere" / "pictures")
    same = (moved / "model.safetensors").read_bytes() == (lost / "model.safetensors").read_bytes()
    check.that(same, "both ways give the same model")

    # A reader that goes away (E8) takes nothing from the run.
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([PROGRAM, "train", MODEL, tiles, "-o", place / "unread", "--epochs", "2"], stdout=writer, stderr=writer,
                            restore_signals=True)
    os.close(writer)
    check.that(result.returncode == 0 and (place / "unread" / "model.safetensors").exists(), "train goes on without a reader",
               result.returncode)
    check.that("standard output was closed" in (place / "unread" / "log.txt").read_text(), "and the log says so")

check.end()
