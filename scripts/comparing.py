"""What the comparing scripts share: what stops one is said in a line (exit 1), archives, rows of earlier runs."""
import json
import os
import subprocess
import sys
import tarfile

SCRIPT = os.path.basename(sys.argv[0])


def in_words(error):
    """None: a mistake in the script, whose traceback is wanted."""
    if isinstance(error, ModuleNotFoundError):
        return f"needs the Python module {error.name}, which {sys.executable} does not have"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, subprocess.CalledProcessError):
        command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        return f"{command[:300]}: ended with {error.returncode}{': ' + said.strip()[-300:] if said else ''}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}"
    if isinstance(error, tarfile.TarError):
        return f"not a tar archive: {str(error).splitlines()[0]}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename + ': ' if isinstance(error.filename, str) else ''}{error.strerror}"
    return None


def hook(kind, error, trace):
    words = in_words(error)
    if words is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"{SCRIPT}: {words}", file=sys.stderr)


sys.excepthook = hook


def count(text):
    """For argparse: a whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def counts(text):
    return [count(word) for word in text.split(",")]


def unpack(path, folder):
    with tarfile.open(path) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:  # Python before 3.11.4
            tar.extractall(folder)


def earlier_rows(options, key):
    """key(line) of the lines that the file of --json has, where --skip-measured asks for it; None is no row.  That the file can
    be written is found out before anything is measured."""
    if not options.json:
        return set()
    with open(options.json, "a+") as file:
        file.seek(0)
        return {key(line) for line in map(json.loads, file)} - {None} if options.skip_measured else set()


def keep(options, row, text):
    """Shows a row, and adds it to the file of --json."""
    print(text, flush=True)
    if options.json:
        with open(options.json, "a") as file:
            file.write(json.dumps(row) + "\n")
