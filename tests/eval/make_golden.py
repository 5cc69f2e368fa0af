#!/usr/bin/env python3
"""Writes golden/metrics_scores.csv (200 labels with logits of five classes; the same for two classes and for several labels) and
golden/metrics.txt (what scikit-learn makes of the first two).  Needs numpy and scikit-learn."""
import csv
import pathlib

import numpy as np
import sklearn
from sklearn import metrics

GOLDEN = pathlib.Path(__file__).parent / "golden"
COUNT, CLASSES = 200, 5


def calibration_error(p, y, bins=15):
    confidence, right = p.max(1), p.argmax(1) == y
    edges, total = np.linspace(0, 1, bins + 1), 0.
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total


def main():
    random = np.random.RandomState(3)
    y = random.randint(0, CLASSES, COUNT)
    logits = np.round(random.randn(COUNT, CLASSES) * 1.5 + 2.2 * np.eye(CLASSES)[y], 3)
    two = (y >= 3).astype(int)
    score = np.round(random.rand(COUNT) * .5 + .3 * two, 2)  # two digits: many ties
    several = (random.rand(COUNT, CLASSES) < [.5, .3, .2, .1, .05]).astype(int)
    scores = np.round(random.rand(COUNT, CLASSES) * .6 + .3 * several, 3)
    with open(GOLDEN / "metrics_scores.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow("y l0 l1 l2 l3 l4 ybin score m0 m1 m2 m3 m4 s0 s1 s2 s3 s4".split())
        for i in range(COUNT):
            rows.writerow([y[i], *logits[i], two[i], score[i], *several[i], *scores[i]])

    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    guess = logits.argmax(1)
    found = {
        "accuracy": metrics.accuracy_score(y, guess),
        "top2": np.mean([(logits[i] > logits[i, y[i]]).sum() < 2 for i in range(COUNT)]),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, guess),
        "f1_macro": metrics.f1_score(y, guess, average="macro"),
        "f1_weighted": metrics.f1_score(y, guess, average="weighted"),
        "precision_macro": metrics.precision_score(y, guess, average="macro"),
        "recall_macro": metrics.recall_score(y, guess, average="macro"),
        "log_loss": metrics.log_loss(y, p),
        "brier_multi": ((p - np.eye(CLASSES)[y]) ** 2).sum(1).mean(),
        "ece15": calibration_error(p, y),
        "ovr_macro_auroc": metrics.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "binary_auroc": metrics.roc_auc_score(two, score),
        "binary_ap": metrics.average_precision_score(two, score),
    }
    found |= {f"auroc_{k}": metrics.roc_auc_score(y == k, p[:, k]) for k in range(CLASSES)}
    found |= {f"ap_{k}": metrics.average_precision_score(y == k, p[:, k]) for k in range(CLASSES)}
    confusion = metrics.confusion_matrix(y, guess)
    found |= {f"confusion_{i}_{j}": confusion[i, j] for i in range(CLASSES) for j in range(CLASSES)}
    with open(GOLDEN / "metrics.txt", "w") as file:
        print(f"# scikit-learn {sklearn.__version__} on metrics_scores.csv", file=file)
        for name, value in found.items():
            print(name, f"{value:.17g}", file=file)


main()
