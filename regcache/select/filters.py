"""Filters: functions of a node that say whether it may be used. Any callable will do; these explain themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..codec import Node

__all__ = ["label", "version"]


class version:
    """Nodes of this version, exactly (go-micro: ``selector.FilterVersion``)."""

    __slots__ = ("_wanted",)

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted

    def __call__(self, node: "Node") -> bool:
        return node.version == self._wanted

    def __repr__(self) -> str:
        return f"version({self._wanted!r})"


class label:
    """Nodes whose metadata has this value under this key (go-micro: ``selector.FilterLabel``)."""

    __slots__ = ("_key", "_value")

    def __init__(self, key: str, value: str) -> None:
        self._key = key
        self._value = value

    def __call__(self, node: "Node") -> bool:
        return node.metadata.get(self._key) == self._value

    def __repr__(self) -> str:
        return f"label({self._key!r}, {self._value!r})"
