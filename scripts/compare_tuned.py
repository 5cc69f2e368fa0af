#!/usr/bin/env python3
"""Opens a run's model in PyTorch and compares its predictions with Diopter's, picture by picture.

  scripts/compare_tuned.py RUN FOLDER [--diopter PROGRAM] [--pictures N]

RUN/model.safetensors and an exported .pth are loaded strictly into torchvision's (or timm's) network of that name with as many
classes; pictures are prepared by torchvision's transforms with the preprocessing that the run recorded.  Prints how many labels
agree and the largest difference of the logits relative to their range; exit code 1 when a label differs."""
import comparing  # first: it says in a line what stops the script
import argparse, glob, json, os, subprocess, sys, tempfile

try:  # a torchvision built against another PyTorch wants two operators declared first
    import torchvision_cpu  # noqa: F401
except ImportError:
    pass
import torch, torchvision, timm
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.transforms import InterpolationMode, v2


def network(name, classes):
    if name in torchvision.models.list_models():
        return torchvision.models.get_model(name, num_classes=classes)
    return timm.create_model(name, num_classes=classes)


def transform(recipe):
    assert recipe["fit"] == "crop", "only fit crop is known here"
    mode = InterpolationMode(recipe["interpolation"])
    return v2.Compose([
        v2.Resize(recipe["resize"][0], interpolation=mode), v2.CenterCrop(recipe["input"][1:]), v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize(recipe["mean"], recipe["std"])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("folder")
    parser.add_argument("--diopter", default=os.path.join(os.path.dirname(__file__), "..", "build", "diopter"))
    parser.add_argument("--pictures", type=int, default=0, help="only the first N (default: all)")
    args = parser.parse_args()
    weights = os.path.join(args.run, "model.safetensors")
    with safe_open(weights, "pt") as file:
        about = file.metadata()
    recipe, classes = json.loads(about["diopter.preprocessing"]), json.loads(about["diopter.classes"])
    paths = sorted(p for p in glob.glob(os.path.join(args.folder, "**", "*.*"), recursive=True) if p.lower().endswith((".jpg", ".jpeg", ".png")))
    paths = paths[:args.pictures or None]
    with tempfile.TemporaryDirectory() as folder:
        pth, lines = os.path.join(folder, "tuned.pth"), os.path.join(folder, "out.jsonl")
        subprocess.run([args.diopter, "export", args.run, "-o", pth], check=True)
        command = [args.diopter, "predict", args.run, *paths, "-o", lines, "--scores", "logits", "--exif", "ignore"]
        subprocess.run(command, check=True)
        ours = {os.path.abspath(d["path"]): d for d in map(json.loads, open(lines))}
        tensors = torch.load(pth, weights_only=True)
    prepare = transform(recipe)
    for name, state in (("model.safetensors", load_file(weights)), ("tuned.pth", tensors)):
        net = network(about["architecture"], len(classes))
        net.load_state_dict(state, strict=True)
        net.eval()
        agree, worst = 0, 0.0
        with torch.no_grad():
            for path in paths:
                logits = net(prepare(Image.open(path).convert("RGB"))[None])[0]
                mine = ours[os.path.abspath(path)]
                agree += mine["label"] == classes[int(logits.argmax())]
                spread = (logits.max() - logits.min()).item()
                worst = max(worst, (torch.tensor(mine["scores"]) - logits).abs().max().item() / max(spread, 1e-3))
        print(f"{name}: {agree} of {len(paths)} labels agree, logits differ by at most {worst:.2e} of their range", flush=True)
        if agree != len(paths):
            sys.exit(1)


main()
