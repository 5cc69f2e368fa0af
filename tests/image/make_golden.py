#!/usr/bin/env python3
"""Writes golden/prepare.csv: SHA-256 of what Pillow 13, torchvision and timm make of computed pictures.

Needs pillow >= 13, torch, torchvision, timm, numpy.  Pictures are patterns that the test computes as well; outputs are
the float32 values of ToTensor + Normalize, channels last.
"""
import csv
import hashlib
import pathlib

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image
from timm.data import create_transform
from timm.data.transforms import CenterCropOrPad, ResizeKeepRatio

MODES = {"nearest": T.InterpolationMode.NEAREST, "box": T.InterpolationMode.BOX, "bilinear": T.InterpolationMode.BILINEAR,
         "hamming": T.InterpolationMode.HAMMING, "bicubic": T.InterpolationMode.BICUBIC, "lanczos": T.InterpolationMode.LANCZOS}
STATS = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "half": ((0.5,) * 3, (0.5,) * 3), "zero": ((0.0,) * 3, (1.0,) * 3)}


def pattern(width, height, channels=3):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    return x * 7 + y * 13 + c * 29 + (x * y % 251) * 3 + (x ^ y) * 5


def picture(width, height):
    return Image.fromarray((pattern(width, height) & 255).astype(np.uint8))


def finish(stats):
    return T.Compose([T.ToTensor(), T.Normalize(*STATS[stats])])


def digest(tensor):
    array = np.ascontiguousarray(tensor.permute(1, 2, 0).numpy().astype("<f4"))
    return hashlib.sha256(array.tobytes()).hexdigest()


def evaluation(width, height, resize, crop, fit, mode, stats):
    if fit == "crop":
        steps = [T.Resize(resize, MODES[mode])] if resize else []
        steps.append(T.CenterCrop(crop))
    elif fit == "squash":
        steps = [T.Resize((resize, resize), MODES[mode]), T.CenterCrop(crop)]
    else:
        fill = tuple(round(255 * v) for v in STATS[stats][0])
        steps = [ResizeKeepRatio(resize, longest=1.0, interpolation=mode), CenterCropOrPad(crop, fill=fill)]
    return digest(finish(stats)(T.Compose(steps)(picture(width, height))))


TURNS = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.transpose(1, 0, 2),
         6: lambda a: a[::-1].transpose(1, 0, 2), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2), 8: lambda a: a.transpose(1, 0, 2)[::-1]}


def view(width, height, box, orientation, jitter, size, mode, stats):
    x, y, w, h = box
    image = F.resized_crop(picture(width, height), y, x, h, w, [size, size], MODES[mode])
    for step, factor in jitter:
        image = {"b": F.adjust_brightness, "c": F.adjust_contrast, "s": F.adjust_saturation}[step](image, float(np.float32(factor)))
    array = np.ascontiguousarray(TURNS[orientation](np.asarray(image)))
    return digest(finish(stats)(Image.fromarray(array)))


def deep(width, height, out, mode):
    """Pillow's I;16: resized and read back."""
    array = (pattern(width, height, 1)[:, :, 0] * 257 & 65535).astype("<u2")
    image = Image.fromarray(array).resize((out, out), getattr(Image.Resampling, mode.upper()))
    return hashlib.sha256(np.asarray(image).astype("<u2").tobytes()).hexdigest()


def shift(width, height, size, pad, x, y, stats):
    return digest(finish(stats)(F.crop(F.pad(picture(width, height), [pad]), y, x, size, size)))


def timm_default(width, height, size, crop_pct, mode):
    transform = create_transform((3, size, size), crop_pct=crop_pct, interpolation=mode, mean=STATS["imagenet"][0],
                                 std=STATS["imagenet"][1], crop_mode="center")
    return digest(transform(picture(width, height)))


def main():
    rows = []
    sizes = [(50, 37), (37, 50), (64, 64), (33, 200), (200, 33), (7, 5), (31, 32), (500, 375)]
    for width, height in sizes:
        for mode in MODES:
            rows.append(["eval", width, height, f"32 24 crop {mode} imagenet", evaluation(width, height, 32, 24, "crop", mode, "imagenet")])
        for resize, crop, fit, mode, stats in [(24, 24, "squash", "bilinear", "half"), (40, 33, "squash", "bicubic", "imagenet"),
                                               (24, 24, "pad", "bilinear", "imagenet"), (40, 33, "pad", "bicubic", "half"),
                                               (30, 30, "pad", "lanczos", "zero"), (29, 24, "crop", "bicubic", "half"),
                                               (0, 24, "crop", "bilinear", "imagenet"), (24, 41, "crop", "bilinear", "half")]:
            rows.append(["eval", width, height, f"{resize} {crop} {fit} {mode} {stats}", evaluation(width, height, resize, crop, fit, mode, stats)])
    for width, height, box, orientation, jitter, mode in [
            (50, 37, (3, 5, 20, 30), 1, [], "bilinear"), (50, 37, (0, 0, 50, 37), 2, [], "bicubic"), (37, 50, (10, 1, 9, 49), 3, [], "bilinear"),
            (64, 64, (1, 2, 40, 30), 4, [], "lanczos"), (64, 64, (5, 0, 30, 40), 5, [], "box"), (64, 64, (0, 5, 30, 40), 6, [], "hamming"),
            (64, 64, (9, 9, 24, 24), 7, [], "bilinear"), (64, 64, (9, 9, 1, 1), 8, [], "nearest"),
            (64, 64, (4, 4, 50, 50), 1, [("b", 0.6), ("c", 1.3), ("s", 0.2)], "bilinear"),
            (64, 64, (4, 4, 50, 50), 2, [("s", 1.7), ("b", 1.4), ("c", 0.3)], "bilinear"),
            (64, 50, (4, 4, 50, 40), 1, [("c", 1.9), ("s", 0.0), ("b", 0.9)], "bicubic")]:
        text = " ".join(map(str, box)) + f" {orientation} {mode} " + ("|".join(f"{s}{f}" for s, f in jitter) or "-")
        rows.append(["view", width, height, text, view(width, height, box, orientation, jitter, 24, mode, "imagenet")])
    for width, height in [(40, 30), (30, 40), (24, 24), (13, 90)]:
        for mode in MODES:
            rows.append(["deep", width, height, f"17 {mode}", deep(width, height, 17, mode)])
    for x, y in [(0, 0), (8, 8), (3, 5), (4, 4)]:
        rows.append(["shift", 32, 32, f"32 4 {x} {y} half", shift(32, 32, 32, 4, x, y, "half")])
    for width, height, size, pct, mode in [(500, 375, 24, 0.875, "bicubic"), (375, 500, 32, 0.9, "bicubic"), (100, 80, 28, 0.95, "bilinear"),
                                           (90, 70, 30, 1.0, "bicubic")]:
        rows.append(["timm", width, height, f"{size} {pct} {mode}", timm_default(width, height, size, pct, mode)])
    path = pathlib.Path(__file__).parent / "golden/prepare.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "width", "height", "settings", "sha256"])
        writer.writerows(rows)
    print(f"{len(rows)} rows in {path}")


if __name__ == "__main__":
    main()
