#!/usr/bin/env python3
"""Times Diopter beside PyTorch and ONNX Runtime on this machine: inference and full training steps.

    scripts/compare_peers.py [--program build/diopter] [--rows NAME,...] [--threads 2,1] [--rounds 3] [--json FILE]

Needs torch, torchvision, timm, onnx, onnxruntime and safetensors.  A row is a model, a batch size and a precision.  The
programs are measured in turn, round after round, each time in a fresh process; a figure is the median over the rounds of
pictures a second.  Peers in their best setting:

  torch      eager, channels_last, inference mode (bf16 rows: autocast)
  torch mkl  the same with MKL told by a preloaded two-line library that the CPU is Intel's (AMD only; needs a C compiler)
  compiled   torch.compile with frozen weights
  ort        ONNX Runtime, all graph optimisations; int8 rows: static quantisation in QDQ form, weights by channel with all their
             bits, activations unsigned and signed in turn, of which the faster counts

Rows below f32 have Diopter's own wider precisions beside them, as they come and (direct f32) without Winograd's shortcut.

A peer that cannot run a row is shown as "-" with the reason on standard error.

Rows linear/... are single linear layers without a bias, in billions of floating-point operations a second: ours, the same
through OpenBLAS (--linear blas), PyTorch's linear, ONNX Runtime's MatMul.  They are timed by build/tests/bench_linear.
"""
import comparing  # first: it says in a line what stops the script
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# name, family it comes from, batch sizes of inference, precisions beside f32, batch of a training step
MODELS = {
    "resnet18": ("torchvision", (1, 16), (), 16),
    "resnet50": ("torchvision", (1, 16), ("bf16", "int8"), 16),
    "mobilenet_v2": ("torchvision", (1, 16), ("int8",), 16),
    "efficientnet_b0": ("timm", (1,), (), 16),
    "vit_tiny_patch16_224": ("timm", (1, 16), (), 16),
    "vit_base_patch16_224": ("timm", (1,), ("bf16", "int8"), None),
    "convnext_tiny": ("timm", (1,), (), None),
}
# batch, rows of each, inputs, outputs: the layers of ViT-B/16's blocks, the heads of ResNet-18 and ResNet-50
LINEAR = ((1, 197, 768, 2304), (1, 197, 768, 768), (1, 197, 768, 3072), (1, 197, 3072, 768),
          (1, 1, 512, 1000), (16, 1, 512, 1000), (1, 1, 2048, 1000), (16, 1, 2048, 1000))
SHIM = "int mkl_serv_intel_cpu_true(void) { return 1; }\nint mkl_serv_intel_cpu(void) { return 1; }\n"
SECONDS = 1.0  # of one measurement


def rows():
    for name, (_, batches, low, step) in MODELS.items():
        for precision in ("f32",) + low:
            for batch in batches:
                yield f"{name}/b{batch}/{precision}", name, batch, precision
        if step:
            yield f"{name}/b{step}/train", name, step, "train"
    for size in LINEAR:
        yield f"linear/{size[2]}x{size[3]}/b{size[0] * size[1]}", "linear", size, "linear"


# ---- the peers' side: a process that answers each line on standard input with seconds a run ----

def make(name):
    import torch
    try:  # a torchvision built against another PyTorch wants two operators declared first
        import torchvision_cpu  # noqa: F401
    except ImportError:
        pass
    import timm
    import torchvision
    torch.manual_seed(1)
    if MODELS[name][0] == "timm":
        return timm.create_model(name)
    return torchvision.models.get_model(name)


def linear_runner(job):
    """torch.nn.functional.linear, or a MatMul whose weights are constant, so that it may pack them beforehand."""
    import torch
    batch, rows, inputs, outputs = job["batch"]
    x, w = torch.randn(batch * rows, inputs), torch.randn(outputs, inputs)
    if job["peer"] != "ort":
        torch.set_num_threads(job["threads"])

        def run():
            with torch.inference_mode():
                torch.nn.functional.linear(x, w)
        return run
    import onnx
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch * rows, width]) for name, width in (("x", inputs), ("y", outputs))]
    weights = onnx.numpy_helper.from_array(w.T.contiguous().numpy(), "w")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", ends[:1], ends[1:], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session, feed = ort_session(model.SerializeToString(), job["threads"]), {"x": x.numpy()}
    return lambda: session.run(None, feed)


