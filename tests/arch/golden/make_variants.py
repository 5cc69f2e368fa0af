#!/usr/bin/env python3
"""Writes variants.csv: for each architecture and naming the entries of the state dict that PyTorch's libraries make, as a
count and a SHA-256 over lines "name [shape]", and the number of parameters.

Transformers and ConvNeXt list their parameters in an order that no graph has: their lines are sorted.
Needs torch, torchvision and timm; --cifar FOLDER has akamaster's cifar10-resnet*.th, --lite FOLDER the unpacked package
efficientnet-lite-pytorch.  With --dump VARIANT NAMING the lines themselves are printed."""
import argparse, glob, hashlib, os, sys

try:  # a torchvision built against another PyTorch wants two operators declared first
    import torchvision_cpu  # noqa: F401
except ImportError:
    pass
import torch, torchvision, timm

RESNETS = "resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2 resnext50_32x4d resnext101_32x8d resnext101_64x4d".split()
TIMM = RESNETS + ["resnet26", "resnext101_32x4d", "resnext101_32x16d", "resnext101_32x32d"] + [
    f"mobilenetv2_{w}" for w in "035 050 075 100 110d 120d 140".split()] + [
    f"{p}efficientnet_lite{i}" for p in ("", "tf_") for i in range(5)] + [
    f"{p}efficientnet_b{i}" for p in ("", "tf_") for i in range(8)]
SORTED = [f"vit_{w}_patch16_{s}" for w in ("tiny", "small", "base", "large") for s in (224, 384)] + [
    f"vit_{w}_patch32_{s}" for w in ("small", "base", "large") for s in (224, 384)] + [
    f"deit_{w}_patch16_224" for w in ("tiny", "small", "base")] + ["deit_base_patch16_384"] + [
    f"convnext_{w}" for w in ("tiny", "small", "base", "large")]


def models(args):
    with torch.device("meta"):
        for name in RESNETS + ["squeezenet1_0", "squeezenet1_1", "mobilenet_v2"]:
            yield name, "torchvision", torchvision.models.get_model(name).state_dict()
        for name in TIMM + SORTED:
            yield name, "timm", timm.create_model(name, num_classes=1000).state_dict()
        yield "mobilenet_v2", "timm", timm.create_model("mobilenetv2_100").state_dict()
    if args.lite:
        sys.path.insert(0, args.lite)
        from efficientnet_lite_pytorch import EfficientNet
        for i in range(5):
            yield f"tf_efficientnet_lite{i}", "lukemelas", EfficientNet.from_name(f"efficientnet-lite{i}").state_dict()
    for path in sorted(glob.glob(os.path.join(args.cifar or "", "cifar10-resnet*.th"))) if args.cifar else []:
        tensors = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        variant = os.path.basename(path).split("-")[1] + "_cifar"
        yield variant, "akamaster", {k.removeprefix("module."): v for k, v in tensors.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cifar")
    parser.add_argument("--lite")
    parser.add_argument("--dump", nargs=2)
    args = parser.parse_args()
    if not args.dump:
        print("variant,naming,entries,parameters,sha256")
    for variant, naming, tensors in models(args):
        lines = [f"{k} {list(v.shape)}\n" for k, v in tensors.items()]
        if variant in SORTED:
            lines.sort()
        if args.dump == [variant, naming]:
            print("".join(lines), end="")
        if args.dump:
            continue
        parameters = sum(v.numel() for k, v in tensors.items() if "running_" not in k and "num_batches" not in k)
        print(f"{variant},{naming},{len(lines)},{parameters},{hashlib.sha256(''.join(lines).encode()).hexdigest()}")


main()
