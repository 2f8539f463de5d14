"""Builds the compiled rooms: each ``.pyx`` in a folder named ``compiled`` is one extension module.

The metadata is in pyproject.toml. Environment variables of a build:

REGCACHE_PURE=1            no extension at all (the wheel then needs REGCACHE_PURE=1 when it runs, too)
REGCACHE_ZLIB_PREFIX=DIR   zlib from DIR/include and DIR/lib, in place of what pkg-config says
REGCACHE_ZSTD_PREFIX=DIR   libzstd, likewise
REGCACHE_SANITIZE=...      address, undefined, thread, or several with commas (gcc and clang)
REGCACHE_COVERAGE=1        lines of Cython code can be traced; the C files are then written beside the .pyx
REGCACHE_WERROR=1          warnings in the C that people wrote are errors (for the project's own checks)
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CYTHON = (3, 2, 3)
ROOMS = ("regcache/codec/compiled", "regcache/cache/compiled", "regcache/select/compiled")
#: Whoever cimports the slot (slot.pxd) needs its headers.
SLOT = "regcache/cache/compiled"
SELECT = "regcache.select.compiled.select"
#: The extension that the hand-written C is linked into, and where that C is.
CODEC = "regcache.codec.compiled.codec"
CODEC_C = "regcache/codec/compiled"

#: What a build needs beside Cython: a program that shows that it is there, and what to install where it is not.
NEEDS = {
    "compiler": (
        "#include <stdlib.h>\nint regcache_probe(void) { return abs(-1); }\n",
        "a C compiler",
        "build-essential (Debian, Ubuntu), gcc (Fedora) or Xcode's command line tools (macOS: xcode-select --install)",
    ),
    "python": (
        "#include <Python.h>\nint regcache_probe(void) { return PY_MAJOR_VERSION; }\n",
        f"the header Python.h of Python {sys.version_info[0]}.{sys.version_info[1]}",
        "python3-dev (Debian, Ubuntu), python3-devel (Fedora) or a Python with headers (macOS: brew install python)",
    ),
    "zlib": (
        "#include <zlib.h>\nint regcache_probe(void) { return inflateReset((z_streamp)0) + (zlibVersion() == 0); }\n",
        "zlib.h and the library zlib",
        "zlib1g-dev (Debian, Ubuntu), zlib-devel (Fedora) or zlib (macOS: brew install zlib)",
    ),
    "zstd": (
        "#include <zstd.h>\n#if ZSTD_VERSION_NUMBER < 10400\n#error it is older than 1.4.0\n#endif\n"
        "int regcache_probe(void) { return (int)ZSTD_versionNumber(); }\n",
        "zstd.h and the library libzstd, 1.4.0 or later",
        "libzstd-dev (Debian, Ubuntu), libzstd-devel (Fedora) or zstd (macOS: brew install zstd)",
    ),
}
#: What of an extension builds it again when it is another.
STAMPED = (
    "sources",
    "extra_compile_args",
    "extra_link_args",
    "define_macros",
    "include_dirs",
    "library_dirs",
    "libraries",
)
#: Library: its name for pkg-config and for the linker.
LIBRARIES = {"zlib": ("zlib", "z"), "zstd": ("libzstd", "zstd")}


def switch(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def stop(sentence: str) -> SystemExit:
    return SystemExit(f"error: {sentence}")


def extensions() -> List[Extension]:
    """One extension for each ``.pyx``; the C beside the codec belongs to the codec."""
    if switch("REGCACHE_PURE") or platform.python_implementation() != "CPython":
        return []
    found = []
    for room in ROOMS:
        pyx = sorted(Path(room).glob("*.pyx"))
        patterns = [(folder, kind) for folder in {room, SLOT} for kind in ("*.h", "*.pxd", "*.pxi")]
        headers = sorted(str(path) for folder, kind in patterns for path in Path(folder).glob(kind))
        for source in pyx:
            name = ".".join(source.with_suffix("").parts)
            sources = [source.as_posix()]
            if name == CODEC:
                written = {path.stem for path in pyx}
                sources += [path.as_posix() for path in sorted(Path(CODEC_C).glob("*.c")) if path.stem not in written]
            found.append(Extension(name, sources, include_dirs=[room, SLOT], depends=headers))
    return found


class Library:
    """Where a library is: from its prefix, from pkg-config, or on the compiler's own paths."""

    def __init__(self, name: str) -> None:
        module, self.lib = LIBRARIES[name]
        self.include_dirs: List[str] = []
        self.link_dirs: List[str] = []
        self.link_args: List[str] = []
        variable = f"REGCACHE_{name.upper()}_PREFIX"
        prefix = os.environ.get(variable)
        if prefix:
            include = Path(prefix, "include")
            if not (include / f"{name}.h").is_file():
                packages = NEEDS[name][2]
                header = include / f"{name}.h"
                raise stop(f"{variable} is {prefix}, but there is no {header}; unset it and install {packages}.")
            self.include_dirs = [str(include)]
            self.link_dirs = [str(path) for path in (Path(prefix, "lib64"), Path(prefix, "lib")) if path.is_dir()]
            # Static libraries are not looked for at run time: no path of this machine in what it builds.
            shared = [path for path in self.link_dirs if any(Path(path).glob(f"lib{self.lib}.[sd]*"))]
            self.link_args = [f"-Wl,-rpath,{path}" for path in shared]
        else:
            self._ask_pkg_config(module)

    def settings(self) -> Dict[str, List[str]]:
        """For an extension that is linked with it."""
        return {
            "include_dirs": self.include_dirs,
            "library_dirs": self.link_dirs,
            "libraries": [self.lib],
            "extra_link_args": self.link_args,
        }

    def _ask_pkg_config(self, module: str) -> None:
        command = [*shlex.split(os.environ.get("PKG_CONFIG", "pkg-config")), "--cflags", "--libs", module]
        try:
            said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        except (OSError, subprocess.CalledProcessError):
            return
        for word in shlex.split(said.stdout.decode()):
            if word.startswith("-I"):
                self.include_dirs.append(word[2:])
            elif word.startswith("-L"):
                self.link_dirs.append(word[2:])