def torch_runner(job):
    import contextlib
    import torch
    torch.set_num_threads(job["threads"])
    model = make(job["model"]).to(memory_format=torch.channels_last)
    x = torch.randn(job["batch"], 3, 224, 224).contiguous(memory_format=torch.channels_last)
    low = torch.autocast("cpu", torch.bfloat16) if job["precision"] == "bf16" else contextlib.nullcontext()
    if job["precision"] == "train":
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
        y = torch.arange(job["batch"]) % 1000

        def run():
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return run
    model.eval()
    if job["peer"] == "compiled":
        import torch._inductor.config
        torch._inductor.config.freezing = True
        model = torch.compile(model)

    def run():
        with torch.no_grad() if job["peer"] == "compiled" else torch.inference_mode(), low:
            model(x)
    return run


def onnx_file(job, folder):
    """Exported once, for every batch size; beside it the quantised one."""
    import numpy
    import torch
    path = os.path.join(folder, f"{job['model']}.onnx")
    if not os.path.exists(path):
        names = {"input_names": ["x"], "output_names": ["logits"]}
        torch.onnx.export(make(job["model"]).eval(), torch.randn(1, 3, 224, 224), path + ".part", opset_version=17, dynamo=False,
                          dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}}, **names)
        os.replace(path + ".part", path)
    if job["precision"] != "int8":
        return path
    from onnxruntime import quantization
    signed = job["peer"] == "ort s8s8"
    low = os.path.join(folder, f"{job['model']}.{'s8s8' if signed else 'u8s8'}.onnx")
    if not os.path.exists(low):
        class Reader(quantization.CalibrationDataReader):
            def __init__(self):
                self.left = [{"x": numpy.random.default_rng(i).standard_normal((4, 3, 224, 224), numpy.float32)} for i in range(4)]

            def get_next(self):
                return self.left.pop() if self.left else None
        ready = os.path.join(folder, f"{job['model']}.ready.onnx")
        quantization.shape_inference.quant_pre_process(path, ready)
        quantization.quantize_static(ready, low + ".part", Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                                     reduce_range=False, weight_type=quantization.QuantType.QInt8,
                                     activation_type=quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8)
        os.replace(low + ".part", low)
    return low


