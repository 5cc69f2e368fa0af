#!/usr/bin/env python3
"""Writes randomly initialised torchvision and timm networks with plausible batch norm statistics, runs them in PyTorch and
in Diopter (build/tests/model_logits), and prints the largest difference of the logits relative to their range; beside it
how far each of the two lies from PyTorch in double precision (--double).

  scripts/compare_logits.py [--build DIR] [--pictures N] [--double] [NAME ...]

A NAME is torchvision's, or "timm:NAME".  Exit code 1 when a difference is above 1e-4.
Needs torch, torchvision, timm, safetensors, numpy."""
import comparing  # first: it says in a line what stops the script
import argparse, os, subprocess, sys, tempfile

try:  # a torchvision built against another PyTorch wants two operators declared first
    import torchvision_cpu  # noqa: F401
except ImportError:
    pass
import numpy, torch, torchvision, timm
from safetensors.torch import save_file

DEFAULT = "resnet18 resnet34 resnet50 resnet101 resnext50_32x4d wide_resnet50_2 mobilenet_v2 squeezenet1_0 " \
          "timm:mobilenetv2_110d timm:efficientnet_lite0 timm:tf_efficientnet_lite3 timm:efficientnet_b0 timm:tf_efficientnet_b0 " \
          "timm:efficientnet_b2 timm:convnext_tiny timm:vit_tiny_patch16_224 timm:vit_base_patch32_224 timm:deit_small_patch16_224".split()


def make(name):
    torch.manual_seed(sum(map(ord, name)))
    if name.startswith("timm:"):
        return timm.create_model(name[5:])
    return torchvision.models.get_model(name)


def settle_statistics(model, size):
    """Batch norm statistics estimated from data, scales and shifts off their initial 1 and 0."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.6, 1.4)
            torch.nn.init.normal_(module.bias, std=0.2)
            module.momentum = None  # cumulative average
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.02)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(8, 3, size, size))
    return model.eval()


def apart(a, b):
    return float((numpy.abs(a - b).max(1) / (b.max(1) - b.min(1))).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(os.path.dirname(__file__), "..", "build"))
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--precision", default="f32", help="of Diopter: f32, bf16x3 or bf16")
    parser.add_argument("names", nargs="*", default=DEFAULT)
    args = parser.parse_args()
    runner = os.path.join(args.build, "tests", "model_logits")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or DEFAULT:
            # A name that says nothing, but for what names and shapes cannot show.
            file = os.path.join(folder, ("" if "efficientnet" not in name and "deit" not in name else name.removeprefix("timm:") + "-") + "weights.safetensors")
            size = timm.create_model(name[5:], pretrained=False).default_cfg["input_size"][1] if name.startswith("timm:") else 224
            model = settle_statistics(make(name), size)
            x = torch.randn(args.pictures, 3, size, size)
            with torch.no_grad():
                golden = model(x).numpy()
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, file)
            x.permute(0, 2, 3, 1).contiguous().numpy().tofile(os.path.join(folder, "in"))
            subprocess.run([runner, file, os.path.join(folder, "in"), os.path.join(folder, "out"), str(args.pictures), str(size), args.precision],
                           check=True)
            ours = numpy.fromfile(os.path.join(folder, "out"), dtype=numpy.float32).reshape(golden.shape)
            difference = apart(ours, golden)
            line = f"{name:28s} {difference:.2e} of the range"
            if args.double:
                with torch.no_grad():
                    exact = model.double()(x.double()).numpy()
                line += f"; from double: ours {apart(ours, exact):.2e}, PyTorch's {apart(golden, exact):.2e}"
            print(line, flush=True)
            worst = max(worst, difference)
            os.unlink(file)
    sys.exit(worst > 1e-4)


main()
