#!/usr/bin/env python3
"""Writes golden/resize_src.bin, resize_out.bin, resize.csv and nearest16.csv: small pictures through Pillow 13's resize.

Picture i lies at src_off of the first file, width x height x 3 bytes, what came of it at out_off of the second.  Column order: HV,
VH (the pass that comes first; Pillow up to 12 knows HV alone), H, V or - for one pass or none.  nearest16.csv: for rows of mode I;16,
which source pixel each pixel of the result is."""
import csv
import hashlib
import pathlib

import numpy as np
from PIL import Image

GOLDEN = pathlib.Path(__file__).parent / "golden"
FILTERS = "bilinear bicubic lanczos box hamming nearest".split()
SIZES = [(31, 47, 22, 33), (47, 31, 33, 22), (16, 16, 33, 47), (40, 9, 7, 35), (9, 40, 35, 7), (1, 1, 5, 3), (48, 48, 48, 21),
         (48, 48, 21, 48), (2, 64, 3, 5), (64, 2, 5, 3), (45, 60, 17, 23), (33, 33, 32, 32)]


def order(w, h, out_w, out_h):
    if out_w != w and out_h != h:
        return "VH" if h - out_h > 0 and h - out_h > 2 * (w - out_w) else "HV"
    return "H" if out_w != w else "V" if out_h != h else "-"


def nearest16():
    random = np.random.default_rng(21)
    pairs = [(36, 66), (22, 33), (999, 300)] + [tuple(int(v) for v in random.integers(2, 200, 2)) for _ in range(61)]
    with open(GOLDEN / "nearest16.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("w out_w columns".split())
        for w, out_w in pairs:
            row = Image.fromarray(np.arange(w, dtype=np.uint16).reshape(1, w))
            assert row.mode == "I;16"
            columns = np.asarray(row.resize((out_w, 1), Image.Resampling.NEAREST))[0]
            writer.writerow([w, out_w, " ".join(map(str, columns))])


def main():
    random = np.random.default_rng(20)
    source, out, rows = b"", b"", []
    for i in range(20):
        w, h, out_w, out_h = SIZES[i] if i < len(SIZES) else (int(v) for v in random.integers(3, 50, 4))
        pixels = random.integers(0, 256, (h, w, 3)).astype(np.uint8)
        if i % 2:  # hard edges: what bicubic and lanczos overshoot is cut off
            pixels = np.where(pixels < 128, 0, 255).astype(np.uint8)
        for name in FILTERS:
            resized = Image.fromarray(pixels).resize((out_w, out_h), Image.Resampling[name.upper()]).tobytes()
            passes = order(w, h, out_w, out_h) if name != "nearest" else "-"
            rows.append([i, name, w, h, out_w, out_h, passes, len(source), len(out), hashlib.sha256(resized).hexdigest()])
            out += resized
        source += pixels.tobytes()
    (GOLDEN / "resize_src.bin").write_bytes(source)
    (GOLDEN / "resize_out.bin").write_bytes(out)
    with open(GOLDEN / "resize.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("pic filter w h out_w out_h order src_off out_off sha256".split())
        writer.writerows(rows)
    nearest16()


main()