class BuildExt(build_ext):
    """Looks for what the build needs, lets Cython write its C into build/, and compiles."""

    def build_extensions(self) -> None:
        if self.extensions:
            if self.compiler.compiler_type != "unix":
                raise stop(
                    f"regcache's compiled code needs gcc or clang, not {self.compiler.compiler_type}: "
                    "set REGCACHE_PURE=1, when it is built and when it runs, for the pure codec."
                )
            libraries = {name: Library(name) for name in LIBRARIES}
            self._probe(libraries)
            self._cythonize()
            self._set_flags(libraries)
            self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    # What the build needs

    def _probe(self, libraries: Dict[str, Library]) -> None:
        for name, (program, what, packages) in NEEDS.items():
            why = self._try(program, libraries.get(name), self.include_dirs if name != "compiler" else [])
            if why is not None:
                ways = f", or set REGCACHE_{name.upper()}_PREFIX to where it is" if name in LIBRARIES else ""
                raise stop(f"regcache's compiled code needs {what}: install {packages}{ways} ({why}).")

    def _try(self, program: str, library: Optional[Library], include_dirs: List[str]) -> Optional[str]:
        """Compile the program and link it as a module; why that failed, or ``None``."""
        with tempfile.TemporaryDirectory() as folder:
            source, made, module = (str(Path(folder, name)) for name in ("probe.c", "probe.o", "probe.so"))
            Path(source).write_text(program)
            link: List[str] = []
            if library is not None:
                include_dirs = [*library.include_dirs, *include_dirs]
                link = [f"-L{path}" for path in library.link_dirs] + [f"-l{library.lib}"]
            includes = [f"-I{path}" for path in include_dirs]
            for command in (
                [*self.compiler.compiler_so, *includes, "-c", source, "-o", made],
                [*self.compiler.linker_so, made, *link, "-o", module],
            ):
                try:
                    subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
                except OSError as error:
                    return f"{command[0]}: {error.strerror}"
                except subprocess.CalledProcessError as error:
                    lines = [line.strip() for line in error.stderr.decode(errors="replace").splitlines()]
                    telling = [line for line in lines if "error" in line or "cannot find" in line] or lines
                    return telling[0].replace(source, "probe.c") if telling else f"{command[0]} failed"
        return None

    # Cython

    def _cythonize(self) -> None:
        try:
            import Cython
            from Cython.Build import cythonize
        except ImportError:
            raise stop("building regcache needs Cython 3.2.3 or later: pip install 'Cython>=3.2.3'.") from None
        if tuple(int(part) for part in Cython.__version__.split(".")[:3] if part.isdigit()) < CYTHON:
            raise stop(
                f"building regcache needs Cython 3.2.3 or later, and this is {Cython.__version__}: "
                "pip install --upgrade Cython."
            )
        traced = switch("REGCACHE_COVERAGE")
        where: Dict[str, Any] = {} if traced else {"build_dir": "build/cython"}
        for ext in self.extensions:
            # Cython sees its own source alone: it would copy the hand-written C into build/ as well.
            (made,) = cythonize(
                [Extension(ext.name, ext.sources[:1])],
                compiler_directives={"language_level": "3", "linetrace": traced},
                emit_linenums=False,
                **where,
            )
            ext.sources = [*made.sources, *ext.sources[1:]]
        for copied in Path("build/cython").rglob("*.h"):
            copied.unlink()  # One copy of each header, the one that people edit.

    # Flags

    def _set_flags(self, libraries: Dict[str, Library]) -> None:
        compile_args, link_args, macros = self._flags()
        for ext in self.extensions:
            ext.extra_compile_args += compile_args
            ext.extra_link_args += link_args
            ext.define_macros += macros
            if ext.name == SELECT:
                ext.libraries.append("m")  # exp()
            if ext.name == CODEC:
                for library in libraries.values():
                    for name, more in library.settings().items():
                        getattr(ext, name).extend(more)
            ext.depends = [*ext.depends, *self._stamp(ext)]

    def _flags(self) -> Tuple[List[str], List[str], List[Tuple[str, Optional[str]]]]:
        macros: List[Tuple[str, Optional[str]]] = []
        if switch("REGCACHE_COVERAGE"):
            # Python 3.13's own monitoring does not tell coverage of Cython's lines.
            macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
        compile_args = ["-O3", "-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"]
        # What Cython's C is full of, and what is harmless.
        compile_args += ["-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
        if "-g" not in os.environ.get("CFLAGS", "").split():
            compile_args.append("-g0")  # Python's own flags ask for debugging information, most of the file.
        link_args: List[str] = []
        if switch("REGCACHE_WERROR"):
            compile_args.append("-Werror")
        sanitizers = os.environ.get("REGCACHE_SANITIZE", "")
        if sanitizers:
            known = {"address", "undefined", "thread"}
            if not set(sanitizers.split(",")) <= known:
                raise stop(f"REGCACHE_SANITIZE is {sanitizers!r}, and may be any of {', '.join(sorted(known))}.")
            compile_args += ["-O1", "-g", "-fno-omit-frame-pointer"]
            compile_args += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
            link_args += [f"-fsanitize={sanitizers}"]
        return compile_args, link_args, macros

    def _stamp(self, ext: Extension) -> List[str]:
        """A file that is as new as the flags, so that other flags build again."""
        path = Path(self.build_temp, f"{ext.name}.flags")
        commands = [getattr(self.compiler, name, None) for name in ("compiler_so", "linker_so")]  # CFLAGS and LDFLAGS
        flags = repr([*commands, *(getattr(ext, name) for name in STAMPED)])
        if not path.is_file() or path.read_text() != flags:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(flags)
        return [str(path)]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExt})
