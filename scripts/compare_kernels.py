#!/usr/bin/env python3
"""Times lists of convolutions by themselves: as a share of what bounds them, at each instruction set the CPU has, and the weight
gradients of wide depthwise convolutions beside PyTorch's.

    scripts/compare_kernels.py [--program build/diopter] [--rows WORD,...] [--rounds 3] [--json FILE] [--skip-measured]

The bound of a layer is the measured multiply-add peak of its instruction set or, where that allows less, reading its maps at the
measured bandwidth; the share is that of the whole list, each layer as often as its network has it.  build/tests/bench_conv does
the timing (and prints every layer).  Needs torch for the rows beside it.
"""
import comparing  # first: it says in a line what stops the script
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# row, network, batch, exact, what is asked of forward, input gradient, weight gradient
LISTS = (("convolutions of ResNet-50, direct", "resnet50", 16, True, (95, 90, 90)),
         ("depthwise 3 x 3", "depthwise3", 16, False, (55, 55, None)),
         ("depthwise 5 x 5", "depthwise5", 16, False, (55, 55, None)),
         ("depthwise 7 x 7", "depthwise7", 16, False, (55, 55, None)))
AVX2_AIMS = (90, None, None)
KINDS = ("forward", "input gradient", "weight gradient")
# channels, side, stride: the layers of EfficientNet-B0 and of ConvNeXt-Tiny, as bench_nets.c has them, with their counts
WIDE = {5: ((1, 144, 56, 2), (1, 240, 28, 1), (1, 480, 14, 1), (2, 672, 14, 1), (1, 672, 14, 2), (3, 1152, 7, 1)),
        7: ((3, 96, 56, 1), (3, 192, 28, 1), (9, 384, 14, 1), (3, 768, 7, 1))}
BATCH = 16


def bench_conv(program, **options):
    tool = pathlib.Path(program).parent / "tests" / "bench_conv"
    command = [str(tool), "--json", "1"] + [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"compare_kernels.py: {tool}: {error.strerror}; build first")
    if done.returncode:
        sys.exit(f"compare_kernels.py: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def levels(program):
    about = json.loads(subprocess.run([program, "system", "--json"], capture_output=True, text=True, check=True).stdout)
    return [level for level in ("avx512", "avx2") if level in about.get("features", [])]


def shares(options, known):
    for level in levels(options.program):
        for name, net, batch, exact, aims in LISTS:
            row = f"{name}, {level}"
            if row in known or not wanted(options, row):
                continue
            found = [bench_conv(options.program, level=level, net=net, batch=batch, exact=int(exact)) for _ in range(options.rounds)]
            aims = AVX2_AIMS if level == "avx2" and net == "resnet50" else aims
            yield {"kernel": True, "row": row, "threads": 1,
                   "kinds": {kind: {"gf": statistics.median(one[kind]["gf"] for one in found),
                                    "share": 100 * statistics.median(one[kind]["share"] for one in found), "aim": aim}
                             for kind, aim in zip(KINDS, aims)}}


def torch_seconds(kernel, channels_last, threads, seconds=0.4):
    """Of one weight gradient of each layer, the best of those that fit the time."""
    import torch
    torch.set_num_threads(threads)
    form = torch.channels_last if channels_last else torch.contiguous_format
    total = 0.0
    for count, channels, side, stride in WIDE[kernel]:
        x = torch.randn(BATCH, channels, side, side).contiguous(memory_format=form)
        w = torch.randn(channels, 1, kernel, kernel)
        dy = torch.randn(BATCH, channels, (side - 1) // stride + 1, (side - 1) // stride + 1).contiguous(memory_format=form)
        best, end = 1e9, time.perf_counter() + seconds
        while best == 1e9 or time.perf_counter() < end:
            start = time.perf_counter()
            torch.ops.aten.convolution_backward(dy, x, w, None, [stride, stride], [kernel // 2] * 2, [1, 1], False, [0, 0], channels, [False, True, False])
            best = min(best, time.perf_counter() - start)
        total += count * best
    return total


def weight_gradients(options, known):
    threads = min(2, os.cpu_count() or 1)
    for kernel in WIDE:
        row = f"weight gradient of depthwise {kernel} x {kernel}, {threads} threads"
        if row in known or not wanted(options, row):
            continue
        ours, plain, last = [], [], []
        for _ in range(options.rounds):
            ours.append(bench_conv(options.program, net=f"depthwise{kernel}", batch=BATCH, threads=threads)["weight gradient"]["ms"] / 1e3)
            plain.append(torch_seconds(kernel, False, threads))
            last.append(torch_seconds(kernel, True, threads))
        mine, worse, better = statistics.median(ours), *sorted((statistics.median(plain), statistics.median(last)), reverse=True)
        yield {"kernel": True, "row": row, "threads": threads, "ms": 1e3 * mine,
               "over": {"PyTorch, the slower layout": [worse / mine, 15], "PyTorch, the faster layout": [better / mine, 10]}}


def wanted(options, row):
    words = [word for word in options.rows.split(",") if word]
    return not words or any(word in "kernels " + row for word in words)


def shown(row):
    if "kinds" in row:
        return "  ".join([f"{row['row']:48s}"] + [f"{kind} {of['gf']:.0f} GF, {of['share']:.0f} %" for kind, of in row["kinds"].items()])
    return f"{row['row']:48s}{row['ms']:.2f} ms  " + "  ".join(f"{ratio:.1f} x {peer} (aim {aim})" for peer, (ratio, aim) in row["over"].items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--rows", default="", help='only rows with one of these in their name; "kernels" is in all')
    parser.add_argument("--rounds", type=comparing.count, default=3)
    parser.add_argument("--json", help="one line a row is added to this file")
    parser.add_argument("--skip-measured", action="store_true", help="leave out rows that the file of --json has")
    options = parser.parse_args()
    known = comparing.earlier_rows(options, lambda line: line.get("row"))
    for measure in (shares, weight_gradients):
        for row in measure(options, known):
            comparing.keep(options, row, shown(row))


if __name__ == "__main__":
    main()
