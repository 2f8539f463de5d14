"""Text for a terminal, a pipe or a file: widths, columns, bars, numbers, a little colour, and escapes (``safe``)."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Iterable, List, Optional, Sequence

__all__ = ["bar", "columns", "cut", "duration", "pad", "plural", "safe", "size", "style", "width", "wrapped"]

_STYLES = {"bold": "1", "red": "31", "yellow": "33", "magenta": "35"}


def width() -> Optional[int]:
    """How many columns there are; ``None`` where nothing says so, as in a pipe: then nothing is cut."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return max(40, int(columns))
    try:
        return max(40, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError):
        return None


def safe(text: str) -> str:
    """The text with everything escaped that could move the cursor, ring a bell, or hide: registries repeat what
    services told them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def cells(text: str) -> int:
    """Columns that a text takes: two for each wide character, none for each combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, most: Optional[int]) -> str:
    """The text, or its beginning and an ellipsis."""
    if most is None or cells(text) <= most:
        return text
    end = "…" if _unicode() else "..."
    kept = ""
    left = most - len(end)
    for c in text:
        left -= cells(c)
        if left < 0:
            break
        kept += c
    return kept + end


def pad(text: str, to: int, right: bool = False) -> str:
    """The text, filled up with spaces."""
    space = " " * max(0, to - cells(text))
    return space + text if right else text + space


def columns(rows: Iterable[Sequence[str]], right: Sequence[int] = (), indent: str = "  ", gap: str = "  ") -> List[str]:
    """Rows as aligned lines; the last column takes what is left of the line. ``right`` are the numbers' columns."""
    table = [list(row) for row in rows]
    if not table:
        return []
    count = len(table[0])
    widths = [max(cells(row[i]) for row in table) for i in range(count - 1)]
    lines = []
    for row in table:
        line = indent + gap.join(pad(row[i], widths[i], i in right) for i in range(count - 1))
        lines.append(cut((line + gap + row[-1] if count > 1 else indent + row[-1]).rstrip(), width()))
    return lines


def wrapped(words: Iterable[str], first: str, separator: str = ", ") -> List[str]:
    """Words in lines, the later lines under the first word. ``first`` is what the first line begins with."""
    most = width() or 100
    lines = [first]
    room = cells(first)
    for i, word in enumerate(words):
        if i:
            lines[-1] += separator.rstrip()
        space = " " if i and separator.endswith(" ") else ""
        if i and cells(lines[-1]) + len(space) + cells(word) + 1 > most:
            lines.append(" " * room + word)
        else:
            lines[-1] += space + word
    return [cut(line, width()) for line in lines]


def style(text: str, how: str) -> str:
    """The text in bold or in a colour, on terminals that want that."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") == "dumb":
        return text
    return f"\x1b[{_STYLES[how]}m{text}\x1b[0m"


def bar(share: float, most: int) -> str:
    """A bar of up to ``most`` columns."""
    if not _unicode():
        return "#" * max(1, round(share * most)) if share > 0 else ""
    eighths = round(share * most * 8)
    if share > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def _unicode() -> bool:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf")


def plural(count: int, one: str) -> str:
    """``1 node``, ``2,000 nodes``."""
    return f"{count:,} {one if count == 1 else one + 's'}"


def size(count: float) -> str:
    """Bytes, as people say them (decimal)."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration(seconds: float) -> str:
    """A time in the unit that suits it, with three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs" if _unicode() else "us", 1e6)):
        if seconds * scale >= 1:
            value = seconds * scale
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    value = seconds * 1e9
    return f"{value:.0f} ns" if value >= 10 else f"{value:.1f} ns"
