#!/usr/bin/env python3
"""Golden sums for check_ops: PyTorch's outputs and gradients, in double, for every case line of every operator.

    make_golden.py BUILD/tests/check_ops > golden/cases.txt

The numbers of a case come from a hash, here and in harness.c.  For each tensor one line:
op|case|mode|tensor TAB count, sum of magnitudes, sum of the magnitudes that went into it (0: not linear), four products.
Activations are channels last, as Diopter keeps them; parameters and their gradients are in PyTorch's order.
"""
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
INPUT, PARAM, DY, GOLDEN = 1, 20, 40, 80


def numbers(stream, count):
    i = np.arange(count, dtype=np.uint64)
    m = np.uint64(0xFFFFFFFF)
    h = (np.uint64(stream * 0x9E3779B1 & 0xFFFFFFFF) + i * np.uint64(0x85EBCA77) + np.uint64(0x165667B1)) & m
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(0x2C1B3C6D)) & m
    h = ((h ^ (h >> np.uint64(12))) * np.uint64(0x297A2D39)) & m
    h ^= h >> np.uint64(15)
    return ((h >> np.uint64(8)).astype(np.float32) / np.float32(8388608) - np.float32(1)).astype(np.float32)


def first(x):
    """channels last -> channels first"""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def ints(a, name, count, default):
    if name not in a:
        return [default] * count
    v = [int(n) for n in a[name].split(",")]
    return (v * count)[:count]


def pads(x, p, value=0.0):
    """top, left, bottom, right"""
    return F.pad(x, (p[1], p[3], p[0], p[2]), value=value)


ACTIVATION = {
    "none": lambda x: x, "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "mish": F.mish, "softplus": F.softplus, "elu": F.elu,
}


