#!/usr/bin/env python3
"""Trains the same thing with Diopter and with PyTorch on this machine: accuracy, seconds, peak memory, side by side.

    scripts/compare_pytorch.py --program build/diopter --shared ../shared [--models ...] [--sets ...] [--modes ...]

Needs torch, timm, torchvision, safetensors, pillow and numpy; the weights and pictures are those of DIOPTER_SHARED.
Modes: head (frozen backbone, a new head), last (the last stage too), full (everything).  PyTorch gets the settings of
Diopter's resolved recipe: the same learning rate, decay, schedule, batch size, epochs, and the same trained parameters.
In mode head PyTorch's features are cached by hand, as the best PyTorch script would; what an epoch takes without that is
measured once, too.  Accuracy is on the test (or val) pictures, of the last epoch.
"""
import comparing  # first: it says in a line what stops the script
import argparse
import json
import math
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

WEIGHTS = {
    "squeezenet1_1": ("pth/squeezenet1_1-imagenet-f32-legacy.pth", 224, 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mobilenet_v2": ("pth/mobilenet_v2-imagenet-features-f32-zip.pth", 224, 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet_lite0": ("safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors", 224, 256, (0.5,) * 3, (0.5,) * 3),
}
SETS = {"cxr_pneumonia": "test", "rsscn7": "val", "hymenoptera_sub": "val"}


def timed(command, **more):
    """Seconds, peak memory in MB, output."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    out, err = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode not in (0, 1):
        sys.exit(f"{' '.join(map(str, command))}\nexit {process.returncode}: {err[-2000:]}")
    return seconds, out, err


def peak_of(command, **more):
    """As timed, with the peak memory of that one child."""
    wrapper = [sys.executable, "-c",
               "import resource,subprocess,sys;c=subprocess.run(sys.argv[1:]).returncode;"
               "print('PEAK',resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024,file=sys.stderr);sys.exit(c)"]
    seconds, out, err = timed(wrapper + list(map(str, command)), **more)
    peak = [int(line.split()[1]) for line in err.splitlines() if line.startswith("PEAK ")]
    return seconds, peak[-1], out


# ---- the PyTorch side, in a process of its own ----

def build(name, path, classes):
    import torch
    try:  # a torchvision built against another PyTorch wants two operators declared first
        import torchvision_cpu  # noqa: F401
    except ImportError:
        pass
    import timm
    import torchvision
    if name == "efficientnet_lite0":
        from safetensors.torch import load_file
        model = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
        model.load_state_dict(load_file(path))
        model.reset_classifier(classes)
        return model, model.classifier
    state = torch.load(path, weights_only=True)
    model = getattr(torchvision.models, name)()
    model.load_state_dict(state, strict=False)
    if name == "squeezenet1_1":
        model.classifier[1] = torch.nn.Conv2d(512, classes, 1)
        torch.nn.init.normal_(model.classifier[1].weight, std=0.01)
        torch.nn.init.zeros_(model.classifier[1].bias)
    else:
        model.classifier[1] = torch.nn.Linear(1280, classes)
    return model, model.classifier[1]


def loaded(folder, split, job):
    import numpy as np
    import torch
    from PIL import Image
    size, resize = job["size"], job["resize"]
    mean = np.array(job["mean"], np.float32)
    std = np.array(job["std"], np.float32)
    classes = sorted(p.name for p in (folder / "train").iterdir())
    xs, ys = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / split / name).iterdir()):
            image = Image.open(path).convert("RGB")
            w, h = image.size
            w, h = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
            image = image.resize((w, h), Image.BILINEAR)
            left, top = int(round((w - size) / 2)), int(round((h - size) / 2))
            image = image.crop((left, top, left + size, top + size))
            xs.append(torch.from_numpy(((np.asarray(image, np.float32) / 255 - mean) / std).transpose(2, 0, 1).copy()))
            ys.append(label)
    return torch.stack(xs), torch.tensor(ys), classes


def worker(job):
    import torch
    torch.manual_seed(job["seed"])
    torch.set_num_threads(job["threads"])
    folder = pathlib.Path(job["folder"])
    started = time.monotonic()
    x, y, classes = loaded(folder, "train", job)
    model, head = build(job["model"], job["weights"], len(classes))
    model = model.to(memory_format=torch.channels_last)
    trained = set(job["trained"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in trained
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": job["weight_decay"]},
              {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    kind = torch.optim.SGD if job["optimizer"] == "sgd" else torch.optim.AdamW
    extra = {"momentum": 0.9} if job["optimizer"] == "sgd" else {}
    optimizer = kind(groups, lr=job["lr"], **extra)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=job["label_smoothing"])
    epochs, batch = job["epochs"], job["batch_size"]
    features, epoch_seconds = None, math.nan
    if job["mode"] == "head":
        got = []
        handle = head.register_forward_hook(lambda module, inputs, output: got.append(inputs[0].detach()))
        model.eval()
        begun = time.monotonic()
        with torch.inference_mode():
            for i in range(0, len(x), batch):
                model(x[i:i + batch].contiguous(memory_format=torch.channels_last))
        epoch_seconds = time.monotonic() - begun
        handle.remove()
        features = torch.cat([g.clone() for g in got])

    def run_head(z):
        out = head(z)
        return out.relu().mean((2, 3)) if out.ndim == 4 else out

    steps = epochs * math.ceil(len(x) / batch)
    step = 0
    for _ in range(epochs):
        # Batch norms of frozen parts stay as they are, those that train move.
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and not module.weight.requires_grad:
                module.eval()
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            for group in optimizer.param_groups:
                group["lr"] = job["lr"] * 0.5 * (1 + math.cos(math.pi * step / steps)) if job["schedule"] == "cosine" else job["lr"]
            pick = order[i:i + batch]
            out = run_head(features[pick]) if features is not None else model(x[pick].contiguous(memory_format=torch.channels_last))
            loss = loss_of(out, y[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    seconds = time.monotonic() - started
    model.eval()
    x, y, _ = loaded(folder, job["split"], job)
    with torch.inference_mode():
        right = sum((model(x[i:i + batch]).argmax(1) == y[i:i + batch]).sum().item() for i in range(0, len(x), batch))
    print(json.dumps({"accuracy": right / len(x), "seconds": seconds, "epoch_seconds": epoch_seconds,
                      "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


# ---- the comparison ----

def resolved(run):
    """Numbers and words of the resolved recipe, without a YAML library."""
    out = {}
    for line in (run / "recipe.yaml").read_text().splitlines():
        if line and not line.startswith(("#", " ")) and ":" in line:
            key, _, value = line.partition(":")
            out[key.strip()] = value.split(" #")[0].strip().strip("\"'")
    return out


def trained_names(base, run):
    """Parameters that Diopter's run changed (or made anew), by the names that both libraries use."""
    import torch
    from safetensors.torch import load_file
    before = load_file(base) if str(base).endswith(".safetensors") else torch.load(base, weights_only=True)
    after = load_file(run / "model.safetensors")
    return [n for n, t in after.items() if n not in before or before[n].shape != t.shape or not torch.equal(before[n].to(t.dtype), t)]


def compare(options, name, data, mode, folder):
    path, size, resize, mean, std = WEIGHTS[name]
    weights = options.shared / "models" / path
    with tempfile.TemporaryDirectory() as work:
        run = pathlib.Path(work) / "run"
        command = [options.program, "train", weights, folder, "-o", run, "--quiet", "--threads", options.threads, "--seed", options.seed]
        stages = json.loads(timed([options.program, "info", "--json", weights])[1])["stages"]
        epochs = {"head": None, "last": options.epochs, "full": options.epochs}[mode]
        if mode != "head":
            body = [s["name"] for s in stages if s["name"] != "head"]
            command += ["--freeze", "none" if mode == "full" else f"stage:{len(body) - 2}", "--epochs", epochs]
        seconds, peak, _ = peak_of(command)
        judged = json.loads(timed([options.program, "eval", run, folder, "--split", SETS[data], "--json"])[1])
        recipe = resolved(run)
        job = {"model": name, "weights": str(weights), "folder": str(folder), "split": SETS[data], "mode": mode,
               "trained": trained_names(weights, run), "size": size, "resize": resize, "mean": mean, "std": std,
               "threads": options.threads, "seed": options.seed, "epochs": int(recipe["epochs"]),
               "batch_size": int(recipe["batch_size"]), "lr": float(recipe["lr"]), "weight_decay": float(recipe["weight_decay"]),
               "optimizer": recipe["optimizer"], "schedule": recipe["schedule"],
               "label_smoothing": float(recipe.get("label_smoothing") or 0)}
        _, out, _ = timed([sys.executable, __file__, "--worker", json.dumps(job)])
    other = json.loads(out.splitlines()[-1])
    note = ""
    if mode == "head":
        note = f"; uncached PyTorch epoch {other['epoch_seconds']:.1f} s forward alone, x {job['epochs']} epochs"
    print(f"{name:20s} {data:16s} {mode:5s} {100 * judged['top1']:6.1f} % {seconds:7.1f} s {peak:6d} MB | "
          f"{100 * other['accuracy']:6.1f} % {other['seconds']:7.1f} s {other['peak_mb']:6d} MB{note}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--shared", default=os.environ.get("DIOPTER_SHARED", "../shared"), type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--models", default=",".join(WEIGHTS))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--modes", default="head,last,full")
    parser.add_argument("--epochs", type=int, default=5, help="of the modes last and full")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(json.loads(options.worker))
        return
    print(f"{'model':20s} {'data':16s} mode   Diopter: accuracy, time, memory | PyTorch: the same")
    with tempfile.TemporaryDirectory() as folder:
        for data in options.sets.split(","):
            comparing.unpack(options.shared / "data" / f"{data}.tar", folder)
            for name in options.models.split(","):
                for mode in options.modes.split(","):
                    compare(options, name, data, mode, pathlib.Path(folder) / data)


if __name__ == "__main__":
    main()
