"""What cannot be used at all is refused where it is given, by a TypeError that says what is wanted; not later, by what
looks like an outage."""

from __future__ import annotations

__all__ = ["check_callable", "check_kind", "check_whole"]


def check_kind(name: str, value: object, kind: type, example: str) -> None:
    """Is it one of regcache's own kind, or None?

    Raises:
        TypeError: it is something else.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is a regcache.{kind.__name__}, such as {example}, not {value!r}")


def check_whole(name: str, value: object) -> None:
    """Is it a whole number?

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r}")


def check_callable(name: str, value: object, of: str) -> None:
    """Can it be called, or is it None?

    Raises:
        TypeError: it is something else.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} is called with {of}; {value!r} cannot be called")
