"""Arguments, help, exit codes and streams (rows A1 to A12, E8, E9, E13 of the catalogue of bad input)."""
import fcntl
import json
import os
import re
import subprocess

from support import MODEL, PROGRAM, Checks, Workplace, run

VERBS = ["info", "train", "eval", "predict", "export", "check", "system", "bench"]
check = Checks()

# A1 to A5, A11: what is given wrongly is refused with one line and exit code 2.
check.exits(2, says="no verb given", lines=1)
check.exits(2, "trian", says='unknown verb "trian"; did you mean "train"?', lines=1)
check.exits(2, "zzzzzz", says="diopter help", lines=1)
check.exits(2, "train", "--epoch", "3", says="unknown flag --epoch; did you mean --epochs?", lines=1)
check.exits(2, "train", "--epo", "3", says="unknown flag --epo", lines=1)
check.exits(2, "train", "--lr", says="--lr needs a value", lines=1)
check.exits(2, "train", "--lr", "--epochs", "3", says="--lr needs a value", lines=1)
check.exits(2, "train", "--overwrite=yes", says="takes no value", lines=1)
check.exits(2, "train", "--lr", "1", "--lr", "2", says="given twice", lines=1)
for bad in ["nan", "inf", "1e3x", " 5", "", "-1", "0", "0,1", "0x2", "1e999"]:
    check.exits(2, "train", "m", "d", "-o", "r", "--lr", bad, says="--lr must be", lines=1)
for bad in ["1.5", "-3", "0", "word", "99999999999999999999"]:
    check.exits(2, "train", "m", "d", "-o", "r", "--epochs", bad, says="--epochs must be", lines=1)
check.exits(2, "train", "m", "d", "-o", "r", "--optimizer", "sgdd", says="--optimizer must be", lines=1)
check.exits(2, "info", "--epochs", "3", "x", says="--epochs belongs to train", lines=1)
check.exits(2, "info", says="too few arguments", lines=1)
check.exits(2, "info", "a", "b", says='unexpected argument "b"', lines=1)
check.exits(2, "info", "", says="empty", lines=1)
check.exits(2, "system", "--threads", "0", says="--threads must be", lines=1)
check.exits(2, "system", "--cpu", "z80", says="z80", lines=1)
check.exits(2, "system", says="z80", lines=1, env={"DIOPTER_CPU": "z80"})
check.exits(2, "train", "m", "d", says="-o RUN is missing", lines=1)
check.exits(2, "help", "trian", says='unknown verb "trian"', lines=1)
check.exits(4, "info", "--", "--no-such-file", says="--no-such-file", lines=1)
check.exits(4, "info", "no/such/file", says="no/such/file", lines=1)
# A12: what comes from outside is escaped.
check.exits(4, "info", "a\x1b[31mb", says="\\x1b", lines=1)

# A name that several verbs know is held against the verb's own choices.
check.exits(2, "eval", "m", "d", "--precision", "f16", says="--precision must be one of f32", lines=1)
check.exits(2, "predict", "m", "d", "--format", "xml", says="--format must be one of csv|jsonl", lines=1)
check.exits(2, "predict", MODEL, "p", "--calibrate", "p", says="--calibrate needs --precision int8", lines=1)
check.exits(2, "predict", MODEL, "p", "--save-calibration", "c.json", says="--save-calibration needs --precision int8", lines=1)
check.exits(2, "bench", MODEL, "--train-step", "--precision", "bf16", says="training computes in f32", lines=1)
# A mistake is told as JSON wherever --json stands.
check.exits(2, "eval", "--nope", "--json", says=['"level":"error"', "unknown flag --nope"], lines=1)

for arguments, code in [(["trian", "--json"], "A1"), (["help", "trian", "--json"], "A1"), (["train", "--epoch", "3", "--json"], "A2"),
                        (["train", "--json"], "A3"), (["info", "--json"], "A3"), (["info", "--epochs", "3", "x", "--json"], "A11"),
                        (["train", "m", "d", "-o", "r", "--lr", "nan", "--json"], "A4")]:
    message = json.loads(check.exits(2, *arguments, lines=1).stderr)
    check.that(message["code"] == code and message["exit"] == 2, f"{arguments}: row {code}", message)
