"""A method of a Cython class that does nothing: what a call of compiled code costs at least.

Without ``binding``, so that Python calls it as it calls a method written in C, as ours are: quicker than what Cython
makes by itself, and so the harder floor.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

__all__ = ["empty_method"]

SOURCE = """
# cython: language_level=3, binding=False
cdef class Empty:
    def nothing(self):
        return self
"""
#: The flags of setup.py that matter.
FLAGS = ["-O3", "-std=c11", "-fvisibility=hidden", "-g0"]


def empty_method() -> Callable[[], object]:
    """Compiled now, by the compiler and the Cython that are here."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    with tempfile.TemporaryDirectory(prefix="regcache-empty-") as name:
        folder = Path(name)
        (folder / "empty.pyx").write_text(SOURCE)
        extension = Extension("empty", [str(folder / "empty.pyx")], extra_compile_args=FLAGS)
        made = cythonize([extension], quiet=True, build_dir=str(folder / "c"))
        distribution = Distribution({"name": "empty", "ext_modules": made})
        command: Any = distribution.get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(folder), str(folder / "o")
        command.ensure_finalized()
        command.run()
        spec = importlib.util.spec_from_file_location("empty", next(folder.glob("empty*.so")))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["empty"] = module
        spec.loader.exec_module(module)
        return module.Empty().nothing  # type: ignore[no-any-return]
