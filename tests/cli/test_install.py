"""make install: what lands where, and a program built against it with pkg-config and with CMake."""
import os
import pathlib
import shutil
import subprocess

from support import BUILD, MODEL, SANITIZED, SOURCE, Checks, Workplace, skip

if SANITIZED:
    skip("an installed library under sanitizers: the plain build does it")
check = Checks()
CMAKE = """cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C)
find_package(Diopter REQUIRED)
add_executable(label label.c)
target_link_libraries(label PRIVATE Diopter::diopter)
"""


def does(what, *command, **more):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    check.that(result.returncode == 0, what, result.stdout[-500:] + result.stderr[-500:])
    return result.stdout


with Workplace() as work:
    root = work / "root"
    does("cmake --install", "cmake", "--install", BUILD, "--prefix", root)
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    for name in ("bin/diopter", "include/diopter/diopter.h", "share/man/man1/diopter.1", "share/man/man1/diopter-train.1",
                 "share/bash-completion/completions/diopter", "share/zsh/site-functions/_diopter",
                 "share/fish/vendor_completions.d/diopter.fish"):
        check.that(name in found, f"{name} is installed", sorted(found))
    for ending in ("pkgconfig/diopter.pc", "cmake/Diopter/DiopterConfig.cmake", "libdiopter.so"):
        check.that(any(name.endswith(ending) for name in found), f"{ending} is installed", sorted(found))
    library = next(root.rglob("libdiopter.so"), root).parent
    names = does("nm", "nm", "-D", "--defined-only", library / "libdiopter.so").split()[2::3]
    check.that(names and all(name.startswith("diopter_") for name in names), "nothing else is visible",
               [name for name in names if not name.startswith("diopter_")][:10])
    environment = dict(os.environ, PKG_CONFIG_PATH=str(library / "pkgconfig"), LD_LIBRARY_PATH=str(library))
    flags = does("pkg-config", "pkg-config", "--cflags", "--libs", "diopter", env=environment).split()
    check.that(str(root) in " ".join(flags) and "/usr/local" not in " ".join(flags), "pkg-config names the prefix of the install", flags)
    program = work / "label"
    does("a program with pkg-config", os.environ.get("CC", "cc"), SOURCE / "samples" / "label.c", *flags, "-o", program, env=environment)
    user = work / "user"
    user.mkdir()
    (user / "CMakeLists.txt").write_text(CMAKE)
    shutil.copy(SOURCE / "samples" / "label.c", user)
    does("a program with CMake", "cmake", "-G", "Ninja", "-S", user, "-B", user / "build", f"-DCMAKE_PREFIX_PATH={root}")
    does("a program with CMake builds", "cmake", "--build", user / "build")
    does("the other sample compiles", os.environ.get("CC", "cc"), SOURCE / "samples" / "fine_tune.c", *flags, "-o", work / "fine_tune",
         env=environment)
    if MODEL.exists():
        does("make_tiles", BUILD / "make_tiles", work / "tiles", "5")
        picture = sorted((work / "tiles").rglob("*.png"))[0]
        text = does("label", program, MODEL, picture, env=environment)
        check.that(text.startswith(str(picture)), "label names a class", text)
        text = does("fine_tune", work / "fine_tune", MODEL, work / "tiles", work / "run", env=environment)
        check.that("% right" in text, "fine_tune says how good it is", text)
    if shutil.which("man"):
        does("man reads the page", "man", "--warnings", "-l", root / "share/man/man1/diopter-train.1", env=dict(os.environ, MANPAGER="cat"))
    else:
        print("skipped: man is not installed")
check.end()
