#!/usr/bin/env python3
"""Writes golden/optimizers.csv (five steps of PyTorch's optimisers on six numbers, with fixed gradients) and
golden/schedules.csv (learning rates over 40 steps).  Needs torch; timm for its learning-rate schedules and averages."""
import csv
import math
import pathlib

import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from timm.utils import ModelEmaV3

GOLDEN = pathlib.Path(__file__).parent / "golden"
S = torch.optim.lr_scheduler
STEPS = 40

# Six numbers as a 2 x 3 matrix, and their gradients at five steps.
START = [1, -.5, .25, .1, -2, .75]
GRADIENTS = [[.5, -1, .25, 2, -.1, 0], [.4, -.8, .3, -1, .1, .01], [-.2, .1, .2, .5, -.3, .02], [.1, .05, -.6, .7, .2, -.03],
             [.3, -.4, .1, -.2, .05, .04]]
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, .1),
    "sgd_mom_wd": lambda p: torch.optim.SGD(p, .1, .9, 0, .01),
    "sgd_nesterov_wd": lambda p: torch.optim.SGD(p, .1, .9, 0, .01, True),
    "sgd_mom_damp0.1": lambda p: torch.optim.SGD(p, .1, .9, .1),
    "adamw": lambda p: torch.optim.AdamW(p, .1, weight_decay=.01),
}


def sgd(lr=.1):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=.9)


def of_torch(make, metric=None):
    optimizer = sgd()
    schedule, rates, momenta = make(optimizer), [], []
    for i in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if metric:
            schedule.step(metric[i])
        elif i < STEPS - 1:  # OneCycleLR refuses one step more
            schedule.step()
    return rates, momenta


def of_timm(make):
    optimizer = sgd()
    schedule, rates = make(optimizer), []
    for i in range(STEPS):
        schedule.step(i)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def one_cycle_of_fastai(share, div, div_final, top=.1):
    """Half a cosine from top / div up to top at this share of the steps, and half a cosine down to top / div_final."""
    def between(start, end, at):
        return start + (1 + math.cos(math.pi * (1 - at))) * (end - start) / 2
    at = [i / STEPS for i in range(STEPS)]
    return [between(top / div, top, a / share) if a < share else between(top, top / div_final, (a - share) / (1 - share)) for a in at]


def schedules():
    metric = [1 - .05 * min(i, 6) + .001 * (i % 3) for i in range(STEPS)]
    rate = lambda make: of_torch(make)[0]
    cycle = of_torch(lambda o: S.OneCycleLR(o, max_lr=.1, total_steps=STEPS))
    linear = of_torch(lambda o: S.OneCycleLR(o, max_lr=.1, total_steps=STEPS, three_phase=True, anneal_strategy="linear", pct_start=.25))
    average = ModelEmaV3(torch.nn.Linear(1, 1), decay=.9998, use_warmup=True)
    cosine = dict(lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6)
    return {
        "step7_g0.1": rate(lambda o: S.StepLR(o, 7, .1)),
        "multistep_10_25": rate(lambda o: S.MultiStepLR(o, [10, 25], .1)),
        "exp_0.95": rate(lambda o: S.ExponentialLR(o, .95)),
        "cosine_T40_min1e-4": rate(lambda o: S.CosineAnnealingLR(o, 40, 1e-4)),
        "warmrestart_T10_x2": rate(lambda o: S.CosineAnnealingWarmRestarts(o, 10, 2)),
        "linear5_then_cosine": rate(lambda o: S.SequentialLR(o, [S.LinearLR(o, .01, 1., 5), S.CosineAnnealingLR(o, 35)], [5])),
        "poly_p2": rate(lambda o: S.PolynomialLR(o, 40, 2.)),
        "onecycle_cos": cycle[0], "onecycle_cos_momentum": cycle[1],
        "onecycle_3phase_linear": linear[0], "onecycle_3phase_momentum": linear[1],
        "plateau": of_torch(lambda o: S.ReduceLROnPlateau(o, factor=.1, patience=3, threshold=1e-3, cooldown=2, min_lr=1e-5), metric)[0],
        "plateau_metric": metric,
        "timm_cosine_w5": of_timm(lambda o: CosineLRScheduler(o, t_initial=40, **cosine)),
        "timm_cosine_w5_prefix": of_timm(lambda o: CosineLRScheduler(o, t_initial=35, warmup_prefix=True, **cosine)),
        "timm_step12_w3": of_timm(lambda o: StepLRScheduler(o, decay_t=12, decay_rate=.3, warmup_t=3, warmup_lr_init=1e-4)),
        "fastai_onecycle_p25_d25": one_cycle_of_fastai(.25, 25., 1e5),
        "fastai_finetune_head_p99": one_cycle_of_fastai(.99, 25., 1e5),
        "fastai_finetune_body_p30_d5": one_cycle_of_fastai(.3, 5., 1e5),
        "timm_ema_decay_warmup": [average.get_decay(i) for i in range(STEPS)],
    }


def main():
    with open(GOLDEN / "optimizers.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow("optimizer step p0 p1 p2 p3 p4 p5".split())
        for name, make in OPTIMIZERS.items():
            p = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64).view(2, 3))
            optimizer = make([p])
            for step, gradient in enumerate(GRADIENTS):
                p.grad = torch.tensor(gradient, dtype=torch.float64).view(2, 3)
                optimizer.step()
                rows.writerow([name, step + 1] + [f"{v:.12g}" for v in p.detach().reshape(-1).tolist()])
    columns = schedules()
    with open(GOLDEN / "schedules.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["step", *columns])
        for i in range(STEPS):
            rows.writerow([i, *(f"{values[i]:.12g}" for values in columns.values())])


main()
