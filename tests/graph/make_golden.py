#!/usr/bin/env python3
"""Writes golden/train_resnet.safetensors (a small ResNet's weights and 16 pictures with labels) and golden/train_resnet.txt (ten
steps of training in PyTorch, in double).  Needs torch, torchvision, safetensors.

Step k takes pictures 0 to 7 when k is even and 8 to 15 when it is odd.  Lines of the text: "variant kind name numbers...".  Kinds:
set (settings), losses, grad (of the first step) and final and ema (sum, sum of magnitudes, first eight numbers), norms (of
gradients), logits (of two pictures)."""
import math
import pathlib

import torch
import torch.nn as nn
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock

GOLDEN = pathlib.Path(__file__).parent / "golden"
torch.set_num_threads(1)

VARIANTS = {
    "sgd": dict(opt="sgd", lr=.05, momentum=.9, wd=5e-4),
    "sgd_nesterov_smooth": dict(opt="sgd", lr=.05, momentum=.9, nesterov=True, wd=1e-3, smoothing=.1),
    "sgd_class_weight": dict(opt="sgd", lr=.02, momentum=.9, dampening=.1, class_weight=[.5, 1, 2, 1.5, .75], smoothing=.1),
    "sgd_bn_eval": dict(opt="sgd", lr=.05, momentum=.9, wd=5e-4, freeze="bn"),
    "sgd_frozen_bn_train": dict(opt="sgd", lr=.05, momentum=.9, wd=5e-4, freeze="weights"),
    "sgd_head_only": dict(opt="sgd", lr=.1, momentum=.9, head_only=True),
    "adamw": dict(opt="adamw", lr=3e-3, wd=.05),
    "adamw_clip_cosine_ema": dict(opt="adamw", lr=3e-3, wd=.05, clip=1., cosine=True, ema=.9, no_decay_1d=True),
}


class TinyResNet(nn.Module):
    """torchvision's names; a 3x3 stem of 8 channels, max pooling 3/2/1, one basic block each of 8, 16 and 32 channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2, self.shortcut(8, 16)))
        self.layer3 = nn.Sequential(BasicBlock(16, 32, 2, self.shortcut(16, 32)))
        self.fc = nn.Linear(32, 5)

    @staticmethod
    def shortcut(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def make():
    """No scale of a norm is one, no shift zero."""
    torch.manual_seed(1234)
    model = TinyResNet()
    random = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name == "fc.bias":
                p.copy_(torch.randn(p.shape, generator=random) * .05)
            elif p.dim() == 1:
                p.add_(torch.randn(p.shape, generator=random) * .1)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(torch.randn(b.shape, generator=random) * .1)
            elif name.endswith("running_var"):
                b.copy_(torch.rand(b.shape, generator=random) + .5)
    return model


def pictures():
    random = torch.Generator().manual_seed(7)
    x = torch.randn(16, 3, 24, 24, generator=random)
    y = torch.randint(0, 5, (16,), generator=random)
    return (x + y.view(-1, 1, 1, 1) * .25).contiguous(), y  # a little signal


def freeze(model, settings):
    if "freeze" in settings:
        for name, p in model.named_parameters():
            p.requires_grad = name.startswith(("layer3", "fc"))
    if settings.get("freeze") == "bn":
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    if settings.get("head_only"):
        model.eval()
        for name, p in model.named_parameters():
            p.requires_grad = name.startswith("fc")


def make_optimizer(model, s):
    groups = [p for p in model.parameters() if p.requires_grad]
    if s.get("no_decay_1d"):
        groups = [dict(params=[p for p in groups if p.dim() > 1]), dict(params=[p for p in groups if p.dim() <= 1], weight_decay=0.)]
    if s["opt"] == "sgd":
        return torch.optim.SGD(groups, lr=s["lr"], momentum=s.get("momentum", 0), weight_decay=s.get("wd", 0),
                               nesterov=s.get("nesterov", False), dampening=s.get("dampening", 0))
    return torch.optim.AdamW(groups, lr=s["lr"], betas=(.9, .999), eps=1e-8, weight_decay=s.get("wd", .01))


def numbers(tensor):
    tensor = tensor.detach()
    return [float(tensor.sum()), float(tensor.abs().sum()), *tensor.reshape(-1)[:8].tolist()]


def line(file, *words):
    print(*[f"{float(f'{w:.10g}'):.10g}" if isinstance(w, float) else w for w in words], file=file)


def train(file, variant, settings, x, y):
    model = make().double().train()
    freeze(model, settings)
    optimizer = make_optimizer(model, settings)
    weight = torch.tensor(settings["class_weight"], dtype=x.dtype) if "class_weight" in settings else None
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.get("smoothing", 0.), weight=weight)
    average = {name: t.detach().clone() for name, t in model.state_dict().items()}
    losses, norms, gradients = [], [], {}
    for step in range(10):
        if settings.get("cosine"):  # three steps of warm-up, then half a cosine to zero at step 10
            factor = (step + 1) / 3 if step < 3 else .5 * (1 + math.cos(math.pi * (step - 3) / 7))
            for group in optimizer.param_groups:
                group["lr"] = settings["lr"] * factor
        batch = slice(0, 8) if step % 2 == 0 else slice(8, 16)
        loss = criterion(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            gradients = {name: numbers(p.grad) for name, p in model.named_parameters() if p.grad is not None}
        if "clip" in settings:
            norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])))
        optimizer.step()
        if "ema" in settings:
            for name, t in model.state_dict().items():
                if t.is_floating_point():
                    average[name].mul_(settings["ema"]).add_(t, alpha=1 - settings["ema"])
        losses.append(float(loss.detach()))

    for name, value in settings.items():
        line(file, variant, "set", name, *(value if isinstance(value, list) else [value]))
    line(file, variant, "losses", "-", *losses)
    final = {name: t for name, t in model.state_dict().items() if t.is_floating_point()}
    for name, values in gradients.items():
        line(file, variant, "grad", name, *values)
    for name, t in final.items():
        line(file, variant, "final", name, *numbers(t))
    if "ema" in settings:
        for name in final:
            line(file, variant, "ema", name, *numbers(average[name]))
    if norms:
        line(file, variant, "norms", "-", *norms)
    model.eval()
    with torch.no_grad():
        line(file, variant, "logits", "after", *model(x[:2]).reshape(-1).tolist())


def main():
    x, y = pictures()
    model = make()
    save_file({**{name: t.contiguous() for name, t in model.state_dict().items()}, "x": x, "y": y.float()},
              GOLDEN / "train_resnet.safetensors")
    with open(GOLDEN / "train_resnet.txt", "w") as file:
        with torch.no_grad():
            line(file, "-", "logits", "before", *model.eval().double()(x[:2].double()).reshape(-1).tolist())
        for variant, settings in VARIANTS.items():
            train(file, variant, settings, x.double(), y)


main()
