#!/usr/bin/env python3
"""Writes golden/*.pth and plain.safetensors (the same small tensors in each of PyTorch's containers) and golden/formats.json (their
values, and what the containers are made of).  Needs torch and safetensors.

The legacy files name their storages by addresses: their bytes differ from one making to the next."""
import io
import json
import os
import pathlib
import pickletools
import struct
import warnings
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

GOLDEN = pathlib.Path(__file__).parent / "golden"
warnings.simplefilter("ignore")


def make():
    random = torch.Generator().manual_seed(2)
    randn = lambda *shape: torch.randn(*shape, generator=random)
    base = randn(4, 6)
    plain = OrderedDict([("conv.weight", randn(2, 3, 1, 1)), ("bn.running_mean", randn(3)), ("bn.num_batches_tracked", torch.tensor(7)),
                         ("half", randn(3).half()), ("bf16", randn(3).bfloat16())])
    views = OrderedDict([("whole", base), ("rows", base[1:3]), ("transposed", base.t()), ("strided", base[:, ::2]),
                         ("param", torch.nn.Parameter(base[0].clone())), ("empty", torch.zeros(0, 4)), ("scalar", torch.tensor(2.5))])
    return plain, views


def write(plain, views):
    def save(what, name, **options):
        torch.save(what, str(GOLDEN / name), **options)

    save(plain, "zip_plain.pth")
    save(plain, "legacy.pth", _use_new_zipfile_serialization=False)
    save({"epoch": 3, "arch": "resnet18", "best_acc1": torch.tensor(71.5),
          "state_dict": OrderedDict(("module." + k, v) for k, v in plain.items()),
          "optimizer": {"state": {}, "param_groups": [{"lr": .1, "nesterov": False, "params": [0, 1]}]}}, "zip_nested.pth")
    small = {"a": torch.arange(3.), "b": torch.ones(2)}
    save((small, {"lr": 1}), "zip_tuple.pth")
    save({"state_dict": small, "state_dict_ema": small}, "zip_twice.pth")
    save(views, "zip_views.pth")
    save(views, "legacy_views.pth", _use_new_zipfile_serialization=False)
    torch.manual_seed(2)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    save(module.state_dict(), "zip_module_state.pth")
    save(plain, "zip_proto4.pth", pickle_protocol=4)
    save_file({k: v.contiguous() for k, v in plain.items()}, GOLDEN / "plain.safetensors", metadata={"format": "pt"})


def opcodes(pickled):
    operations = list(pickletools.genops(pickled))
    names = {operation.name for operation, _, _ in operations}
    global_names = {argument for operation, argument, _ in operations if operation.name == "GLOBAL"}
    return names, global_names


def describe_safetensors(data):
    length = struct.unpack("<Q", data[:8])[0]
    return {"header_len": length, "header": json.loads(data[8:8 + length])}


def describe_zip(path):
    archive = zipfile.ZipFile(path)
    names, global_names = opcodes(archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))))
    if "STACK_GLOBAL" in names:
        global_names.add("?STACK_GLOBAL")
    small = ("version", "byteorder", ".format_version", ".storage_alignment")
    return {"entries": {i.filename: [i.compress_type, i.file_size, i.header_offset] for i in archive.infolist()},
            "small": {n: archive.read(n).decode("latin1") for n in archive.namelist() if n.split("/")[-1] in small},
            "opcodes": sorted(names), "globals": sorted(global_names)}


def describe_legacy(data):
    stream, parts = io.BytesIO(data), []
    for _ in range(5):  # magic number, version, system, object, keys of the storages
        start = stream.tell()
        names, global_names = opcodes(stream)
        parts.append({"start": start, "end": stream.tell(), "opcodes": sorted(names), "globals": sorted(global_names)})
    return {"pickles": parts, "tail_start": stream.tell(), "size": len(data)}


def main():
    plain, views = make()
    write(plain, views)
    values = {k: {"shape": list(v.shape), "dtype": str(v.dtype), "data": v.reshape(-1).double().tolist()}
              for k, v in {**plain, **views}.items()}
    files = {}
    for name in sorted(os.listdir(GOLDEN)):
        path = GOLDEN / name
        if name.endswith(".safetensors"):
            files[name] = describe_safetensors(path.read_bytes())
        elif name.endswith(".pth"):
            files[name] = describe_zip(path) if zipfile.is_zipfile(path) else describe_legacy(path.read_bytes())
    (GOLDEN / "formats.json").write_text(json.dumps({"torch": torch.__version__, "values": values, "files": files}, indent=0))


main()
