#!/usr/bin/env python3
"""Times whole jobs on this machine, Diopter beside PyTorch scripts: reading pictures, predicting a folder, tuning a head.

    scripts/compare_jobs.py [--program build/diopter] [--shared ../shared] [--rows WORD,...] [--json FILE]

Needs torch, torchvision, timm, safetensors and pillow; pictures and weights are those of the shared folder
(hymenoptera_sub: 244 training and 153 validation pictures, ImageNet-size JPEGs).

  pictures   decode, resize, crop, normalise on one thread: beside torchvision's transforms, and Pillow's decode and resize
  decode     --decode fast on the validation pictures, enlarged to 6 megapixels: beside exact, with what it costs
  predict    a folder to CSV, ResNet-18 and ResNet-50 with random weights: beside a DataLoader with 0 and with 2 workers
  head       the tutorial's task, 25 epochs on a frozen backbone: beside its loop (random crops and flips, batch 4) and
             beside a script that caches features by hand; accuracy on the validation pictures

Peak memory, start, growth and the like are compare_limits.py's.
"""
import comparing  # first: it says in a line what stops the script
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from compare_limits import run

SIZE, RESIZE = 224, 256
HEADS = {
    "resnet18": (None, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mobilenet_v2": ("pth/mobilenet_v2-imagenet-features-f32-zip.pth", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet_lite0": ("safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors", (0.5,) * 3, (0.5,) * 3),
}
EPOCHS = 25


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
    o.show("pictures, one thread", f"{rate:.0f} a second",
           {"torchvision": (rate / other["torchvision"], 4), "Pillow decode and resize": (rate / other["pillow"], 2)}, rate=rate, **other)


def enlarge(o):
    """A picture folder as hymenoptera_sub, with validation pictures of 6 megapixels."""
    from PIL import Image
    large = o.work / "large"
    large.mkdir()
    os.symlink(o.photos / "train", large / "train")
    for path in sorted((o.photos / "val").rglob("*.jpg")):
        image = Image.open(path).convert("RGB")
        scale = (6e6 / (image.width * image.height)) ** 0.5
        out = large / "val" / path.parent.name / path.name
        out.parent.mkdir(parents=True, exist_ok=True)
        image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS).save(out, quality=90)
    return large


def job_decode(o):
    large = enlarge(o)
    rates = {"exact": [], "fast": []}
    for turn in range(o.rounds):
        for how in rates:
            out = json.loads(run([o.program, "bench", "--pictures", large / "val", "--decode", how, "arch:mobilenet_v2", "--batch-size", 1, "--threads", 1, "--json"])[2])
            rates[how].append(out["pictures"]["count"] / out["pictures"]["seconds"])
    exact, fast = (statistics.median(rates[how]) for how in ("exact", "fast"))
    judged = {}
    for name in ("mobilenet_v2", "efficientnet_lite0"):
        folder = o.work / f"decode-{name}"
        run([o.program, "train", o.shared / "models" / HEADS[name][0], o.photos, "-o", folder, "--epochs", EPOCHS, "--quiet"])
        for how in rates:
            out = json.loads(run([o.program, "eval", folder, large, "--split", "val", "--decode", how, "--json"])[2])
            judged[f"{name} {how}"] = (out["top1"], out["log_loss"])
    text = ", ".join(f"{name} {100 * top1:.1f} % {loss:.4f}" for name, (top1, loss) in judged.items())
    o.show("--decode fast, 6 megapixels, one thread", f"{1000 / fast:.1f} ms a picture; {text}", {"exact": (fast / exact, None)}, judged=judged)


def job_predict(o, name, aim):
    weights = random_weights(name, o.work)
    ours, theirs = [], {0: [], 2: []}
    for turn in range(o.rounds):
        seconds, peak, _ = run([o.program, "predict", weights, o.photos / "train", o.photos / "val", "-o", o.work / f"{name}.csv", "--overwrite", "--quiet"])
        ours.append(seconds)
        for workers in theirs:
            got = ask("predicting", model=name, folder=str(o.photos), workers=workers, out=str(o.work / "peer.csv"), mean=HEADS["resnet18"][1], std=HEADS["resnet18"][2])
            theirs[workers].append(got)
    count = 397  # the pictures of both splits, which the peer reads as one folder
    assert theirs[0][0]["pictures"] == count
    rate = count / statistics.median(ours)
    rates = {w: count / statistics.median(g["seconds"] for g in got) for w, got in theirs.items()}
    o.show(f"predict a folder, {name}", f"{rate:.1f} a second with start-up, {peak / 1e6:.0f} MB",
           {f"PyTorch, {w} workers, without its start-up": (rate / r, aim) for w, r in rates.items()}, rate=rate, peak_mb=peak / 1e6,
           torch_peak_mb=theirs[0][0]["peak_mb"], **{f"torch_{w}": r for w, r in rates.items()})


