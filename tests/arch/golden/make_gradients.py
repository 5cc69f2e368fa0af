#!/usr/bin/env python3
"""Writes gradients.txt: of some of timm's networks at small pictures, in training mode and in double, the loss, the logits and
the gradient of every parameter, each as a count, a sum of magnitudes and two products.

  make_gradients.py > gradients.txt

Weights, pictures and the factors of the products are numbers from a hash (as in tests/ops/make_golden.py), here and in
test_gradients.c, so that no weights have to be kept.  Needs torch and timm."""
import sys

try:  # a torchvision built against another PyTorch wants two operators declared first
    import torchvision_cpu  # noqa: F401
except ImportError:
    pass
import numpy as np
import timm
import torch
import torch.nn.functional as F

NETS = [("vit_tiny_patch16_224", 32), ("vit_small_patch32_224", 64), ("convnext_tiny", 64), ("efficientnet_b0", 64),
        ("tf_efficientnet_b0", 65)]
PICTURES, CLASSES, PICTURE_STREAM, PRODUCT_STREAM = 4, 7, 1, 80


def numbers(stream, count):
    i = np.arange(count, dtype=np.uint64)
    m = np.uint64(0xFFFFFFFF)
    h = (np.uint64(stream * 0x9E3779B1 & 0xFFFFFFFF) + i * np.uint64(0x85EBCA77) + np.uint64(0x165667B1)) & m
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(0x2C1B3C6D)) & m
    h = ((h ^ (h >> np.uint64(12))) * np.uint64(0x297A2D39)) & m
    h ^= h >> np.uint64(15)
    return ((h >> np.uint64(8)).astype(np.float32) / np.float32(8388608) - np.float32(1)).astype(np.float32)


def stream_of(name):
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def value(name, shape):
    n = numbers(stream_of(name), int(np.prod(shape)))
    if len(shape) == 1:
        one = not name.endswith(("bias", "running_mean"))
        return (n / np.float32(4) + np.float32(one)).reshape(shape)
    scale = 0.5 if len(shape) == 3 else 1.3 * np.sqrt(3 / np.prod(shape[1:]))
    return (n * np.float32(scale)).reshape(shape)


def put(net, what, name, t):
    t = t.detach().contiguous().view(-1).numpy()
    products = [float(np.dot(t, numbers(PRODUCT_STREAM + p, t.size).astype(np.float64))) for p in range(2)]
    print(f"{net} {what} {name} {t.size} {np.abs(t).sum():.9g} {products[0]:.10g} {products[1]:.10g}")


def main():
    for name, size in NETS:
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        kind = {"img_size": size} if "vit" in name else {}
        model = timm.create_model(name, num_classes=CLASSES, drop_rate=0.0, **kind).double().train()
        state = model.state_dict()
        for key, old in state.items():
            if old.is_floating_point():
                state[key] = torch.from_numpy(value(key, tuple(old.shape))).double()
        model.load_state_dict(state)
        x = torch.from_numpy(2 * numbers(PICTURE_STREAM, PICTURES * size * size * 3)).double().view(PICTURES, size, size, 3)
        logits = model(x.permute(0, 3, 1, 2))
        loss = F.cross_entropy(logits, torch.arange(PICTURES) % CLASSES)
        loss.backward()
        print(f"{name} size {size}")
        put(name, "loss", "-", loss)
        put(name, "logits", "-", logits)
        for key, param in model.named_parameters():
            put(name, "gradient", key, param.grad)


main()