message = json.loads(check.exits(4, "info", "--json", "no/such/file", lines=1).stderr)
check.that(message["code"] == "E7" and message["file"] == "no/such/file", "a file that is missing is no failed write", message)

# Every option that help shows is one that the verb takes.
for verb in VERBS:
    shown = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", run(verb, "--help").stdout, re.M)
    check.that(len(shown) > 3, f"{verb} --help lists options", shown)
    for option in shown:
        said = run(verb, option, "--nope").stderr
        check.that(f"flag {option}" not in said and f"{option} belongs" not in said, f"{verb} knows {option}", said)

# Help: of each verb, both ways, with examples; version; man pages; completion.
for verb in VERBS:
    by_flag, by_help = check.exits(0, verb, "--help"), check.exits(0, "help", verb)
    check.that(by_flag.stdout == by_help.stdout, f"{verb} --help and help {verb} say the same")
    check.that("Examples" in by_flag.stdout and f"diopter {verb}" in by_flag.stdout, f"{verb} --help has an example")
    page = check.exits(0, "help", "--man", verb)
    check.that(page.stdout.startswith(".TH DIOPTER"), f"man page of {verb}")
overview = check.exits(0, "help")
check.that(all(f"diopter {verb}" in overview.stdout for verb in VERBS), "the overview lists every verb")
check.that(check.exits(0, "--help").stdout == overview.stdout, "--help is help")
check.that(check.exits(0, "--version").stdout.startswith("diopter 0."), "--version")
training = run("train", "--help").stdout
for option in ["--freeze", "--epochs", "--batch-size", "--lr", "--seed", "--threads", "--recipe", "--views", "--augment-flip"]:
    check.that(option in training, f"train --help names {option}")
for shell in ["bash", "zsh", "fish"]:
    text = check.exits(0, "help", "--completion", shell).stdout
    check.that("freeze" in text and "predict" in text, f"completion for {shell}")
bash = run("help", "--completion", "bash").stdout
check.that(subprocess.run(["bash", "-n"], input=bash, text=True).returncode == 0, "bash reads the completion")

