#!/usr/bin/env python3
"""Turns the lines that compare_peers.py, compare_kernels.py, compare_jobs.py and compare_limits.py wrote into a Markdown page and a plot (SVG).

    scripts/bench_report.py --lines build/performance.jsonl --out docs/performance
"""
import argparse
import html
import json
import pathlib
import subprocess
import sys
import time

PEERS = (("torch", "PyTorch"), ("torch mkl", "PyTorch, MKL steered"), ("compiled", "torch.compile"), ("ort", "ONNX Runtime"))
OURS = (("diopter f32", "f32"), ("diopter direct f32", "direct f32"), ("diopter bf16", "bf16"))
COLOURS = {"torch": "#8c8c8c", "torch mkl": "#b9a27a", "compiled": "#7a94b9", "ort": "#6d9c7a"}
# What the project aims at, as throughput over the peer's, so that a shortfall shows; best: over the faster of its other settings.
AIMS = {
    "resnet50/b1/f32": {"torch": 2.4, "best": 1.5, "ort": 1.2}, "resnet50/b16/f32": {"torch": 2.2, "best": 1.3, "ort": 1.4},
    "resnet18/b1/f32": {"torch": 2.4, "best": 1.5, "ort": 1.5}, "resnet18/b16/f32": {"torch": 2.2, "best": 1.6, "ort": 1.6},
    "mobilenet_v2/b1/f32": {"torch": 3.6, "best": 1.9, "ort": 1.3}, "mobilenet_v2/b16/f32": {"torch": 4, "best": 1.9, "ort": 1.7},
    "efficientnet_b0/b1/f32": {"torch": 3, "ort": 1.2}, "convnext_tiny/b1/f32": {"torch": 2.8, "best": 1.5, "ort": 1.3},
    "vit_tiny_patch16_224/b1/f32": {"torch": 2.6, "best": 1.2, "ort": 1.25}, "vit_tiny_patch16_224/b16/f32": {"torch": 2.6, "best": 1.2, "ort": 1.25},
    "vit_base_patch16_224/b1/f32": {"torch": 2.6, "best": 1.2, "ort": 1.25},
    "resnet50/b1/bf16": {"torch": 2.2, "ort": 2}, "resnet50/b16/bf16": {"torch": 2.2, "ort": 2},
    "vit_base_patch16_224/b1/bf16": {"torch": 1.6, "ort": 2},
    "resnet50/b1/int8": {"ort": 1.1, "diopter f32": 3.2}, "resnet50/b16/int8": {"ort": 1.1, "diopter f32": 3.2},
    "mobilenet_v2/b1/int8": {"diopter bf16": 1}, "mobilenet_v2/b16/int8": {"diopter bf16": 1}, "vit_base_patch16_224/b1/int8": {"diopter bf16": 1},
    "resnet18/b16/train": {"torch": 1.7, "best": 1.4}, "resnet50/b16/train": {"torch": 1.7, "best": 1.4},
    "vit_tiny_patch16_224/b16/train": {"torch": 2.3, "best": 1.2},
}
LINEAR_AIMS = {"torch": 2.4, "torch mkl": 1.05, "ort": 1.1}


def cell(ours, peer, aim):
    if not ours or not peer:
        return "-"
    ratio = ours / peer
    text = f"{ratio:.2f} x"
    if aim:
        text = f"**{text}** (aim {aim:g})" if ratio >= aim else f"{text} (aim {aim:g})"
    return text


def beside_ours(row, aims):
    """A narrow precision over the wider ones of the same run."""
    found = [f"{cell(row.get('diopter'), row[key], aims.get(key))} {name}" for key, name in OURS if row.get(key)]
    return ", ".join(found) or "-"


def aims_of(row):
    """The aims by peer: "best" is held against whichever of PyTorch's other settings was the fastest."""
    aims = dict(AIMS.get(row["row"], {}))
    others = [key for key in ("torch mkl", "compiled") if row.get(key)]
    if "best" in aims and others:
        aims[max(others, key=row.get)] = aims["best"]
    return aims


