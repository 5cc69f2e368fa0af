#!/usr/bin/env python3
"""Exports every shared model of the known families in each form, and opens the result where it is meant to open: strictly in
torchvision and timm, create_model("local-dir:FOLDER") included, with the same logits as the origin.

  check_exports.py BUILD SHARED      exit code 77 when torch or the models are missing."""
import json, os, subprocess, sys, tempfile

try:
    import torch, torchvision, timm
    from safetensors.torch import load_file
    from safetensors import safe_open
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

build, shared = sys.argv[1], sys.argv[2]
models = os.path.join(shared, "models")
if not os.path.isdir(models):
    print("skipped:", models, "is not there")
    sys.exit(77)
torch.manual_seed(0)
picture = torch.randn(2, 3, 64, 64)


def convert(model, out, names="origin", dtype="F32", head=None):
    command = [os.path.join(build, "tests", "model_convert"), model, out, names, dtype] + ([str(head)] if head else [])
    subprocess.run(command, check=True)
    return out


def logits(net, tensors, strict=True):
    net.load_state_dict(tensors, strict=strict)
    with torch.no_grad():
        return net.eval()(picture)


def same(a, b, bound=0.0):
    difference = ((a - b).abs().max() / (b.max() - b.min())).item()
    assert difference <= bound, difference
    return difference


def tv(name, classes=1000):
    return torchvision.models.get_model(name, num_classes=classes)


