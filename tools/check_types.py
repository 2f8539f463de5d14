"""``python -m tools.check_types``: pyright knows the whole type of everything that the packages of regcache export.

A name counts with all that belongs to it: the parameters, the results and the attributes, down to the last class that
they name. What type checkers would have to guess, each in its own way, does not count as known.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set

#: Where users import from. Each lists its names in ``__all__``.
ROOMS = ("regcache", "regcache.cache", "regcache.codec", "regcache.registry", "regcache.select")


def exported() -> Set[str]:
    return {f"{room}.{name}" for room in ROOMS for name in importlib.import_module(room).__all__}


def told() -> Dict[str, Any]:
    """What pyright says of each symbol, by name."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "regcache", "--ignoreexternal", "--outputjson"]
    # pyright does not follow the hook of an editable installation.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False).stdout
    return {symbol["name"]: symbol for symbol in json.loads(said)["typeCompleteness"]["symbols"]}


def main() -> int:
    symbols = told()
    names = exported()
    wrong: List[str] = []
    for name in sorted(names):
        if name not in symbols:
            wrong.append(f"{name}: pyright does not see it")
        elif not symbols[name]["isTypeKnown"]:
            wrong.append(f"{name}: its type is not known to the end")
    if wrong:
        # The place is mostly inside the class that is exported, or in one that it names.
        for name, symbol in sorted(symbols.items()):
            for told_of in symbol["diagnostics"] if not symbol["isTypeKnown"] else ():
                if "docstring" not in told_of["message"]:
                    wrong.append(f"  {name}: {told_of['message'].splitlines()[0]}")
    print("\n".join(wrong) or f"{len(names)} exported names, all of known types")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
