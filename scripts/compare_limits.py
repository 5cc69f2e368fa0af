#!/usr/bin/env python3
"""Measures what must hold on every machine, and says for each limit whether it does: memory, start, growth, a disturbed
machine, the size of the program.

    scripts/compare_limits.py [--program build/diopter] [--shared ../shared] [--rows WORD,...] [--json FILE]

Needs Pillow, for small pictures; the ImageNet-size ones are the shared folder's hymenoptera_sub.  Three minutes on two cores,
two of them for 100,000 pictures (--growth gives another number).
"""
import comparing  # first: it says in a line what stops the script
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

# Started by way of a small process: what a fork copies of a large one would count as the child's memory.
LAUNCH = ("import resource,subprocess,sys,time;t=time.monotonic();c=subprocess.run(sys.argv[1:]).returncode;t=time.monotonic()-t;"
          "print('RAN',t,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss*1024,file=sys.stderr);sys.exit(c)")


def run(command):
    """Seconds and peak memory in bytes of a program, and what it printed."""
    done = subprocess.run([sys.executable, "-c", LAUNCH] + list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed: {done.stderr.strip()[-1000:]}")
    _, seconds, peak = done.stderr.splitlines()[-1].split()
    return float(seconds), float(peak), done.stdout


def weights(o, name):
    """Seeded random weights in a file, as a pretrained model would come: reading it belongs to the measurement."""
    path = o.work / f"{name}.safetensors"
    if not path.exists():
        run([o.program, "export", f"arch:{name}", "-o", path, "--quiet"])
    return path


def headed(o, name):
    """The same with a head of two classes, tuned on a handful of pictures."""
    folder, few = o.work / f"{name}-run", o.work / "few"
    if not few.exists():
        for kind in ("ants", "bees"):
            (few / kind).mkdir(parents=True)
            for path in sorted((o.photos / "train" / kind).iterdir())[:4]:
                os.link(path, few / kind / path.name)
    if not folder.exists():
        run([o.program, "train", weights(o, name), few, "-o", folder, "--epochs", 1, "--val-share", 0, "--quiet"])
    return folder


# ---- the limits: each gives (name, what it is, its value, the unit, the aim) ----

def memory_head(o):
    model = weights(o, "resnet18")
    for views in (1, 4):
        more = ["--augment-crop", "random", "--augment-flip", 0.5] if views > 1 else []
        peak = run([o.program, "train", model, o.photos, "-o", o.work / f"memory{views}", "--epochs", 2, "--batch-size", 4,
                    "--views", views, "--quiet"] + more)[1]
        yield f"memory: ResNet-18 head fine-tune, {views} view{'s' if views > 1 else ''}", peak / 1e6, "MB", "<=", 200


def memory_vit(o):
    peak = run([o.program, "predict", headed(o, "vit_base_patch16_224"), o.photos / "val" / "ants", "-o", o.work / "vit.csv", "--quiet"])[1]
    yield "memory: ViT-B/16 prediction of a folder", peak / 1e6, "MB", "<=", 500


def start_help(o):
    yield "start: --help", 1000 * min(run([o.program, "--help"])[0] for _ in range(20)), "ms", "<=", 10


def start_first(o):
    model, one = headed(o, "resnet18"), next((o.photos / "val").rglob("*.jpg"))
    seconds = statistics.median(run([o.program, "predict", model, one, "--quiet"])[0] for _ in range(9))
    yield "start: one picture through ResNet-18, its decoding included", 1000 * seconds, "ms", "<=", 200


def growth(o):
    """Ten times the pictures, twice; the start is taken off by the smallest folder's time."""
    tiny, model = make_tiny(o), o.source / "samples" / "tiles_base.safetensors"
    counts = [max(o.growth // n, 1) for n in (100, 10, 1)]
    seconds, peak = {}, {}
    for count in counts:
        folder = o.work / f"small{count}"
        folder.mkdir()
        for i in range(count):
            os.link(tiny[i % len(tiny)], folder / f"{i:07d}.jpg")
        seconds[count], peak[count], _ = run([o.program, "predict", model, folder, "-o", o.work / f"{count}.csv", "--quiet"])
    few, more, most = counts
    text = f"growth: {more:,} to {most:,} small pictures"
    yield f"{text}, time ({most / seconds[most]:,.0f} a second)", seconds[most] / seconds[more], "x", "<=", 10.5
    yield f"{text}, memory a picture ({peak[most] / 1e6:.0f} MB)", (peak[most] - peak[more]) / (most - more), "bytes", "<=", 200
    yield f"growth: {few:,} to {more:,}, memory a picture ({peak[few] / 1e6:.0f} MB)", (peak[more] - peak[few]) / (more - few), "bytes", "<=", 200


def make_tiny(o):
    from PIL import Image
    out = []
    for i, path in enumerate(sorted((o.photos / "train").rglob("*.jpg"))[:20]):
        out.append(o.work / f"tiny{i}.jpg")
        Image.open(path).convert("RGB").resize((32, 32)).save(out[-1], quality=90)
    return out


def disturbed(o):
    """Pictures a second of the bench, with and without a loop that keeps one core busy, in turn."""
    rates = {False: [], True: []}
    for turn in range(2 * o.rounds):
        busy = turn % 2 == 1
        other = subprocess.Popen(["taskset", "-c", "0", sys.executable, "-c", "while True: pass"]) if busy else None
        try:
            out = json.loads(run([o.program, "bench", "arch:resnet18", "--batch-size", 16, "--json"])[2])
        finally:
            if other:
                other.kill()
                other.wait()
        rates[busy].append(out["batch"] / out["seconds"])
    yield "disturbed: ResNet-18, batch 16, one core taken, of the quiet speed", 100 * statistics.median(rates[True]) / statistics.median(rates[False]), "%", ">=", 60


def binary(o):
    stripped = o.work / "stripped"
    subprocess.run(["strip", "-o", stripped, o.program], check=True)
    yield "binary, stripped", stripped.stat().st_size / 1e6, "MB", "<=", 3


LIMITS = {"memory-head": memory_head, "memory-vit": memory_vit, "start-help": start_help, "start-first": start_first,
          "growth": growth, "disturbed": disturbed, "binary": binary}


def show(o, kind, name, value, unit, sense, aim):
    reached = value <= aim if sense == "<=" else value >= aim
    print(f"{name:72s} {value:8.3g} {unit:6s} aim {sense} {aim:g}{'' if reached else '   MISSED'}", flush=True)
    if o.json:
        with open(o.json, "a") as file:
            file.write(json.dumps({"limit": kind, "row": name, "value": value, "unit": unit, "sense": sense, "aim": aim, "reached": reached}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--shared", default=os.environ.get("DIOPTER_SHARED", "../shared"), type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--rows", default="", help="only limits with one of these words in their name: " + ", ".join(LIMITS))
    parser.add_argument("--rounds", type=comparing.count, default=3)
    parser.add_argument("--growth", type=int, default=100000, help="small pictures of the growth rows")
    parser.add_argument("--json", help="one line a row is added to this file")
    parser.add_argument("--skip-measured", action="store_true", help="leave out limits of which the file of --json has rows")
    o = parser.parse_args()
    known = comparing.earlier_rows(o, lambda line: line.get("limit"))
    o.source = pathlib.Path(__file__).resolve().parent.parent
    wanted = [word for word in o.rows.split(",") if word]
    with tempfile.TemporaryDirectory() as work:
        o.work = pathlib.Path(work)
        comparing.unpack(o.shared / "data" / "hymenoptera_sub.tar", work)
        o.photos = o.work / "hymenoptera_sub"
        for kind, measure in LIMITS.items():
            if kind in known or (wanted and not any(word in kind for word in wanted)):
                continue
            for row in list(measure(o)):  # a limit's rows are written together, so that one that is there is there whole
                show(o, kind, *row)


if __name__ == "__main__":
    main()
