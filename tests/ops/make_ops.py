#!/usr/bin/env python3
"""Writes golden/ops.safetensors: one small case for each operator or loss, input, parameters, output and gradients (the f32 values
of a run in double).  Needs torch and safetensors.

Tensors are named <case>/x, <case>/y, <case>/gy (the gradient that comes in), <case>/gx, <case>/<parameter>, <case>/g_<parameter>.
The cases come in the order in which they draw their random numbers: new ones go to the end."""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(5)
torch.set_num_threads(1)
tensors = {}
randn = torch.randn


def case(name, function, x, params=None):
    x = x.double().requires_grad_()
    params = {key: value.double().requires_grad_() for key, value in (params or {}).items()}
    y = function(x, **params)
    gy = torch.randn(y.shape, dtype=torch.float64)
    if y.dim() == 0:
        gy = torch.ones((), dtype=torch.float64)
    y.backward(gy)
    tensors.update({f"{name}/x": x, f"{name}/y": y, f"{name}/gy": gy, f"{name}/gx": x.grad})
    for key, value in params.items():
        tensors.update({f"{name}/{key}": value, f"{name}/g_{key}": value.grad})


def activations():
    wide = torch.linspace(-6, 6, 97).view(1, 97)  # -3, 0, 3 and 6 are among them
    functions = dict(relu=F.relu, relu6=F.relu6, silu=F.silu, gelu=F.gelu, gelu_tanh=lambda x: F.gelu(x, approximate="tanh"),
                     quick_gelu=lambda x: x * torch.sigmoid(1.702 * x), hardswish=F.hardswish, hardsigmoid=F.hardsigmoid,
                     sigmoid=torch.sigmoid, mish=F.mish, softplus=F.softplus, elu=F.elu)
    for name, function in functions.items():
        case(name, function, wide)


def response_norm(x, weight, bias):
    """ConvNeXt V2's, channels last."""
    size = x.norm(p=2, dim=(1, 2), keepdim=True)
    return x + bias + weight * (x * (size / (size.mean(-1, keepdim=True) + 1e-6)))


def norms():
    scale = dict(weight=randn(6) * .2 + 1, bias=randn(6) * .2)
    mean, variance = (randn(6) * .3).double(), (torch.rand(6) + .5).double()

    def batch_norm(x, weight, bias, train):
        moved = mean.clone(), variance.clone()
        y = F.batch_norm(x, *moved, weight, bias, train, .1, 1e-5)
        if train:
            tensors["bn_train/running_mean_after"], tensors["bn_train/running_var_after"] = moved
        return y

    for name in "bn_train", "bn_eval":
        tensors[f"{name}/running_mean"], tensors[f"{name}/running_var"] = mean, variance
    case("bn_train", lambda x, **p: batch_norm(x, **p, train=True), randn(4, 6, 5, 3) * 2 + 1, scale)
    case("bn_eval", lambda x, **p: batch_norm(x, **p, train=False), randn(4, 6, 5, 3) * 2 + 1, scale)
    case("layer_norm", lambda x, weight, bias: F.layer_norm(x, (6,), weight, bias, 1e-6), randn(3, 4, 6), scale)
    case("layer_norm_2d", lambda x, weight, bias: F.layer_norm(x.movedim(1, -1), (6,), weight, bias, 1e-6).movedim(-1, 1),
         randn(2, 6, 3, 5), scale)
    case("group_norm", lambda x, weight, bias: F.group_norm(x, 3, weight, bias, 1e-5), randn(2, 6, 3, 5), scale)
    case("grn", response_norm, randn(2, 3, 5, 6), scale)


def pools():
    case("max_pool_ties", lambda x: F.max_pool2d(x, 3, 2, 1), torch.randint(0, 3, (1, 2, 9, 8)).float())
    case("max_pool_ceil", lambda x: F.max_pool2d(x, 3, 2, 0, ceil_mode=True), randn(1, 2, 8, 9))
    case("avg_pool_include", lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=True), randn(1, 2, 5, 6))
    case("avg_pool_exclude", lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), randn(1, 2, 5, 6))
    case("avg_pool_ceil", lambda x: F.avg_pool2d(x, 2, 2, 0, ceil_mode=True, count_include_pad=False), randn(1, 2, 5, 7))
    case("avg_pool_ceil_include", lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=True), randn(1, 2, 6, 7))
    case("adaptive_avg_7", lambda x: F.adaptive_avg_pool2d(x, (7, 7)), randn(1, 2, 5, 10))


