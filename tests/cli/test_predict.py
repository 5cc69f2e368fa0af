"""predict: scores that are not finite, manifests' options, pictures that all are bad."""
import csv
import json
import resource
import struct

from support import MODEL, Checks, Workplace, run, skip

if not MODEL.exists():
    skip("no bundled model")
check = Checks()


def with_head(path, weight, bias):
    """The bundled model with other numbers for class 0."""
    raw = bytearray(MODEL.read_bytes())
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    heads = [name for name, tensor in header.items() if name != "__metadata__" and tensor["shape"] == [10]]
    matrix = heads[-1].replace("bias", "weight")
    features = header[matrix]["shape"][1]
    at = 8 + size + header[matrix]["data_offsets"][0]
    raw[at:at + 4 * features] = struct.pack(f"<{features}f", *[weight] * features)
    at = 8 + size + header[heads[-1]]["data_offsets"][0]
    raw[at:at + 4] = struct.pack("<f", bias)
    path.write_bytes(raw)


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 32 32 255\n" + bytes((i * seed * seed + seed * 40) % 256 for i in range(3072)))


def strict(text):
    def refuse(name):
        raise ValueError(name)
    return json.loads(text, parse_constant=refuse)


with Workplace() as work:
    for i in range(5):
        picture(work / "data" / f"{i}.ppm", i)

    # Weights so large that some pictures have an infinite score, and others none.
    with_head(work / "sums.safetensors", 1, 0)
    done = run("predict", "sums.safetensors", "data", "--scores", "logits", "--format", "jsonl", cwd=work)
    sums = [json.loads(line)["scores"][0] for line in done.stdout.splitlines()]
    low, high = min(sums), max(sums)
    check.that(high > low * 1.001 > 0, "the pictures differ", sums)
    limit = (low + high) / 2
    with_head(work / "large.safetensors", 3.4028e38 / limit, 0)
    infinite = [total > limit for total in sums]
    for form in ["jsonl", "csv"]:
        check.exits(1, "predict", "large.safetensors", "data", "--scores", "logits", "--top", "2", "-o", f"out.{form}", cwd=work,
                    says=["the scores are not finite", f"{infinite.count(True)} could not be read"])
    lines = [strict(line) for line in (work / "out.jsonl").read_text().splitlines()]
    check.that(["error" in line for line in lines] == infinite, "lines with an error are those without scores", lines)
    check.that(all("label" not in line and "scores" not in line for line in lines if "error" in line), "they have no label", lines)
    rows = list(csv.DictReader((work / "out.csv").open()))
    check.that([row["error"] != "" for row in rows] == infinite, "the same in CSV", rows)
    check.that(all(row["label"] == "" for row in rows if row["error"]), "no label there either", rows)
    check.that("nan" not in (work / "out.csv").read_text() and "inf" not in (work / "out.csv").read_text(), "no nan, no inf")

    # Every picture is bad: the first is named, with the reason, in the one line.
    with_head(work / "nan.safetensors", 1, float("nan"))
    check.exits(3, "predict", "nan.safetensors", "data", cwd=work, lines=1,
                says=["0.ppm: the scores are not finite", "none of the 5 pictures"])
    for name in ["one", "two"]:
        (work / "junk").mkdir(exist_ok=True)
        (work / "junk" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    check.exits(3, "predict", MODEL, "junk", "-o", "none.csv", cwd=work, lines=1,
                says=["junk/one.png: ", "none of the 2 pictures could be read"])
    check.that(not (work / "none.csv").exists(), "nothing is written")

    # Manifests, with the options that read them.
    (work / "lists").mkdir()
    (work / "lists" / "all.csv").write_text("where,what\n0.ppm,x\n1.ppm,y\n")
    done = check.exits(0, "predict", MODEL, "lists/all.csv", "--root", "data", "--columns", "path=where,label=what", cwd=work)
    check.that(len(done.stdout.splitlines()) == 3, "two pictures of the manifest", done.stdout)
    check.exits(2, "predict", MODEL, "lists/all.csv", "--root", "data", "--columns", "path=where,label=what", "-o", "data/0.ppm",
                "--overwrite", cwd=work, says="input", lines=1)
    check.exits(2, "info", MODEL, "--root", "data", says="--root belongs to train, eval, predict and check", lines=1)
    check.exits(2, "predict", MODEL, "data", "--epochs", "2", says="--epochs belongs to train", lines=1)
    check.exits(2, "predict", MODEL, "data", "--strict", says="--strict belongs to check", lines=1)

    # What a model is travels in a .pth, too: its preprocessing (--decode fast), its classes.
    check.exits(0, "export", MODEL, "-o", "fast.pth", "--decode", "fast", cwd=work)
    check.exits(0, "export", "fast.pth", "-o", "again.safetensors", cwd=work)
    for name in ["fast.pth", "again.safetensors"]:
        done = check.exits(0, "info", name, cwd=work)
        check.that("--decode fast" in done.stdout and "10: airplane" in done.stdout, f"what {name} remembers", done.stdout)

    # A write that fails names what was asked for, not the file beside it.
    done = check.exits(4, "predict", MODEL, "data", "--scores", "logits", "-o", "cut.csv", cwd=work, says="cut.csv: file too large", lines=1,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)))
    check.that(".part" not in done.stderr and not list(work.glob("cut.csv*")), "no part is named, none is left", done.stderr)

    # Bytes: what loses too much stays wide and is named; what was decided can be used again without the pictures.
    int8 = ["predict", MODEL, "data", "--scores", "logits", "--precision", "int8"]
    check.exits(2, *int8, cwd=work, says="--calibrate", lines=1)
    check.exits(2, *int8, "--calibrate", "data", "--save-calibration", "c.txt", cwd=work, says=".json", lines=1)
    done = check.exits(0, *int8, "--calibrate", "data", "--save-calibration", "c.json", "--int8-loss", "1000", cwd=work, says="5 pictures")
    check.that("stays wide" not in done.stderr, "nothing stays wide that may lose all", done.stderr)
    saved = json.loads((work / "c.json").read_text())
    check.that(0 < saved["loss"] < 1 and saved["pictures"] == 5 and all("low" in value for value in saved["values"]), "what is saved", saved)
    again = check.exits(0, *int8, "--calibrate", "c.json", cwd=work, says="as saved")
    check.exits(0, *int8, "--calibrate", "c.json", "--save-calibration", "copy.json", cwd=work)
    check.that(json.loads((work / "copy.json").read_text()) == saved, "a calibration saved again is the same")
    check.exits(2, *int8, "--calibrate", "data", "--save-calibration", "c.json", cwd=work, says="c.json: exists; --overwrite", lines=1)
    check.exits(2, *int8, "--calibrate", "data", "--save-calibration", "one.json", "--format", "jsonl", "-o", "one.json", cwd=work, says="one file", lines=1)
    check.exits(0, *int8, "--calibrate", "c.json", "--save-calibration", "copy.json", "--overwrite", cwd=work)
    (work / "torn").mkdir()
    (work / "torn" / "a.ppm").write_bytes((work / "data" / "0.ppm").read_bytes())
    (work / "torn" / "b.ppm").write_bytes(b"P6 9")
    check.exits(0, *int8, "--calibrate", "torn", cwd=work, says="torn/b.ppm: warning")
    check.exits(0, *int8, "--calibrate", "c.json", "--int8-loss", "0", cwd=work, says="above --int8-loss 0")
    check.exits(3, *int8, "--calibrate", "c.json", "--std", "0.01,0.01,0.01", cwd=work, says="other weights or preprocessing", lines=1)
    check.that(again.stdout == done.stdout, "the same scores from the saved ranges")
    most = saved["loss"] * 0.7
    some = check.exits(0, *int8, "--calibrate", "data", "--save-calibration", "some.json", "--int8-loss", most, cwd=work, says="stays wide")
    fewer = json.loads((work / "some.json").read_text())
    wide = [value["name"] for value in fewer["values"] if "stays_wide" in value]
    check.that(0 < len(wide) < len(saved["values"]) and fewer["loss"] <= most, "some layers stay wide", fewer)
    again = check.exits(0, *int8, "--calibrate", "some.json", cwd=work, says="stays wide")
    check.that(again.stdout == some.stdout, "and so again")
    check.that("warning" in done.stderr and "5 pictures are few" in done.stderr, "few pictures to calibrate with", done.stderr)
    check.exits(0, "predict", MODEL, "data", "--precision", "int8", "--calibrate", "data/0.ppm", cwd=work, says="1 picture is few")
    with_head(work / "head.safetensors", 0.25, 1.0)
    other = ["predict", "head.safetensors", "data", "--scores", "logits", "--precision", "int8", "--calibrate", "c.json"]
    check.exits(0, *other, cwd=work, says="as saved")  # another head: what lies before it is the same
    raw = bytearray(MODEL.read_bytes())
    size = struct.unpack("<Q", raw[:8])[0]
    raw[8 + size + json.loads(raw[8:8 + size])["conv1.weight"]["data_offsets"][0]] ^= 1
    (work / "head.safetensors").write_bytes(raw)
    check.exits(3, *other, cwd=work, says="made from other weights", lines=1)
    strange = [(0, 0), (0, 1e-45), (-1e-30, 1e-30), (0, 1e12), (-1e12, -1e11), (5, 6), (-1e-19, 1e-19)]
    for low, high in strange:  # clipped or left wide: never a number that is none
        (work / "strange.json").write_text(json.dumps({**saved, "values": [{**value, "low": low, "high": high} for value in saved["values"]]}))
        done = check.exits(0, *int8, "--calibrate", "strange.json", cwd=work)
        check.that("nan" not in done.stdout and "inf" not in done.stdout, f"finite scores with ranges {low} to {high}", done.stdout)
    for text, says in [("{", "line 1"), ("[]", "calibration"), ('{"calibration": "int4", "values": []}', "int8"), ('{"calibration": "int8"}', "weights"), ('{"calibration": "int8", "weights": "0"}', "values"),
                       ('{"calibration": "int8", "values": [{"name": "x", "low": 0, "high": 1}], "weights": "0"}', "no value of this name"),
                       (json.dumps({**saved, "weights": "0" * 16}), "other weights"), (json.dumps({**saved, "weights": 1}), "weights"),
                       (json.dumps({**saved, "pictures": 1e300}), "pictures"), (json.dumps({**saved, "more": 1}), "more"),
                       (json.dumps({**saved, "values": [{**saved["values"][0], "high": float("nan")}]}), "line"),
                       (json.dumps({**saved, "values": [{**saved["values"][0], "low": -1e38, "high": 1e38}]}), "low"),
                       (json.dumps({**saved, "values": [{**saved["values"][0], "high": -1e30}]}), "high"),
                       (json.dumps({**saved, "values": [{**saved["values"][0], "high": 1e300}]}), "high")]:
        (work / "bad.json").write_text(text)
        check.exits(3, *int8, "--calibrate", "bad.json", cwd=work, says=says, lines=1)
check.end()
