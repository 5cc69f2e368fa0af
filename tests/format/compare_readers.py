#!/usr/bin/env python3
"""Compares check_weights with the usual readers, and reads with them what it writes.

    compare_readers.py CHECK_WEIGHTS FILE_OR_FOLDER...

Every .safetensors, .pth and .th below the arguments: names, types, dims and two sums of each tensor against
safetensors and torch.load(weights_only=True); then written again as .safetensors (also f16 and bf16) and .pth, read
back by those libraries, and compared bit for bit; the .safetensors also byte for byte with what safetensors itself
writes.  Exit 77 (skipped) where there is no torch."""
import collections, os, subprocess, sys, tempfile

try:
    import torch
    import safetensors.torch
    from safetensors import safe_open
except ImportError as error:
    print("skipped: %s" % error)
    sys.exit(77)

program, paths = sys.argv[1], sys.argv[2:]
NAMES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64,
         "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
         "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64}
failures = 0


def complain(text):
    global failures
    failures += 1
    print("FAIL " + text)


def files(path):
    if os.path.isfile(path):
        yield path
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            if name.endswith((".safetensors", ".pth", ".th", ".pt")):
                yield os.path.join(folder, name)


def is_state(value):
    return isinstance(value, dict) and any(isinstance(v, torch.Tensor) for v in value.values())


def reference(path):
    if path.endswith(".safetensors"):
        return safetensors.torch.load_file(path), dict(safe_open(path, "pt").metadata() or {})
    value = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(value, dict):
        for key in ("model_state_dict", "state_dict", "model", "module", "net"):
            if is_state(value.get(key)):
                value = value[key]
                break
    return collections.OrderedDict((k, v.detach()) for k, v in value.items() if isinstance(v, torch.Tensor)), {}


def run(*arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def same(a, b):
    """The same bits; a NaN may be any NaN."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    nan = torch.zeros_like(a) if a.is_floating_point() else None
    if nan is not None:
        a, b = torch.where(a.isnan(), nan + (1 << 8), a), torch.where(b.isnan(), nan + (1 << 8), b)
    return torch.equal(a.contiguous().reshape(-1).view(torch.uint8), b.contiguous().reshape(-1).view(torch.uint8))


def check_listing(path, tensors):
    answer = run("--sums", path)
    if answer.returncode != 0:
        return complain("%s: exit %d: %s" % (path, answer.returncode, answer.stderr.strip()))
    lines = [line.split("\t") for line in answer.stdout.split("\n") if line]
    listed = {line[0]: line[1:] for line in lines}
    if set(listed) != set(tensors):
        return complain("%s: names differ: %s" % (path, sorted(set(listed) ^ set(tensors))[:5]))
    for name, tensor in tensors.items():
        dtype, dims = listed[name][:2]
        if NAMES.get(dtype) != tensor.dtype or dims != str(list(tensor.shape)):
            complain("%s: %s: %s %s, expected %s %s" % (path, name, dtype, dims, tensor.dtype, list(tensor.shape)))
            continue
        values = tensor.contiguous().reshape(-1).float().double()
        weights = (torch.arange(values.numel()) % 1021).double()
        for got, terms in zip(listed[name][2:], (values, values * weights)):
            # Both sums add the same numbers in double, in different orders.
            bound = 2 ** -52 * max(values.numel(), 1) * float(terms.abs().sum())
            expected = float(terms.sum())
            if not abs(float(got) - expected) <= bound and not (expected != expected and float(got) != float(got)):
                complain("%s: %s: sum %s, expected %.17g" % (path, name, got, expected))


def check_written(path, tensors, metadata, folder):
    out = os.path.join(folder, "out.safetensors")
    for floats, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)):
        expected = {k: (v.to(dtype) if v.dtype == torch.float32 else v).contiguous() for k, v in tensors.items()}
        for target in (out, os.path.join(folder, "out.pth")):
            answer = run("--write", target, "--floats", floats, path)
            if answer.returncode != 0:
                complain("%s: write %s: %s" % (path, target, answer.stderr.strip()))
                continue
            if target == out:
                back = safetensors.torch.load_file(target)
            else:
                back = torch.load(target, weights_only=True)
                if not path.endswith(".safetensors") and list(back) != list(tensors):
                    complain("%s: order of names differs in .pth" % path)
            if set(back) != set(expected) or not all(same(back[k], expected[k]) for k in expected):
                complain("%s: %s read back differs (%s)" % (path, target, floats))
        official = os.path.join(folder, "official.safetensors")
        clones = {k: v.clone() for k, v in expected.items()}
        safetensors.torch.save_file(clones, official, metadata=metadata or None)
        nan = any(t.is_floating_point() and t.isnan().any() for t in expected.values())
        if len(metadata) < 2 and not nan and open(official, "rb").read() != open(out, "rb").read():
            complain("%s: bytes differ from the official writer's (%s)" % (path, floats))


count = 0
for argument in paths:
    for path in files(argument):
        try:
            tensors, metadata = reference(path)
        except Exception as error:
            print("not compared: %s: %s" % (path, str(error).split("\n")[0][:100]))
            continue
        if any(not name.isprintable() for name in tensors):
            print("not compared: %s: a name that is printed escaped" % path)
            continue
        if any(t.dtype not in NAMES.values() for t in tensors.values()):
            print("not compared: %s: a type that neither side computes with" % path)
            continue
        count += 1
        check_listing(path, tensors)
        with tempfile.TemporaryDirectory() as folder:
            if all(t.dtype not in (torch.uint16, torch.uint32, torch.uint64) for t in tensors.values()):
                check_written(path, tensors, metadata, folder)
print("%d files compared, %d failures" % (count, failures))
sys.exit(1 if failures or not count else 0)
