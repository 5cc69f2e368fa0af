#!/usr/bin/env python3
"""Times whole jobs on this machine, Diopter beside PyTorch scripts: reading pictures, predicting a folder, tuning a head.

    scripts/compare_jobs.py [--program build/diopter] [--shared ../shared] [--jobs NAME,...] [--json FILE]

Needs torch, torchvision, timm, safetensors and pillow; pictures and weights are those of the shared folder
(hymenoptera_sub: 244 training and 153 validation pictures, ImageNet-size JPEGs).

  pictures   decode, resize, crop, normalise on one thread: beside torchvision's transforms, and Pillow's decode and resize
  predict    a folder to CSV, ResNet-18 and ResNet-50 with random weights: beside a DataLoader with 0 and with 2 workers
  head       the tutorial's task, 25 epochs on a frozen backbone: beside its loop (random crops and flips, batch 4) and
             beside a script that caches features by hand; accuracy on the validation pictures
  limits     peak memory, start-up, growth with the number of pictures, a disturbed machine
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

SIZE, RESIZE = 224, 256
HEADS = {
    "resnet18": (None, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mobilenet_v2": ("pth/mobilenet_v2-imagenet-features-f32-zip.pth", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet_lite0": ("safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors", (0.5,) * 3, (0.5,) * 3),
}
EPOCHS = 25


# Started by way of a small process: what a fork copies of a large one would count as the child's memory.
LAUNCH = ("import resource,subprocess,sys,time;t=time.monotonic();c=subprocess.run(sys.argv[1:]).returncode;t=time.monotonic()-t;"
          "print('RAN',t,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024,file=sys.stderr);sys.exit(c)")


def run(command):
    """Seconds and peak memory in MB of a program, and what it printed."""
    done = subprocess.run([sys.executable, "-c", LAUNCH] + list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed: {done.stderr.strip()[-1000:]}")
    _, seconds, peak = done.stderr.splitlines()[-1].split()
    return float(seconds), float(peak), done.stdout


def ask(kind, **job):
    """The answer of a PyTorch worker."""
    _, _, out = run([sys.executable, __file__, "--worker", json.dumps({"kind": kind, **job})])
    return json.loads(out.splitlines()[-1])


# ---- the PyTorch side ----

def backbone(name, weights):
    """The network with a head of two classes, everything else frozen."""
    import torch
    try:  # a torchvision built against another PyTorch wants two operators declared first
        import torchvision_cpu  # noqa: F401
    except ImportError:
        pass
    import timm
    import torchvision
    torch.manual_seed(1)
    if name == "efficientnet_lite0":
        from safetensors.torch import load_file
        model = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
        model.load_state_dict(load_file(weights))
        model.requires_grad_(False)
        model.reset_classifier(2)
        return model, model.classifier
    model = torchvision.models.get_model(name)
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    model.requires_grad_(False)
    if name == "resnet18":
        model.fc = torch.nn.Linear(512, 2)
        return model, model.fc
    model.classifier[1] = torch.nn.Linear(1280, 2)
    return model, model.classifier[1]


def transforms(job, train):
    from torchvision import transforms as t
    crop = [t.RandomResizedCrop(SIZE), t.RandomHorizontalFlip()] if train else [t.Resize(RESIZE), t.CenterCrop(SIZE)]
    return t.Compose(crop + [t.ToTensor(), t.Normalize(job["mean"], job["std"])])


def accuracy(model, job):
    import torch
    from torchvision import datasets
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(job["folder"] + "/val", transforms(job, False)), 16)
    model.eval()
    right = count = 0
    with torch.inference_mode():
        for x, y in loader:
            right += (model(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum().item()
            count += len(y)
    return right / count


def tutorial(job):
    """The transfer-learning tutorial's loop: SGD 0.001 with momentum, batch 4, every epoch through the whole network."""
    import torch
    started = time.monotonic()
    model, head = backbone(job["model"], job["weights"])
    model = model.to(memory_format=torch.channels_last)
    from torchvision import datasets
    sets = {split: datasets.ImageFolder(f"{job['folder']}/{split}", transforms(job, split == "train")) for split in ("train", "val")}
    loaders = {split: torch.utils.data.DataLoader(data, 4, shuffle=split == "train", num_workers=job["workers"]) for split, data in sets.items()}
    optimizer = torch.optim.SGD(head.parameters(), lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.1)
    begun = time.monotonic()
    for _ in range(job["epochs"]):
        for split in ("train", "val"):
            model.train(split == "train")
            for x, y in loaders[split]:
                with torch.set_grad_enabled(split == "train"):
                    loss = torch.nn.functional.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y)
                    if split == "train":
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
        schedule.step()
    ended = time.monotonic()
    return {"start": begun - started, "epoch": (ended - begun) / job["epochs"], "accuracy": accuracy(model, job)}


