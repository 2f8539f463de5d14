"""Choosing a node: filters, strategies, and the selector."""

from __future__ import annotations

from .filters import label, version
from .selector import Selector
from .strategies import Random, RoundRobin, Strategy

__all__ = ["Random", "RoundRobin", "Selector", "Strategy", "label", "version"]