def conv_pads(a, size):
    kernel, stride, dilation = ints(a, "kernel", 2, 1), ints(a, "stride", 2, 1), ints(a, "dilation", 2, 1)
    if a.get("pad_mode") != "same":
        return ints(a, "padding", 4, 0)
    before, after = [], []
    for axis in range(2):
        out = -(-size[axis] // stride[axis])
        total = max((out - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - size[axis], 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


class Conv:
    def params(self, a, x):
        channels, out, groups = x[0].shape[-1], int(a["out"]), int(a.get("groups", 1))
        kernel = ints(a, "kernel", 2, 1)
        names = [("weight", (out, channels // groups, *kernel), 0)]
        return names + [("bias", (out,), 0)] if a.get("bias") == "1" else names

    def run(self, a, x, p, train):
        y = F.conv2d(pads(first(x[0]), conv_pads(a, x[0].shape[1:3])), p["weight"], p.get("bias"), ints(a, "stride", 2, 1), 0,
                     ints(a, "dilation", 2, 1), int(a.get("groups", 1)))
        y = last(y)
        if len(x) > 1:
            y = y + x[1]
        return ACTIVATION[a.get("activation", "none")](y)


class Linear:
    def params(self, a, x):
        names = [("weight", (int(a["out"]), x[0].shape[-1]), 0)]
        return names + [("bias", (int(a["out"]),), 0)] if a.get("bias", "1") == "1" else names

    def run(self, a, x, p, train):
        y = F.linear(x[0], p["weight"], p.get("bias"))
        if len(x) > 1:
            y = y + x[1]
        return ACTIVATION[a.get("activation", "none")](y)


class BatchNorm:
    def params(self, a, x):
        c = (x[0].shape[-1],)
        return [("weight", c, 1), ("bias", c, 0), ("running_mean", c, 0), ("running_var", c, 1)]

    def run(self, a, x, p, train):
        y = F.batch_norm(first(x[0]), p["running_mean"], p["running_var"], p["weight"], p["bias"], train, float(a.get("momentum", 0.1)),
                         float(a.get("eps", 1e-5)))
        return last(y)


class Norm:
    def __init__(self, group):
        self.group = group

    def params(self, a, x):
        c = (x[0].shape[-1],)
        return [("weight", c, 1), ("bias", c, 0)]

    def run(self, a, x, p, train):
        eps = float(a.get("eps", 1e-5))
        if self.group:
            return last(F.group_norm(first(x[0]), int(a["groups"]), p["weight"], p["bias"], eps))
        return F.layer_norm(x[0], x[0].shape[-1:], p["weight"], p["bias"], eps)


class Own:
    """One parameter, called as its node: no name here."""

    def __init__(self, shape, fn):
        self.shape, self.fn = shape, fn

    def params(self, a, x):
        return [("", self.shape(x[0].shape), 0)]

    def run(self, a, x, p, train):
        return self.fn(x[0], p[""])


def flat(x):
    return x.reshape(x.shape[0], -1, x.shape[-1])


def attention(a, x):
    n, t, d = x[0].shape
    q, k, v = x[0].reshape(n, t, 3, int(a["heads"]), -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d // 3)


class Plain:
    """No parameters."""

    def __init__(self, fn):
        self.fn = fn

    def params(self, a, x):
        return []

    def run(self, a, x, p, train):
        return self.fn(a, x)


def ceil_pads(a, size, p):
    """Padding behind, enlarged so that floor gives ceil_mode's size (the window still starts on a pixel or before)."""
    kernel, stride = ints(a, "kernel", 2, 1), ints(a, "stride", 2, 1)
    extra = [0, 0]
    if a.get("ceil_mode") == "1":
        for axis in range(2):
            room = size[axis] + p[axis] + p[axis + 2] - kernel[axis]
            out = room // stride[axis] + 1
            if room % stride[axis] and out * stride[axis] < size[axis] + p[axis]:
                extra[axis] = (out * stride[axis]) - room
    return extra


def max_pool(a, x):
    p = ints(a, "padding", 4, 0)
    e = ceil_pads(a, x[0].shape[1:3], p)
    y = pads(first(x[0]), [p[0], p[1], p[2] + e[0], p[3] + e[1]], -np.inf)
    return last(F.max_pool2d(y, ints(a, "kernel", 2, 1), ints(a, "stride", 2, 1)))


def avg_pool(a, x):
    """Sum of the window over how many pixels count: by pooling a picture of ones that covers what counts."""
    p = ints(a, "padding", 4, 0)
    e = ceil_pads(a, x[0].shape[1:3], p)
    whole = [p[0], p[1], p[2] + e[0], p[3] + e[1]]
    k, s = ints(a, "kernel", 2, 1), ints(a, "stride", 2, 1)
    ones = torch.ones_like(first(x[0])[:1, :1])
    if a.get("count_include_pad", "1") == "1":
        ones = pads(pads(ones, p, 1.0), [0, 0, e[0], e[1]])
    else:
        ones = pads(ones, whole)
    area = float(k[0] * k[1])
    return last(F.avg_pool2d(pads(first(x[0]), whole), k, s) * area / (F.avg_pool2d(ones, k, s) * area))


def global_avg_pool(a, x):
    dims = tuple(range(1, x[0].dim() - 1))
    return x[0].mean(dims, keepdim=a.get("keep_dims") == "1")


def subsample_pad(a, x):
    s, c = int(a.get("stride", 2)), int(a["channels"])
    new = c - x[0].shape[-1]
    return F.pad(x[0][:, ::s, ::s], (new // 2, new - new // 2))


class CrossEntropy:
    def params(self, a, x):
        return [("class_weight", (x[0].shape[-1],), 1)] if a.get("class_weights") == "1" else []

    def run(self, a, x, p, train):
        return F.cross_entropy(x[0], x[1], weight=p.get("class_weight"), label_smoothing=float(a.get("smoothing", 0)))


OPS = {
    "conv": Conv(), "linear": Linear(), "batch_norm": BatchNorm(), "layer_norm": Norm(False), "group_norm": Norm(True),
    "attention": Plain(attention), "select_token": Plain(lambda a, x: x[0][:, int(a.get("index", 0))]),
    "prepend_token": Own(lambda s: (1, 1, s[-1]), lambda x, p: torch.cat((p.expand(x.shape[0], -1, -1), flat(x)), 1)),
    "add_embedding": Own(lambda s: (1, int(np.prod(s[1:-1])), s[-1]), lambda x, p: x + p.reshape(1, *x.shape[1:])),
    "layer_scale": Own(lambda s: (s[-1],), lambda x, p: x * p),
    "activation": Plain(lambda a, x: ACTIVATION[a["kind"]](x[0])), "add": Plain(lambda a, x: x[0] + x[1]), "mul": Plain(lambda a, x: x[0] * x[1]),
    "concat": Plain(lambda a, x: torch.cat(x, -1)), "max_pool": Plain(max_pool), "avg_pool": Plain(avg_pool),
    "global_avg_pool": Plain(global_avg_pool), "flatten": Plain(lambda a, x: first(x[0]).flatten(1)), "dropout": Plain(lambda a, x: x[0] * 1),
    "subsample_pad": Plain(subsample_pad), "softmax_cross_entropy": CrossEntropy(),
}
def norm_sizes(line):
    """A batch norm's input gradient is a difference of terms of about |dy| w / deviation, which may cancel."""
    shapes, attrs = parse(line)
    x = make_inputs(shapes)[0].detach()
    c = x.shape[-1]
    weight = torch.from_numpy(np.float32(1) + numbers(PARAM, c) / np.float32(2)).double()
    deviation = (x.view(-1, c).var(0, unbiased=False) + float(attrs.get("eps", 1e-5))).sqrt()
    dy = torch.from_numpy(numbers(DY, x.numel())).double().view(-1, c)
    return {"dx0": (3 * dy.abs() * weight / deviation).numpy()}


def row_norm_sizes(op, line):
    """The same for the other norms: terms of about |dy| w / deviation."""
    shapes, attrs = parse(line)
    x = make_inputs(shapes)[0].detach()
    n, c = x.shape[0], x.shape[-1]
    weight = torch.from_numpy(np.float32(1) + numbers(PARAM, c) / np.float32(2)).double()
    dy = torch.from_numpy(numbers(DY, x.numel())).double().view(x.shape)
    eps = float(attrs.get("eps", 1e-5))
    if op == "layer_norm":
        deviation = (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
    else:
        g = int(attrs["groups"])
        deviation = (x.view(n, -1, g, c // g).var((1, 3), unbiased=False, keepdim=True) + eps).sqrt()
        deviation = deviation.expand(n, 1, g, c // g).reshape((n,) + (1,) * (x.dim() - 2) + (c,))
    return {"dx0": (3 * dy.abs() * weight / deviation).numpy()}


def attention_sizes(line):
    """A probability is as uncertain as its score, which is a sum of |q||k|; gradients through softmax are differences."""
    shapes, attrs = parse(line)
    x = make_inputs(shapes)[0].detach().abs()
    n, t, d = x.shape
    q, k, v = x.reshape(n, t, 3, int(attrs["heads"]), -1).permute(2, 0, 3, 1, 4)
    scale = q.shape[-1] ** -0.5
    p = make_inputs(shapes)[0].detach().reshape(n, t, 3, int(attrs["heads"]), -1).permute(2, 0, 3, 1, 4)
    p = (p[0] @ p[1].transpose(-1, -2) * scale).softmax(-1)
    doubt = 1 + scale * (q @ k.transpose(-1, -2)).max()
    dy = torch.from_numpy(numbers(DY, n * t * d // 3)).double().abs().view(n, t, int(attrs["heads"]), -1).transpose(1, 2)
    dp = dy @ v.transpose(-1, -2)
    ds = scale * p * (dp + (p * dp).sum(-1, keepdim=True))
    dx = torch.stack((ds @ k, ds.transpose(-1, -2) @ q, p.transpose(-1, -2) @ dy))
    return {"y": (doubt * (p @ v)).numpy(), "dx0": (doubt * dx).numpy()}


NO_GRADIENT = {("softmax_cross_entropy", 1)}
SKIPPED = {("dropout", "train")}  # random: tests/ops/test_dropout.c
LINEAR = {"conv", "linear"}


def parse(line):
    words = line.split("#")[0].split()
    shapes = words[0][3:].split(",")
    attrs = dict(w.split("=") for w in words[1:])
    return [(s.startswith("i"), [int(d) for d in s.lstrip("i").split("x")]) for s in shapes], attrs


def make_inputs(shapes):
    x = []
    classes = shapes[0][1][-1]
    for i, (whole, dims) in enumerate(shapes):
        n = numbers(INPUT + i, int(np.prod(dims)))
        if whole:
            x.append(torch.from_numpy(((n + np.float32(1)).astype(np.float64) / 2 * classes).astype(np.int64)).view(dims))
        else:
            x.append(torch.from_numpy(4 * n).double().view(dims).requires_grad_())
    return x


def compute(op, line, mode, magnitude):
    """Tensors by name; with magnitude, of the absolute values of everything (and no activation)."""
    shapes, attrs = parse(line)
    x = make_inputs(shapes)
    if magnitude:
        attrs.pop("activation", None)
        x = [v.detach().abs().requires_grad_() if v.is_floating_point() else v for v in x]
    params = {}
    for i, (name, dims, one) in enumerate(OPS[op].params(attrs, x)):
        value = torch.from_numpy(np.float32(one) + numbers(PARAM + i, int(np.prod(dims))) / np.float32(2)).double().view(dims)
        params[name] = (value.abs() if magnitude else value).requires_grad_(not name.startswith("running") and name != "class_weight")
    y = OPS[op].run(attrs, x, params, mode == "train")
    dy = torch.from_numpy(numbers(DY, y.numel())).double().view(y.shape)
    y.backward(dy.abs() if magnitude else dy)
    out = {"y": y}
    for i, v in enumerate(x):
        if v.is_floating_point() and (op, i) not in NO_GRADIENT:
            out[f"dx{i}"] = v.grad if v.grad is not None else torch.zeros_like(v)
    for name, value in params.items():
        if value.requires_grad:
            out[f"d_{name}"] = value.grad
        elif name.startswith("running"):
            out[name] = value
    return {k: v.detach().contiguous().view(-1).numpy() for k, v in out.items()}


def main():
    listed = subprocess.run([sys.argv[1], "--list"], check=True, capture_output=True, text=True).stdout.splitlines()
    for entry in listed:
        op, line, mode = entry.split("|")
        if op not in OPS or (op, mode) in SKIPPED:
            print(f"no PyTorch twin: {entry}", file=sys.stderr)
            continue
        tensors = compute(op, line, mode, False)
        sizes = compute(op, line, mode, True) if op in LINEAR else {}
        if (op, mode) == ("batch_norm", "train"):
            sizes = norm_sizes(line)
        if op in ("layer_norm", "group_norm"):
            sizes = row_norm_sizes(op, line)
        if op == "attention":
            sizes = attention_sizes(line)
        for name, t in tensors.items():
            condition = float(np.abs(sizes[name]).sum()) if name in sizes else 0.0
            products = [float(np.dot(t, numbers(GOLDEN + p, t.size).astype(np.float64))) for p in range(4)]
            print(f"{entry}|{name}\t{t.size} {np.abs(t).sum():.9g} {condition:.3g} " + " ".join(f"{v:.12g}" for v in products))


main()