def peers_table(rows, threads):
    out = ["| row | Diopter, pictures/s | direct multiply-adds, of the peak of the precision | over our own | " + " | ".join(name for _, name in PEERS) + " |", "| --- | --- | --- | --- |" + " --- |" * len(PEERS)]
    for row in rows:
        if row.get("threads") != threads:
            continue
        aims = aims_of(row)
        share = f"{100 * row['share']:.0f} %" if row.get("share") else "-"
        ours = f"{row['diopter']:.1f}" if row.get("diopter") else "-"
        out.append(f"| {row['row']} | {ours} | {share} | {beside_ours(row, aims)} | " + " | ".join(cell(row.get("diopter"), row.get(key), aims.get(key)) for key, _ in PEERS) + " |")
    return out


def linear_table(rows, threads):
    peers = [("openblas", "through OpenBLAS")] + [peer for peer in PEERS if peer[0] != "compiled"]
    out = ["| linear layer | Diopter, GF | " + " | ".join(name for _, name in peers) + " |", "| --- | --- |" + " --- |" * len(peers)]
    for row in rows:
        if row.get("threads") == threads and row.get("diopter"):
            cells = [cell(row["diopter"], row.get(key), LINEAR_AIMS.get(key)) for key, _ in peers]
            out.append(f"| {row['row'].removeprefix('linear/')} | {row['diopter']:.0f} | " + " | ".join(cells) + " |")
    return out


def jobs_table(rows):
    out = ["| job | Diopter | beside |", "| --- | --- | --- |"]
    for row in rows:
        if "job" in row:
            beside = (f"{cell(ratio, 1, row.get('aims', {}).get(peer))} {peer}" for peer, ratio in row["ratios"].items())
            out.append(f"| {row['row']} | {row['ours']} | " + "; ".join(beside) + " |")
    return out


def kernels_tables(rows):
    """Lists of convolutions as shares of their bound, then what is timed beside a peer."""
    def share(of):
        text = f"{of['share']:.0f} %"
        if of["aim"]:
            text = f"**{text}** (aim {of['aim']})" if of["share"] >= of["aim"] else f"{text} (aim {of['aim']})"
        return f"{of['gf']:.0f} GF, {text}"
    kernels = [row for row in rows if row.get("kernel")]
    lists, beside = [row for row in kernels if "kinds" in row], [row for row in kernels if "over" in row]
    out = []
    if lists:
        out += ["| one thread | forward | input gradient | weight gradient |", "| --- | --- | --- | --- |"]
        out += [f"| {row['row']} | " + " | ".join(share(row["kinds"][kind]) for kind in ("forward", "input gradient", "weight gradient")) + " |" for row in lists]
    if beside:
        out += ["", "| kernel | Diopter | beside |", "| --- | --- | --- |"]
        out += [f"| {row['row']} | {row['ms']:.2f} ms | " + "; ".join(f"{cell(ratio, 1, aim)} {peer}" for peer, (ratio, aim) in row["over"].items()) + " |" for row in beside]
    return out


def limits_table(rows):
    out = ["| limit | measured | aim | |", "| --- | --- | --- | --- |"]
    for row in rows:
        if "limit" in row:
            word = "at most" if row["sense"] == "<=" else "at least"
            out.append(f"| {row['row']} | {row['value']:.3g} {row['unit']} | {word} {row['aim']:g} | {'reached' if row['reached'] else '**missed**'} |")
    return out


