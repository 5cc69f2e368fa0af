#!/usr/bin/env python3
"""Scores of one precision against f32, on the same pictures.

    compare_precision.py DIOPTER MODEL PICTURES [--precision bf16] [--labels labels.csv] [predict's options ...]

Prints the largest and the root mean square difference of the logits as a share of their range, on how many pictures the
first class is the same, and with a CSV of path,label (label: the class's number or name) how many each gets right.
"""
import comparing  # first: it says in a line what stops the script
import argparse
import csv
import json
import subprocess
import sys


def scores(program, model, pictures, precision, options):
    command = [program, "predict", model, pictures, "--scores", "logits", "--format", "jsonl", "--precision", precision, *options]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    rows = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    return {row["path"]: row for row in rows if "scores" in row}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("pictures")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--labels")
    args, options = parser.parse_known_args()
    exact = scores(args.program, args.model, args.pictures, "f32", options)
    other = scores(args.program, args.model, args.pictures, args.precision, options)
    if not exact or exact.keys() != other.keys():
        sys.exit("no pictures, or not the same ones")
    largest = squares = count = same = 0
    low, high = float("inf"), float("-inf")
    for path, row in exact.items():
        a, b = values(row), values(other[path])
        low, high = min(low, *a), max(high, *a)
        largest = max(largest, *(abs(x - y) for x, y in zip(a, b)))
        squares += sum((x - y) ** 2 for x, y in zip(a, b))
        count += len(a)
        same += top(a) == top(b)
    span = high - low
    print(f"{len(exact)} pictures, logits from {low:.2f} to {high:.2f}: {args.precision} differs by at most {largest / span:.2e} of the range, "
          f"rms {(squares / count) ** 0.5 / span:.2e}; same first class {same}")
    if args.labels:
        print(f"right: f32 {right(exact, args.labels)}, {args.precision} {right(other, args.labels)}")


def values(row):
    return row["scores"]


def top(logits):
    return max(range(len(logits)), key=logits.__getitem__)


def right(rows, labels):
    with open(labels, newline="") as file:
        wanted = {row[0]: row[1] for row in csv.reader(file) if len(row) > 1}
    count = 0
    for path, row in rows.items():
        label = wanted.get(path.rsplit("/", 1)[-1])
        count += label == str(top(values(row))) or (label is not None and label == row["label"])
    return count


if __name__ == "__main__":
    main()