def cached(job):
    """What the best script does: features once, with the same transform every time, and a linear layer over them."""
    import torch
    started = time.monotonic()
    model, head = backbone(job["model"], job["weights"])
    model = model.to(memory_format=torch.channels_last).eval()
    from torchvision import datasets
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(job["folder"] + "/train", transforms(job, False)), 32, num_workers=job["workers"])
    got, labels = [], []
    handle = head.register_forward_hook(lambda module, inputs, output: got.append(inputs[0].clone()))
    with torch.inference_mode():
        for x, y in loader:
            model(x.contiguous(memory_format=torch.channels_last))
            labels.append(y)
    handle.remove()
    features, labels = torch.cat(got).clone(), torch.cat(labels)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01, momentum=0.9)
    for _ in range(job["epochs"]):
        for pick in torch.randperm(len(labels)).split(4):
            loss = torch.nn.functional.cross_entropy(head(features[pick]), labels[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"seconds": time.monotonic() - started, "accuracy": accuracy(model, job)}


def reading(job):
    import torch
    torch.set_num_threads(1)
    backbone("resnet18", None)  # imports what every script has imported by then
    from PIL import Image
    paths = sorted(pathlib.Path(job["folder"], "train").rglob("*.jpg"))
    ready = transforms(job, False)

    def whole(path):
        ready(Image.open(path).convert("RGB"))

    def decode_resize(path):
        image = Image.open(path).convert("RGB")
        w, h = image.size
        image.resize((RESIZE, RESIZE * h // w) if w <= h else (RESIZE * w // h, RESIZE), Image.BILINEAR)

    out = {}
    for name, work in (("torchvision", whole), ("pillow", decode_resize)):
        times = []
        for _ in range(4):
            start = time.perf_counter()
            for path in paths:
                work(path)
            times.append(time.perf_counter() - start)
        out[name] = len(paths) / statistics.median(times[1:])
    return out


def predicting(job):
    import csv
    import torch
    started = time.monotonic()
    try:
        import torchvision_cpu  # noqa: F401
    except ImportError:
        pass
    import torchvision
    from torchvision import datasets
    torch.manual_seed(1)
    model = torchvision.models.get_model(job["model"]).eval().to(memory_format=torch.channels_last)
    data = datasets.ImageFolder(job["folder"], transforms(job, False))
    begun = time.monotonic()
    with open(job["out"], "w", newline="") as file, torch.inference_mode():
        rows = csv.writer(file)
        at = 0
        for x, _ in torch.utils.data.DataLoader(data, 16, num_workers=job["workers"]):
            best = model(x.contiguous(memory_format=torch.channels_last)).softmax(1).max(1)
            for score, label in zip(best.values.tolist(), best.indices.tolist()):
                rows.writerow([data.samples[at][0], label, score])
                at += 1
    ended = time.monotonic()
    return {"start": begun - started, "seconds": ended - begun, "pictures": at, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


WORKERS = {"tutorial": tutorial, "cached": cached, "reading": reading, "predicting": predicting}


# ---- the jobs ----

def random_weights(name, folder):
    """A seeded torchvision network in a file that Diopter opens."""
    import torch
    try:
        import torchvision_cpu  # noqa: F401
    except ImportError:
        pass
    import torchvision
    path = folder / f"{name}.pth"
    torch.manual_seed(1)
    torch.save(torchvision.models.get_model(name).state_dict(), path)
    return path


def job_pictures(o):
    _, _, out = run([o.program, "bench", "--pictures", o.photos / "train", "--threads", 1, "--json"])
    ours = json.loads(out)["pictures"]
    rate = ours["count"] / ours["seconds"]
    other = ask("reading", folder=str(o.photos), mean=HEADS["resnet18"][1], std=HEADS["resnet18"][2])
    o.show("pictures, one thread", f"{rate:.0f} a second", {"torchvision": rate / other["torchvision"], "Pillow decode and resize": rate / other["pillow"]},
           rate=rate, **other)


def job_predict(o):
    for name in ("resnet18", "resnet50"):
        weights = random_weights(name, o.work)
        ours, theirs = [], {0: [], 2: []}
        for turn in range(o.rounds):
            seconds, peak, _ = run([o.program, "predict", weights, o.photos / "train", o.photos / "val", "-o", o.work / f"{name}.csv", "--overwrite", "--quiet"])
            ours.append(seconds)
            for workers in theirs:
                got = ask("predicting", model=name, folder=str(o.photos), workers=workers, out=str(o.work / "peer.csv"), mean=HEADS["resnet18"][1], std=HEADS["resnet18"][2])
                theirs[workers].append(got)
        count = theirs[0][0]["pictures"]
        rate = count / statistics.median(ours)
        rates = {w: count / statistics.median(g["seconds"] for g in got) for w, got in theirs.items()}
        o.show(f"predict a folder, {name}", f"{rate:.1f} a second with start-up, {peak:.0f} MB",
               {f"PyTorch, {w} workers, without its start-up": rate / r for w, r in rates.items()}, rate=rate, peak_mb=peak,
               torch_peak_mb=theirs[0][0]["peak_mb"], **{f"torch_{w}": r for w, r in rates.items()})


def job_head(o):
    for name, (path, mean, std) in HEADS.items():
        weights = o.shared / "models" / path if path else random_weights(name, o.work)
        ours = {}
        for label, more in (("cached", ["--views", 1]), ("4 views", ["--views", 4, "--augment-crop", "random", "--augment-flip", 0.5])):
            folder = o.work / f"run-{name}-{more[1]}"
            seconds, peak, _ = run([o.program, "train", weights, o.photos, "-o", folder, "--epochs", EPOCHS, "--batch-size", 4, "--quiet"] + more)
            judged = json.loads(run([o.program, "eval", folder, o.photos, "--split", "val", "--json"])[2])
            ours[label] = (seconds, peak, judged["top1"])
        peer = {"model": name, "weights": str(weights), "folder": str(o.photos), "mean": mean, "std": std, "workers": 0}
        loop = ask("tutorial", epochs=o.tutorial_epochs, **peer)
        hand = ask("cached", epochs=EPOCHS, **peer)
        whole = loop["start"] + EPOCHS * loop["epoch"]
        text = ", ".join(f"{label} {s:.2f} s {p:.0f} MB {100 * a:.1f} %" for label, (s, p, a) in ours.items())
        o.show(f"head, {name}", text,
               {f"tutorial {whole:.0f} s, {100 * loop['accuracy']:.1f} % after {o.tutorial_epochs} epochs": whole / ours["cached"][0],
                "tutorial to 4 views": whole / ours["4 views"][0],
                f"hand-cached {hand['seconds']:.1f} s, {100 * hand['accuracy']:.1f} %": hand["seconds"] / ours["cached"][0]},
               figures={k: list(v) for k, v in ours.items()}, tutorial=loop, hand=hand)


def job_limits(o):
    weights = random_weights("resnet18", o.work)
    one = next((o.photos / "val").rglob("*.jpg"))
    start = min(run([o.program, "--help"])[0] for _ in range(20))
    o.show("start: --help", f"{1000 * start:.1f} ms", {}, seconds=start)
    first = statistics.median(run([o.program, "predict", weights, one, "--quiet"])[0] for _ in range(7))
    o.show("start: one picture, resnet18", f"{1000 * first:.0f} ms", {}, seconds=first)
    small = o.work / "small"
    small.mkdir()
    source = sorted((o.photos / "train").rglob("*.jpg"))[:20]
    tiny = make_tiny(source, o.work)
    figures = {}
    for count in (o.growth // 10, o.growth):
        for i in range(len(list(small.iterdir())), count):
            os.link(tiny[i % len(tiny)], small / f"{i:07d}.jpg")
        figures[count] = run([o.program, "predict", "arch:resnet20_cifar" if o.cifar is None else o.cifar, small, "-o", o.work / f"{count}.csv", "--quiet"])[:2]
    (few, a), (many, b) = figures.items()
    o.show(f"growth, {few} to {many} small pictures", f"{a[0]:.1f} > {b[0]:.1f} s, {a[1]:.0f} > {b[1]:.0f} MB", {}, times=b[0] / a[0], bytes_each=(b[1] - a[1]) * 1e6 / (many - few))
    quiet = [disturbed(o, False), disturbed(o, False)]
    busy = [disturbed(o, True), disturbed(o, True)]
    o.show("disturbed machine, resnet18 b16", f"{100 * max(busy) / max(quiet):.0f} % of quiet", {}, share=max(busy) / max(quiet))
    size = subprocess.run(["strip", "-o", o.work / "stripped", o.program]).returncode
    if size == 0:
        o.show("binary, stripped", f"{(o.work / 'stripped').stat().st_size / 1e6:.2f} MB", {})


def make_tiny(source, folder):
    from PIL import Image
    out = []
    for i, path in enumerate(source):
        out.append(folder / f"tiny{i}.jpg")
        Image.open(path).convert("RGB").resize((32, 32)).save(out[-1], quality=90)
    return out


def disturbed(o, busy):
    """Pictures a second of the bench, with or without a loop that keeps one core busy."""
    other = subprocess.Popen(["taskset", "-c", "0", sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        out = json.loads(run([o.program, "bench", "arch:resnet18", "--batch-size", 16, "--json"])[2])
    finally:
        if other:
            other.kill()
            other.wait()
    return out["batch"] / out["seconds"]


JOBS = {"pictures": job_pictures, "predict": job_predict, "head": job_head, "limits": job_limits}


class Comparison:
    def __init__(self, options, work):
        self.__dict__.update(vars(options))
        self.work = pathlib.Path(work)
        with tarfile.open(self.shared / "data" / "hymenoptera_sub.tar") as tar:
            tar.extractall(work, filter="data")
        self.photos = self.work / "hymenoptera_sub"

    def show(self, name, ours, ratios, **figures):
        print(f"{name:32s} {ours}" + "".join(f"; {ratio:.1f} x {peer}" for peer, ratio in ratios.items()), flush=True)
        if self.json:
            with open(self.json, "a") as file:
                file.write(json.dumps({"job": self.job, "row": name, "ours": ours, "ratios": ratios, **figures}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--shared", default=os.environ.get("DIOPTER_SHARED", "../shared"), type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tutorial-epochs", type=int, default=EPOCHS, help="fewer are scaled up to 25")
    parser.add_argument("--growth", type=int, default=100000, help="small pictures of the growth row")
    parser.add_argument("--cifar", type=pathlib.Path, help="weights for the growth row (default: the bundled sample's)")
    parser.add_argument("--json", help="one line a row is added to this file")
    parser.add_argument("--skip-measured", action="store_true", help="leave out jobs of which the file of --json has rows")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        job = json.loads(options.worker)
        print(json.dumps(WORKERS[job["kind"]](job)))
        return
    if options.cifar is None:
        options.cifar = pathlib.Path(__file__).resolve().parent.parent / "samples" / "tiles_base.safetensors"
    known = set()
    if options.skip_measured and options.json and os.path.exists(options.json):
        known = {line.get("job") for line in map(json.loads, open(options.json))}
    with tempfile.TemporaryDirectory() as work:
        comparison = Comparison(options, work)
        for name in options.jobs.split(","):
            comparison.job = name
            if name not in known:
                JOBS[name](comparison)


if __name__ == "__main__":
    main()