def machine(program):
    done = subprocess.run([program, "system", "--json"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def versions():
    code = "import torch,onnxruntime;print('PyTorch',torch.__version__,'- ONNX Runtime',onnxruntime.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or "peers' versions unknown"


def plot(rows, threads):
    """Bars of throughput over the peers', one group a row; the line at 1 is the peer."""
    rows = [row for row in rows if row.get("threads") == threads and row.get("diopter")]
    bars = [(row, [(key, row["diopter"] / row[key]) for key, _ in PEERS if row.get(key)]) for row in rows]
    bars = [(row, found) for row, found in bars if found]
    most = max([ratio for _, found in bars for _, ratio in found] + [2.0])
    left, width, thick, y = 250, 560, 9, 46
    scale = width / (most * 1.05)
    parts = []
    for row, found in bars:
        parts.append(f'<text x="{left - 8}" y="{y + len(found) * thick / 2 + 4:.1f}" text-anchor="end">{html.escape(row["row"])}</text>')
        for key, ratio in found:
            parts.append(f'<rect x="{left}" y="{y}" width="{ratio * scale:.1f}" height="{thick - 2}" fill="{COLOURS[key]}"/>'
                         f'<text x="{left + ratio * scale + 4:.1f}" y="{y + thick - 2}" font-size="9">{ratio:.2f}</text>')
            y += thick
        y += 8
    one = left + scale
    legend = "".join(f'<rect x="{left + i * 150}" y="12" width="10" height="10" fill="{COLOURS[key]}"/><text x="{left + 14 + i * 150}" y="21">{name}</text>'
                     for i, (key, name) in enumerate(PEERS))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{y + 20}" font-family="sans-serif" font-size="11">'
            f'<rect width="100%" height="100%" fill="white"/>{legend}<line x1="{one:.1f}" x2="{one:.1f}" y1="32" y2="{y}" stroke="black" stroke-dasharray="3 3"/>'
            f'<text x="{one:.1f}" y="{y + 14}" text-anchor="middle">1 x: as fast as the peer</text>{"".join(parts)}</svg>\n')


def read(path):
    """The rows of a file; what a stopped run left of its last line is none."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if isinstance(row, dict) and "row" in row:
            rows.append(row)
        else:
            print(f"{path}: a line that is no row is left out", file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter")
    parser.add_argument("--lines", default="build/performance.jsonl", type=pathlib.Path)
    parser.add_argument("--out", default="docs/performance", type=pathlib.Path)
    options = parser.parse_args()
    if not options.out.parent.is_dir():
        sys.exit(f"bench_report.py: {options.out.parent}: no such folder")
    rows = read(options.lines)
    if not rows:
        sys.exit(f"{options.lines}: no rows; nothing is written")
    layers = [row for row in rows if row["row"].startswith("linear/")]
    peers = [row for row in rows if "threads" in row and row not in layers and not row.get("kernel")]
    about = machine(str(pathlib.Path(options.program).resolve()))
    text = ["# Performance", "",
            "Measured by `scripts/bench.sh`: Diopter and its peers in turn, round after round; medians of pictures a second, and Diopter's",
            "throughput over each peer's. Bold: the aim is reached. The peers run in their best setting: PyTorch with channels_last in",
            "inference mode, beside it the same with MKL steered to its fast path (AMD), torch.compile with frozen weights, and ONNX Runtime",
            "with all graph optimisations (int8: static quantisation, the faster of signed and unsigned activations). In bf16 rows ONNX Runtime computes in f32. Winograd needs fewer",
            "multiply-adds than are counted here, so a share of the peak may be above 100 %.", "",
            f"Machine: {about.get('model', 'unknown CPU') + ', ' + ', '.join(about.get('features', []))}, {versions()}, {time.strftime('%Y-%m-%d')}.", "", "![Throughput over the peers'](performance.svg)", ""]
    notes = options.out.with_suffix(".notes.md")  # what there is to say about this measurement, by hand
    if notes.exists():
        text += [notes.read_text().strip(), ""]
    for threads in sorted({row["threads"] for row in peers}, reverse=True):
        text += [f"## {threads} thread{'s' if threads > 1 else ''}", ""] + peers_table(peers, threads) + [""]
    for threads in sorted({row["threads"] for row in layers}, reverse=True):
        text += [f"## Linear layers alone, {threads} thread{'s' if threads > 1 else ''}", ""] + linear_table(layers, threads) + [""]
    if any(row.get("kernel") for row in rows):
        text += ["## Convolutions alone", "", "Shares are of what bounds a layer: the multiply-add peak of the instruction set or, where that allows less, reading its maps.", ""]
        text += kernels_tables(rows) + [""]
    text += ["## Whole jobs", ""] + jobs_table(rows) + ["", "## Limits", ""] + limits_table(rows) + [""]
    options.out.with_suffix(".md").write_text("\n".join(text))
    options.out.with_suffix(".svg").write_text(plot(peers, max([row["threads"] for row in peers] + [1])))


if __name__ == "__main__":
    main()
