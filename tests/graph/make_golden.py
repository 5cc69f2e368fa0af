#!/usr/bin/env python3
"""golden/train_resnet.txt from the train.json of reference goldens (ten steps of PyTorch in double and in float).

    make_golden.py train.json > golden/train_resnet.txt

Lines: "variant kind name numbers...".  Kinds: set (settings), losses, grad and final and ema (sum, sum of magnitudes, first
numbers), norms (of gradients), logits (after the steps, two pictures)."""
import json
import sys

net = json.load(open(sys.argv[1]))["resnet"]


def line(*words):
    print(*[f"{w:.10g}" if isinstance(w, float) else w for w in words])


def flat(rows):
    return [v for row in rows for v in row]


line("-", "logits", "before", *flat(net["eval_logits_before"]))
for variant, run in net["variants"].items():
    for name, value in run["settings"].items():
        line(variant, "set", name, *(value if isinstance(value, list) else [value]))
    line(variant, "losses", "-", *run["losses64"])
    for kind, key in (("grad", "grads"), ("final", "final"), ("ema", "ema")):
        for name, (total, magnitude, head) in run.get(key, {}).items():
            line(variant, kind, name, total, magnitude, *head)
    if "grad_norms" in run:
        line(variant, "norms", "-", *run["grad_norms"])
    line(variant, "logits", "after", *flat(run["eval_logits_after"]))
