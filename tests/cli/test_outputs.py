"""Row A7: no output takes the place of an input, --overwrite or not, by whatever name the input is reached."""
import hashlib
import json
import os
import shutil
import struct

from support import MODEL, Checks, Workplace, skip

if not MODEL.exists():
    skip("no bundled model")
check = Checks()


def split(source, folder):
    """The model in two shards, under an index."""
    raw = source.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
    metadata = header.pop("__metadata__")
    names, folder_map = sorted(header), {}
    folder.mkdir()
    for shard, part in enumerate([names[:60], names[60:]]):
        file, entries, blob = f"model-{shard + 1:05}-of-00002.safetensors", {"__metadata__": metadata}, b""
        for name in part:
            begin, end = header[name]["data_offsets"]
            entries[name] = dict(header[name], data_offsets=[len(blob), len(blob) + end - begin])
            blob += data[begin:end]
            folder_map[name] = file
        text = json.dumps(entries).encode()
        (folder / file).write_bytes(struct.pack("<Q", len(text)) + text + blob)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": folder_map}))


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 32 32 255\n" + bytes([shade, 90, 255 - shade]) * 1024)


def sums(folder):
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*")) if file.is_file()}


with Workplace() as work:
    for i in range(6):
        picture(work / "data" / "cat" / f"{i}.ppm", i)
        picture(work / "data" / "dog" / f"{i}.ppm", 240 + i)
    victim = work / "victim.safetensors"
    shutil.copy(MODEL, victim)
    split(MODEL, work / "shards")
    (work / "ten.txt").write_text("".join(f"class {i}\n" for i in range(10)))
    (work / "list.csv").write_text("path\ndata/cat/0.ppm\n")
    check.exits(0, "predict", "shards", "data", "-o", "fine.csv", cwd=work)
    check.exits(0, "train", victim, "data", "-o", "run", "--epochs", "1", cwd=work)
    (work / "run" / "config.json").write_text(json.dumps({"architecture": "resnet20"}))
    (work / "run" / "preprocessor_config.json").write_text("{}")
    (work / "link.csv").symlink_to("run/recipe.yaml")
    (work / "link.svg").symlink_to(victim)
    os.link(victim, work / "twin.csv")
    os.link(victim, work / "twin.safetensors")
    os.link(work / "run" / "recipe.yaml", work / "twin.yaml")
    # A run that would take its own base away.
    (work / "begun").mkdir()
    shutil.copy(MODEL, work / "begun" / "model.safetensors")
    shutil.copy(work / "ten.txt", work / "begun" / "log.txt")
    before = sums(work)

    def stays(*args):
        check.exits(2, *args, says="input", lines=1, cwd=work)
        after = sums(work)
        changed = [name for name in set(before) | set(after) if before.get(name) != after.get(name)]
        check.that(not changed, f"nothing changes: {args}", changed)

    for output in ["victim.safetensors", "twin.csv", "link.svg"]:
        stays("predict", "victim.safetensors", "data", "-o", output, "--overwrite")
        stays("predict", "victim.safetensors", "data", "-o", output, "--resume")
    for output in ["model.safetensors", "config.json", "preprocessor_config.json", "recipe.yaml", "metrics.jsonl"]:
        stays("predict", "run", "data", "-o", f"run/{output}", "--overwrite")
        stays("predict", "run/model.safetensors", "data", "-o", f"run/{output}", "--overwrite")
    for output in ["link.csv", "twin.yaml"]:
        stays("predict", "run", "data", "-o", output, "--overwrite")
    stays("predict", "victim.safetensors", "data", "--classes", "ten.txt", "-o", "ten.txt", "--overwrite")
    stays("predict", "victim.safetensors", "list.csv", "-o", "data/cat/0.ppm", "--overwrite")
    stays("predict", "victim.safetensors", "list.csv", "-o", "list.csv", "--overwrite")
    for output in ["shards/model-00001-of-00002.safetensors", "shards/model-00002-of-00002.safetensors", "shards"]:
        stays("export", "shards", "-o", output, "--overwrite")
    for output in ["shards/model-00001-of-00002.safetensors", "shards/model.safetensors.index.json"]:
        stays("predict", "shards", "data", "-o", output, "--overwrite")
    stays("export", "victim.safetensors", "-o", "twin.safetensors", "--overwrite")
    stays("export", "run/model.safetensors", "-o", "run", "--overwrite")
    stays("eval", "victim.safetensors", "data", "--plot", "link.svg")
    stays("train", "begun/model.safetensors", "data", "-o", "begun", "--overwrite")
    stays("train", "victim.safetensors", "data", "-o", "begun", "--overwrite", "--classes", "begun/log.txt")
    stays("train", "--recipe", "run/recipe.yaml", "-o", "run", "--overwrite")
    # What is no input is replaced as asked, in the model's folder, too.
    for _ in range(2):
        check.exits(0, "predict", "run", "data", "-o", "run/new.csv", "--overwrite", cwd=work)
        check.exits(0, "eval", "run", "data", "--plot", "run/new.svg", cwd=work)
    check.exits(0, "predict", "victim.safetensors", "data", "-o", "fine.csv", "--overwrite", cwd=work)
    check.exits(0, "export", "victim.safetensors", "-o", "fine", cwd=work)
    check.exits(0, "export", "shards", "-o", "fine", "--overwrite", cwd=work)
check.end()
