"""Instruction counts of a few kernels: what a machine that is busy with other things cannot disturb."""

from .counting import CannotCount, count, key
from .stored import MARGIN, Compared, compared, load, save

__all__ = ["MARGIN", "CannotCount", "Compared", "compared", "count", "key", "load", "save"]
