"""Address space that ends (ulimit -v): one line and exit 4 wherever it happens, never a crash; enough of it, and all goes well."""
import resource
import shutil

from support import MODEL, SANITIZED, Checks, Workplace, run, skip

if not MODEL.exists():
    skip("no bundled model")
if SANITIZED:
    skip("sanitizers reserve address space")
check = Checks()


def limited(megabytes, *args, cwd):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    return run(*args, "--quiet", "--threads", 2, cwd=cwd, preexec_fn=limit)


with Workplace() as work:
    for kind in ["cat", "dog"]:
        (work / "data" / kind).mkdir(parents=True)
        for i in range(8):
            pixels = bytes((x * (i + 3) + 90 * (kind == "dog")) % 256 for x in range(640 * 480 * 3))
            (work / "data" / kind / f"{i}.ppm").write_bytes(b"P6 640 480 255\n" + pixels)
    verbs = {"predict": ["predict", MODEL, "data"], "int8": ["predict", MODEL, "data", "--precision", "int8", "--calibrate", "data"],
             "eval": ["eval", MODEL, "data"], "train": ["train", MODEL, "data", "-o", "run", "--epochs", 1, "--freeze", "none"]}
    for name, args in verbs.items():
        codes = []
        for megabytes in [*range(48, 128, 8), 300, 2000]:
            shutil.rmtree(work / "run", ignore_errors=True)
            done = limited(megabytes, *args, cwd=work)
            if done.returncode == 127:  # the loader itself
                continue
            codes.append(done.returncode)
            lines = [line for line in done.stderr.splitlines() if "warning: " not in line and "note: " not in line]
            good = done.returncode == 0 or (done.returncode == 4 and len(lines) == 1 and "memory" in lines[0])
            check.that(good, f"{name} with {megabytes} MB", f"exit {done.returncode}, {done.stderr[-600:]}")
        check.that(codes[-1] == 0 and 4 in codes, f"{name}: limits on both sides of what it needs", codes)
check.end()
