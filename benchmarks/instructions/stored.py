"""The counts that were stored, and how others compare with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

__all__ = ["Compared", "MARGIN", "compared", "load", "save"]

FILE = Path(__file__).parent / "counts.json"
#: The part of a count by which it may grow unnoticed. Counts of the same code are within 1 % of each other: the memory
#: of tags has another seed in each process.
MARGIN = 0.03


class Compared(NamedTuple):
    """One kernel."""

    kernel: str
    now: int
    stored: int

    @property
    def change(self) -> float:
        """0.1: a tenth more than stored."""
        return self.now / self.stored - 1.0

    def __str__(self) -> str:
        return f"{self.kernel}: {self.now:,} instructions a call, {self.change:+.1%} of the stored {self.stored:,}"


def compared(now: Dict[str, int], stored: Dict[str, int]) -> List[Compared]:
    """Each kernel that is stored."""
    return [Compared(name, now[name], stored[name]) for name in now if name in stored]


def load(key: str) -> Optional[Dict[str, int]]:
    """What is stored for such a machine."""
    found = json.loads(FILE.read_text(encoding="utf-8")).get(key) if FILE.exists() else None
    return None if found is None else dict(found)


def save(key: str, counts: Dict[str, int]) -> None:
    """Store counts; those of other machines are kept."""
    everything = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    everything[key] = counts
    FILE.write_text(json.dumps(everything, indent=2, sort_keys=True) + "\n", encoding="utf-8")