def same_conv(x, weight):
    """TensorFlow's SAME padding for a stride of 2: the odd pixel at the bottom and on the right."""
    pad = [max((-(-size // 2) - 1) * 2 + 3 - size, 0) for size in x.shape[-2:]]
    return F.conv2d(F.pad(x, [pad[1] // 2, pad[1] - pad[1] // 2, pad[0] // 2, pad[0] - pad[0] // 2]), weight, None, 2)


def convolutions():
    weights = dict(weight=randn(6, 2, 3, 3) * .3, bias=randn(6))
    case("conv_group_dil", lambda x, weight, bias: F.conv2d(x, weight, bias, 2, 2, 2, 2), randn(2, 4, 9, 8), weights)
    case("conv_dw", lambda x, weight: F.conv2d(x, weight, None, 2, 2, 1, 6), randn(2, 6, 9, 8), dict(weight=randn(6, 1, 5, 5) * .3))
    weight = torch.nn.Conv2d(4, 6, 3, bias=False).weight.detach()
    case("conv_tf_same", same_conv, randn(2, 4, 9, 8), dict(weight=weight))


def attention(x, qkv_w, qkv_b, proj_w, proj_b, heads=2):
    n, t, d = x.shape
    q, k, v = F.linear(x, qkv_w, qkv_b).reshape(n, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    weights = (q * (d // heads) ** -.5 @ k.transpose(-2, -1)).softmax(-1)
    return F.linear((weights @ v).transpose(1, 2).reshape(n, t, d), proj_w, proj_b)


def squeeze_excite(x, w1, b1, w2, b2):
    return x * torch.sigmoid(F.conv2d(F.relu(F.conv2d(x.mean((2, 3), keepdim=True), w1, b1)), w2, b2))


def blocks():
    case("attention", attention, randn(2, 5, 8), dict(qkv_w=randn(24, 8) * .4, qkv_b=randn(24) * .1, proj_w=randn(8, 8) * .4,
                                                      proj_b=randn(8) * .1))
    case("se", squeeze_excite, randn(2, 6, 3, 4), dict(w1=randn(2, 6, 1, 1), b1=randn(2), w2=randn(6, 2, 1, 1), b2=randn(6)))
    case("layer_scale", lambda x, gamma: x * gamma, randn(2, 5, 6), dict(gamma=randn(6) * .1))
    case("bicubic_posembed", lambda x: F.interpolate(x, (5, 7), mode="bicubic", antialias=True), randn(1, 4, 4, 4))
    case("bicubic_posembed_down", lambda x: F.interpolate(x, (3, 4), mode="bicubic", antialias=True), randn(1, 4, 6, 6))
    case("bicubic_noaa", lambda x: F.interpolate(x, (5, 7), mode="bicubic", antialias=False), randn(1, 4, 4, 4))


def losses():
    y, weight = torch.tensor([0, 2, 4, 1]), torch.tensor([.5, 1, 2, 1.5, .75]).double()
    soft = torch.rand(4, 5).double()
    soft /= soft.sum(1, keepdim=True)
    tensors["ce/target"], tensors["ce/class_weight"], tensors["ce/soft_target"] = y, weight, soft
    logits = lambda: randn(4, 5) * 2
    case("ce_plain", lambda x: F.cross_entropy(x, y), logits())
    case("ce_smooth", lambda x: F.cross_entropy(x, y, label_smoothing=.1), logits())
    case("ce_weight", lambda x: F.cross_entropy(x, y, weight=weight), logits())
    case("ce_weight_smooth", lambda x: F.cross_entropy(x, y, weight=weight, label_smoothing=.1), logits())
    case("ce_soft", lambda x: F.cross_entropy(x, soft), logits())
    case("ce_soft_weight_smooth", lambda x: F.cross_entropy(x, soft, weight=weight, label_smoothing=.1), logits())
    several = (torch.rand(4, 5) > .6).double()
    positive = torch.tensor([1, 2, .5, 3, 1.]).double()
    tensors["bce/target"], tensors["bce/pos_weight"] = several, positive
    case("bce", lambda x: F.binary_cross_entropy_with_logits(x, several), logits())
    case("bce_pos_weight", lambda x: F.binary_cross_entropy_with_logits(x, several, pos_weight=positive), logits())

    def focal(x, alpha=.25, gamma=2.):
        p, loss = torch.sigmoid(x), F.binary_cross_entropy_with_logits(x, several, reduction="none")
        right = p * several + (1 - p) * (1 - several)
        return ((alpha * several + (1 - alpha) * (1 - several)) * loss * (1 - right) ** gamma).mean()

    def focal_softmax(x):
        loss = F.cross_entropy(x, y, reduction="none")
        return ((1 - (-loss).exp()) ** 2 * loss).mean()

    case("focal_sigmoid", focal, logits())
    case("focal_softmax", focal_softmax, logits())
    teacher = tensors["kd/teacher"] = logits()
    case("kd", lambda x: F.kl_div(F.log_softmax(x / 2, 1), F.softmax(teacher.double() / 2, 1), reduction="batchmean") * 4, logits())


def main():
    for group in activations, norms, pools, convolutions, blocks, losses:
        group()
    stored = {name: t.detach().to(torch.float32 if t.is_floating_point() else t.dtype).contiguous().clone() for name, t in tensors.items()}
    save_file(stored, pathlib.Path(__file__).parent / "golden/ops.safetensors")


main()