def job_head(o, name):
    path, mean, std = HEADS[name]
    weights = o.shared / "models" / path if path else random_weights(name, o.work)
    ours = {}
    for label, more in (("cached", ["--views", 1]), ("4 views", ["--views", 4, "--augment-crop", "random", "--augment-flip", 0.5])):
        folder = o.work / f"run-{name}-{more[1]}"
        seconds, peak, _ = run([o.program, "train", weights, o.photos, "-o", folder, "--epochs", EPOCHS, "--batch-size", 4, "--quiet"] + more)
        judged = json.loads(run([o.program, "eval", folder, o.photos, "--split", "val", "--json"])[2])
        ours[label] = (seconds, peak / 1e6, judged["top1"])
    peer = {"model": name, "weights": str(weights), "folder": str(o.photos), "mean": mean, "std": std, "workers": 0}
    loop = ask("tutorial", epochs=o.tutorial_epochs, **peer)
    hand = ask("cached", epochs=EPOCHS, **peer)
    whole = loop["start"] + EPOCHS * loop["epoch"]
    text = ", ".join(f"{label} {s:.2f} s {p:.0f} MB {100 * a:.1f} %" for label, (s, p, a) in ours.items())
    o.show(f"head, {name}", text,
           {f"tutorial {whole:.0f} s, {100 * loop['accuracy']:.1f} % after {o.tutorial_epochs} epochs": (whole / ours["cached"][0], 50),
            "tutorial to 4 views": (whole / ours["4 views"][0], 20),
            f"hand-cached {hand['seconds']:.1f} s, {100 * hand['accuracy']:.1f} %": (hand["seconds"] / ours["cached"][0], 1.5)},
           figures={k: list(v) for k, v in ours.items()}, tutorial=loop, hand=hand)


JOBS = {"pictures": job_pictures, "decode": job_decode,
        "predict-resnet18": lambda o: job_predict(o, "resnet18", 2.5), "predict-resnet50": lambda o: job_predict(o, "resnet50", 2.4),
        **{f"head-{name}": lambda o, name=name: job_head(o, name) for name in HEADS}}


class Comparison:
    def __init__(self, options, work):
        self.__dict__.update(vars(options))
        self.work = pathlib.Path(work)
        comparing.unpack(self.shared / "data" / "hymenoptera_sub.tar", work)
        self.photos = self.work / "hymenoptera_sub"

    def show(self, name, ours, beside, **figures):
        """beside: by peer, our throughput over its own, and the aim or None."""
        told = (f"; {ratio:.2f} x {peer}" + (f" (aim {aim:g}{'' if ratio >= aim else ', MISSED'})" if aim else "") for peer, (ratio, aim) in beside.items())
        print(f"{name:32s} {ours}" + "".join(told), flush=True)
        if self.json:
            row = {"job": self.job, "row": name, "ours": ours, "ratios": {peer: ratio for peer, (ratio, _) in beside.items()},
                   "aims": {peer: aim for peer, (_, aim) in beside.items() if aim}, **figures}
            with open(self.json, "a") as file:
                file.write(json.dumps(row) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--shared", default=os.environ.get("DIOPTER_SHARED", "../shared"), type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--rows", default="", help="only jobs with one of these words in their name: " + ", ".join(JOBS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tutorial-epochs", type=int, default=EPOCHS, help="fewer are scaled up to 25")
    parser.add_argument("--json", help="one line a row is added to this file")
    parser.add_argument("--skip-measured", action="store_true", help="leave out jobs of which the file of --json has rows")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        job = json.loads(options.worker)
        print(json.dumps(WORKERS[job["kind"]](job)))
        return
    known = comparing.earlier_rows(options, lambda line: line.get("job"))
    with tempfile.TemporaryDirectory() as work:
        comparison = Comparison(options, work)
        wanted = [word for word in options.rows.split(",") if word]
        for name, job in JOBS.items():
            comparison.job = name
            if name not in known and (not wanted or any(word in name for word in wanted)):
                job(comparison)


if __name__ == "__main__":
    main()
