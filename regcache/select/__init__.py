"""Choosing a node: filters, strategies, feedback, and the selector."""

from __future__ import annotations

from .attempts import Attempt, Attempts
from .budget import RetryBudget, TokenBucket
from .filters import Filter, datacenter, endpoint, label, prefer, status, tag, version, where, zone
from .health import Feedback
from .peers import Peer
from .picks import Call
from .report import PeerStatus, SelectorStatus
from .selector import Selector
from .source import Source
from .strategies import Strategy
from .subset import Subset

__all__ = [
    "Attempt",
    "Attempts",
    "Call",
    "Feedback",
    "Filter",
    "Peer",
    "PeerStatus",
    "RetryBudget",
    "Selector",
    "SelectorStatus",
    "Source",
    "Strategy",
    "Subset",
    "TokenBucket",
    "datacenter",
    "endpoint",
    "label",
    "prefer",
    "status",
    "tag",
    "version",
    "where",
    "zone",
]