def wrapped(path):
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    file = lambda name: os.path.join(models, name)

    # SqueezeNet, legacy pickle: every container and type.
    source = file("pth/squeezenet1_1-imagenet-f32-legacy.pth")
    golden = logits(tv("squeezenet1_1"), torch.load(source, weights_only=True))
    same(logits(tv("squeezenet1_1"), load_file(convert(source, at("a.safetensors")))), golden)
    same(logits(tv("squeezenet1_1"), torch.load(convert(source, at("a.pth"), "torchvision"), weights_only=True)), golden)
    for dtype, torch_type, bound in (("F16", torch.float16, 2e-3), ("BF16", torch.bfloat16, 2e-2)):
        tensors = load_file(convert(source, at(dtype + ".safetensors"), dtype=dtype))
        assert all(v.dtype == torch_type for v in tensors.values())
        want = {k: v.to(torch_type) for k, v in torch.load(source, weights_only=True).items()}
        assert all(torch.equal(v, want[k]) for k, v in tensors.items())
        same(logits(tv("squeezenet1_1"), {k: v.float() for k, v in tensors.items()}), golden, bound)
    print("squeezenet1_1: safetensors and .pth, f32, f16, bf16")

    # bf16 to bf16 and f16 to f16 give the file's own numbers back.
    for name, dtype in (("safetensors/squeezenet1_1-imagenet-bf16.safetensors", "BF16"),
                        ("safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors", "F16")):
        before, after = load_file(file(name)), load_file(convert(file(name), at("same.safetensors"), dtype=dtype))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[k], after[k]) and before[k].dtype == after[k].dtype for k in before), name
    print("bf16 and f16 files: the same tensors again")

    # A new head, in torchvision's fine-tuning form.
    tensors = load_file(convert(source, at("four.safetensors"), head=4))
    net = tv("squeezenet1_1")
    net.classifier[1] = torch.nn.Conv2d(512, 4, 1)
    assert logits(net, tensors).shape == (2, 4)

    # MobileNetV2 without a head gets one; torchvision's and timm's names.
    source = file("pth/mobilenet_v2-imagenet-features-f32-zip.pth")
    mine = logits(tv("mobilenet_v2", 4), load_file(convert(source, at("m.safetensors"), head=4)))
    timms = logits(timm.create_model("mobilenetv2_100", num_classes=4), load_file(convert(source, at("t.safetensors"), "timm", head=4)))
    same(timms, mine, 1e-5)
    backbone = torch.load(source, weights_only=True)
    assert all(torch.equal(v, torch.load(convert(source, at("b.pth")), weights_only=True)[k]) for k, v in backbone.items())
    print("mobilenet_v2: a new head, torchvision and timm names")

    # A folder for timm.
    convert(source, at("folder"), "timm", head=4)
    net = timm.create_model("local-dir:" + at("folder"), pretrained=True).eval()
    with torch.no_grad():
        same(net(picture), timms)
    config = json.load(open(at("folder/config.json")))
    assert net.pretrained_cfg["label_names"] == ["ant \"a\"", "bee", "cat", "dog"], net.pretrained_cfg
    assert timm.data.resolve_model_data_config(net)["crop_pct"] == 0.875
    assert net.num_classes == 4 and config["architecture"] == "mobilenetv2_100"
    assert timm.create_model("local-dir:" + at("folder"), pretrained=True, num_classes=7).eval()(picture).shape == (2, 7)

    # The same where nobody asked for names, and where somebody did.
    convert(source, at("free"), "free", head=4)
    with torch.no_grad():
        same(timm.create_model("local-dir:" + at("free"), pretrained=True).eval()(picture), timms)
    convert(source, at("kept"), "origin", head=4)
    assert "features.0.0.weight" in load_file(at("kept/model.safetensors")) and not os.path.exists(at("kept/config.json"))

    # timm has no SqueezeNet: its keys under our name, and we read the folder back.
    convert(file("pth/squeezenet1_1-imagenet-f32-legacy.pth"), at("squeeze"), "free")
    config = json.load(open(at("squeeze/config.json")))
    assert config["architecture"] == "squeezenet1_1" and config["num_classes"] == 1000, config
    assert config["pretrained_cfg"]["classifier"] == "classifier.1" and config["pretrained_cfg"]["input_size"] == [3, 224, 224], config
    before = torch.load(file("pth/squeezenet1_1-imagenet-f32-legacy.pth"), weights_only=True)
    after = load_file(convert(at("squeeze"), at("squeeze.safetensors")))
    assert before.keys() == after.keys() and all(torch.equal(after[k], v) for k, v in before.items())

    # EfficientNet-Lite0, f16 file, and back from lukemelas' names.
    source = file("safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors")
    lite = timm.create_model("tf_efficientnet_lite0")
    golden = logits(lite, {k: v.float() if v.is_floating_point() else v for k, v in load_file(source).items()})
    convert(source, at("lite"))
    net = timm.create_model("local-dir:" + at("lite"), pretrained=True).eval()
    with torch.no_grad():
        same(net(picture), golden)
    data = timm.data.resolve_model_data_config(net)
    assert list(data["mean"]) == [0.5] * 3 and data["interpolation"] == "bicubic" and data["crop_pct"] == 0.875, data
    convert(source, at("luke.pth"), "lukemelas")
    assert "_blocks.15._project_conv.weight" in torch.load(at("luke.pth"), weights_only=True)
    tensors = torch.load(convert(at("luke.pth"), at("back.pth"), "timm"), weights_only=True)
    same(logits(lite, tensors), golden)
    convert(at("luke.pth"), at("from_luke"), "free")
    with torch.no_grad():
        same(timm.create_model("local-dir:" + at("from_luke"), pretrained=True).eval()(picture), golden)
    print("tf_efficientnet_lite0: timm's folder; lukemelas' names and back")

    # CIFAR ResNet: the prefix comes back with --names origin, and is left out of the model's own file.
    source = file("pth/cifar10-resnet20-12fca82f.th")
    before = torch.load(source, map_location="cpu", weights_only=True)["state_dict"]
    after = torch.load(convert(source, at("c.pth")), weights_only=True)
    assert [k for k in after if "num_batches" not in k] == list(before) and all(torch.equal(after[k], v) for k, v in before.items())
    assert "linear.weight" in torch.load(convert(source, at("d.pth"), "akamaster"), weights_only=True)

    # torchvision has no such net, whatever the family calls its manner of naming.
    refused = subprocess.run([os.path.join(build, "tests", "model_convert"), source, at("no.pth"), "torchvision", "F32"], capture_output=True, text=True)
    assert refused.returncode == 2 and "torchvision has no such model" in refused.stderr and not os.path.exists(at("no.pth")), refused
    convert(source, at("small"), "free")
    assert json.load(open(at("small/config.json")))["architecture"] == "resnet20_cifar"
    convert(at("small"), at("small.pth"))

    # The self-describing file keeps names and numbers, and converts to the same things.
    convert(source, at("own.safetensors"), "self")
    with safe_open(at("own.safetensors"), "pt") as own:
        about = own.metadata()
    assert about["architecture"] == "resnet20_cifar" and about["diopter.origin_prefix"] == "module.", about
    again = torch.load(convert(at("own.safetensors"), at("e.pth")), weights_only=True)
    assert all(torch.equal(again[k], v) for k, v in before.items())
    print("resnet20_cifar: prefix kept; its own file and back")

    # ResNets: torchvision and timm share names; the folder opens in timm.
    torch.save(tv("resnet18", 4).state_dict(), at("resnet18.pth"))
    golden = logits(tv("resnet18", 4), torch.load(at("resnet18.pth"), weights_only=True))
    convert(at("resnet18.pth"), at("resnet"))
    with torch.no_grad():
        same(timm.create_model("local-dir:" + at("resnet"), pretrained=True).eval()(picture), golden, 1e-6)
    same(logits(tv("resnet18", 4), load_file(at("resnet/model.safetensors"))), golden)
    print("resnet18: one folder for timm and torchvision")
print("all exports open")