def ort_session(model, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def ort_runner(job):
    import numpy
    session = ort_session(onnx_file(job, job["folder"]), job["threads"])
    x = numpy.random.default_rng(1).standard_normal((job["batch"], 3, 224, 224), numpy.float32)
    return lambda: session.run(None, {"x": x})


def worker(job):
    make_run = linear_runner if job["model"] == "linear" else ort_runner if job["peer"].startswith("ort") else torch_runner
    run = make_run(job)
    run()
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        end = time.perf_counter() + SECONDS
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(json.dumps(statistics.median(times)), flush=True)


# ---- the comparison ----

class Peer:
    """Started anew for each measurement, as ours is: a system that reclaims the memory of idle processes gives it back in small
    pages, and what has waited for its turn runs slower from then on."""

    def __init__(self, job, shim):
        self.name, self.times, self.alive = job["peer"], [], True
        self.job, self.env = job, dict(os.environ)
        if job["peer"] == "torch mkl":
            self.env["LD_PRELOAD"] = shim

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", json.dumps(self.job)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        if self.answer() == "ready":
            return
        self.alive = False
        self.process.kill()
        reason = self.process.stderr.read().strip().splitlines()
        print(f"{self.job['model']} {self.job['precision']}: no {self.name}: {reason[-1] if reason else 'no reason given'}", file=sys.stderr)

    def answer(self):
        while True:
            line = self.process.stdout.readline()
            if not line:
                return None
            line = line.strip()
            if line == "ready" or line[:1].isdigit():
                return line

    def measure(self):
        if self.alive:
            self.start()
        if not self.alive:
            return
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.answer()
        if answer:
            self.times.append(float(answer))
        self.process.communicate()

class Ours:
    def __init__(self, program, job, name="diopter", options=()):
        self.name, self.times, self.shares, self.alive = name, [], [], True
        self.command = [program, "bench", f"arch:{job['model']}", "--json", "--quiet", "--batch-size", str(job["batch"]), "--threads", str(job["threads"])]
        self.train = job["precision"] == "train"
        self.command += ["--train-step"] if self.train else ["--precision", job["precision"]]
        self.command += options
        self.peak = {"bf16": "bf16_all_threads", "int8": "int8_all_threads"}.get(job["precision"], "fma_all_threads")

    def measure(self):
        if not self.alive:
            return
        done = subprocess.run(self.command, capture_output=True, text=True)
        if done.returncode != 0:
            self.alive = False
            print(f"{' '.join(map(str, self.command[1:]))}: {done.stderr.strip()}", file=sys.stderr)
            return
        out = json.loads(done.stdout)
        if self.train:
            self.times.append(out["training_step"]["seconds"])
            return
        self.times.append(out["seconds"])
        flops = 2 * sum(layer["macs"] for layer in out["layers"]) * out["batch"]
        self.shares.append(flops / out["seconds"] / out.get(self.peak, out["fma_all_threads"]))

class OursLinear:
    """A single layer, by our kernels or through OpenBLAS."""

    def __init__(self, program, job, who):
        self.name, self.times, self.shares, self.alive = {"own": "diopter"}.get(who, "openblas"), [], [], True
        tool = pathlib.Path(program).parent / "tests" / "bench_linear"
        self.command = [tool, "--layer", "x".join(map(str, job["batch"])), str(job["threads"]), who]

    def measure(self):
        if not self.alive:
            return
        try:
            done = subprocess.run(self.command, capture_output=True, text=True, check=True)
            self.times.append(float(done.stdout))
        except (OSError, subprocess.CalledProcessError) as error:
            self.alive = False
            print(f"{' '.join(map(str, self.command))}: {getattr(error, 'stderr', None) or error}", file=sys.stderr)

def shim_library(folder):
    if not any("AuthenticAMD" in line for line in open("/proc/cpuinfo")):
        return None
    source, library = os.path.join(folder, "shim.c"), os.path.join(folder, "shim.so")
    pathlib.Path(source).write_text(SHIM)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def peers_of(precision, shim):
    if precision == "int8":
        return ["ort u8s8", "ort s8s8"]
    if precision in ("train", "linear"):
        return ["torch"] + (["torch mkl"] if shim else []) + (["ort"] if precision == "linear" else [])
    if precision == "bf16":
        return ["torch", "compiled", "ort"]
    return ["torch"] + (["torch mkl"] if shim else []) + ["compiled", "ort"]


def ours_of(program, job):
    """Diopter, and its own wider precisions beside a narrow one; OpenBLAS beside our own linear layer."""
    if job["model"] == "linear":
        return [OursLinear(program, job, who) for who in ("own", "blas")]
    out = [Ours(program, job)]
    if job["precision"] in ("bf16", "int8"):
        f32 = {**job, "precision": "f32"}
        out += [Ours(program, f32, "diopter f32"), Ours(program, f32, "diopter direct f32", ["--exact"])]
    if job["precision"] == "int8":
        out.append(Ours(program, {**job, "precision": "bf16"}, "diopter bf16"))
    return out


def compare(options, row, threads, folder, shim):
    label, name, batch, precision = row
    job = {"model": name, "batch": batch, "precision": precision, "threads": threads, "folder": folder}
    everyone = ours_of(options.program, job) + [Peer({**job, "peer": peer}, shim) for peer in peers_of(precision, shim)]
    work = 2e-9 * math.prod(batch) if precision == "linear" else batch  # what a run gets done
    for _ in range(options.rounds):
        for one in everyone:
            one.measure()
    out = {"row": label, "threads": threads}
    for one in everyone:
        out[one.name] = work / statistics.median(one.times) if one.times else None
    if precision == "int8":
        out["ort"] = max(filter(None, (out["ort u8s8"], out["ort s8s8"])), default=None)
    out["share"] = statistics.median(everyone[0].shares) if everyone[0].shares else None
    return out


def shown(out):
    ours = out["diopter"]
    unit = " GF" if out["row"].startswith("linear/") else "/s"
    parts = [f"{out['row']:34s} {out['threads']}T  diopter {ours:8.1f}{unit}" if ours else f"{out['row']:34s} {out['threads']}T  diopter      -  "]
    if out["share"]:
        parts.append(f"{100 * out['share']:3.0f} % of peak")
    for peer in ("openblas", "torch", "torch mkl", "compiled", "ort", "ort u8s8", "ort s8s8", "diopter f32", "diopter direct f32", "diopter bf16"):
        if out.get(peer):
            parts.append(f"{peer} {out[peer]:.1f}" + (f" ({ours / out[peer]:.2f} x)" if ours else ""))
    return "  ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/diopter", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--rows", default="", help="only rows whose name has one of these in it")
    parser.add_argument("--threads", type=comparing.counts, default="2,1")
    parser.add_argument("--rounds", type=comparing.count, default=3)
    parser.add_argument("--json", help="one line a row is added to this file")
    parser.add_argument("--skip-measured", action="store_true", help="leave out rows that the file of --json has")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(json.loads(options.worker))
        return
    wanted = [word for word in options.rows.split(",") if word]
    known = comparing.earlier_rows(options, lambda line: (line.get("row"), line.get("threads")))
    with tempfile.TemporaryDirectory() as folder:
        shim = shim_library(folder)
        for row in rows():
            if wanted and not any(word in row[0] for word in wanted):
                continue
            for threads in options.threads:
                if (row[0], threads) in known:
                    continue
                out = compare(options, row, threads, folder, shim)
                comparing.keep(options, out, shown(out))


if __name__ == "__main__":
    main()
