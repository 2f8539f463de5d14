"""What to say where a library is missing."""

from __future__ import annotations

__all__ = ["missing"]


def missing(extra: str, error: ModuleNotFoundError) -> ImportError:
    """One sentence: which extra brings it."""
    return ImportError(
        f"regcache.integrations.{extra} needs {error.name}, which is not installed: pip install 'regcache[{extra}]'",
        name=error.name,
    )