# Streams.
with open("/dev/full", "w") as full:
    result = subprocess.run([PROGRAM, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
check.that(result.returncode == 4 and "standard output" in result.stderr, "a full device is exit code 4", result)
with open("/dev/full", "w") as full:
    result = subprocess.run([PROGRAM, "system", "--json"], stdout=full, stderr=subprocess.PIPE, text=True)
message = json.loads(result.stderr)
check.that(result.returncode == message["exit"] == 4 and message["file"] == "standard output", "the same with --json", result)
pipe_read, pipe_write = os.pipe()
os.close(pipe_read)
result = subprocess.run([PROGRAM, "train", "--help"], stdout=pipe_write, stderr=subprocess.PIPE, restore_signals=True)
os.close(pipe_write)
check.that(result.returncode in (-13, 141), "a closed pipe ends the program as SIGPIPE does", result.returncode)
closed = subprocess.run(["sh", "-c", f"'{PROGRAM}' --version <&- >&- 2>&-"])
check.that(closed.returncode in (0, 4), "closed descriptors do no harm", closed.returncode)

# The machine.
for value in ["abc", "0", "-1", "100000"]:
    check.exits(0, "system", env={"OMP_NUM_THREADS": value}, lines=1, says=["OMP_NUM_THREADS", "warning"])
for value in ["1", "1,2"]:
    result = check.exits(0, "system", env={"OMP_NUM_THREADS": value}, lines=0)
    check.that(re.search(r"threads +1\b", result.stdout), "a sensible one counts", result.stdout)
result = check.exits(0, "system", "--json")
check.that('"kernels"' in result.stdout, "system --json")
check.that('"linear":"own","linear_asked":"auto"' in result.stdout.replace(": ", ":").replace(", ", ","), "linear in JSON", result.stdout)
result = check.exits(0, "system")
check.that("linear    auto: own kernels" in result.stdout, "who computes linear layers", result.stdout)
check.that("OpenBLAS is there" in result.stdout or "(--linear blas)" in result.stdout, "OpenBLAS, there or not", result.stdout)
for level in ["portable", "avx2", "avx512"]:
    result = run("system", "--cpu", level)
    if result.returncode == 2:
        print(f"skipped: this CPU lacks {level}")
    else:
        check.that(f"in use    {level}" in result.stdout, f"--cpu {level}", result.stdout)
with Workplace() as work:
    (work / "junk.bin").write_bytes(b"junk" * 100)
    check.exits(3, "info", work / "junk.bin", lines=1)
    check.exits(3, "info", "--json", work / "junk.bin", says=['"level":"error"', '"exit":3'], lines=1)
    if MODEL.exists():
        check.exits(0, "info", MODEL)
        result = check.exits(0, "info", MODEL, "--key", "ema")
        check.that("--key is not used" in result.stdout, "--key of a file with one set of weights", result.stdout)
        check.exits(2, "export", MODEL, "-o", MODEL, says="same file", lines=1)
        check.exits(2, "export", MODEL, "-o", work / "junk.bin", lines=1)
        # Row A9: nothing but the weights on standard output, and no file of that name.
        check.exits(0, "export", MODEL, "-o", work / "file.safetensors")
        with (work / "stream").open("wb") as stream:
            done = subprocess.run([PROGRAM, "export", MODEL, "-o", "-"], cwd=work, stdout=stream,
                                  stderr=subprocess.DEVNULL, check=False)
        check.that(done.returncode == 0 and not (work / "-").exists(), "export -o - is standard output")
        check.that((work / "stream").read_bytes() == (work / "file.safetensors").read_bytes(), "export -o - gives the file's bytes")
        check.exits(0, "export", MODEL, "-o", "/dev/null")

    # Every wrong row of a manifest is told, with the reason, before the line that refuses it (row C3).
    (work / "list.csv").write_text("path,label\nnone.png,cat\ngone.png,dog\n")
    check.exits(3, "check", work / "list.csv", lines=3,
                says=["line 2: none.png: no such file", "line 3: gone.png: no such file", "2 rows are wrong"])
    (work / "recipe.yaml").write_text("augment_flip: 0.5\n")
    check.exits(3, "check", "--recipe", work / "recipe.yaml", says="write augment: {flip: ...}", lines=1)

    # A plot is refused before any work where it would lie on or among the inputs, or nowhere (rows A7, A8).
    picture = work / "data" / "cat" / "a.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"stays")
    check.exits(2, "eval", "m", work / "data", "--plot", picture, says="ends in .svg", lines=1)
    check.exits(2, "eval", "m", work / "data", "--plot", picture.with_suffix(".svg"), says="lies in an input", lines=1)
    check.exits(4, "eval", "m", work / "data", "--plot", work / "none" / "x.svg", says="does not exist", lines=1)
    check.that(picture.read_bytes() == b"stays", "the picture stays")
    if MODEL.exists():
        # A model of ten classes has no positive one.
        for option in [["--positive", "cat"], ["--threshold", "0.3"]]:
            check.exits(2, "eval", MODEL, work / "data", *option, says=f"{option[0]} is for models of two classes; this one has 10", lines=1)
        # Data that hold nothing say why.
        records = work / "records"
        records.mkdir()
        (records / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n")
        (records / "data_batch_1.bin").write_bytes(bytes(3073 * 3 - 7))
        (work / "zeros.tar").write_bytes(bytes(10240))
        (work / "nothing.tar").write_bytes(b"")
        for verb in [["check"], ["predict", MODEL]]:
            check.exits(3, *verb, records, says="data_batch_1.bin: 9212 bytes are not a number of records of 3073 bytes", lines=1)
            check.exits(3, *verb, work / "zeros.tar", says="the tar is empty", lines=1)
            check.exits(3, *verb, work / "nothing.tar", says="the file is empty", lines=1)
        check.exits(2, "predict", MODEL, "..", "-o", "out.csv", cwd=picture.parent, says="lies in an input", lines=1)
        # Two predictions into one file would mix their lines (row E10).
        part = work / "out.csv.part-01234567-89abcdef-01234567-csv-1-none"
        with open(part, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            check.exits(4, "predict", MODEL, picture, "-o", work / "out.csv", says="in use by another process", lines=1)
            check.that(part.exists() and not (work / "out.csv").exists(), "what the other one writes stays")
        check.exits(3, "predict", MODEL, picture, "-o", work / "out.csv")
        check.that(not part.exists(), "what nobody writes any more goes")
check.end()
