"""regcache keeps a service's list of peers: fresh, small in memory, and always at hand, whatever the registry does.

Bytes come in from the registry, become an immutable snapshot, are published in one atomic step, and calls read
the snapshot without ever waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from . import codec
from .cache import Cache, Event, Guard, Status, connect
from .codec import Decoder, Node, Snapshot, decode
from .errors import (
    AccessDenied,
    DecodeError,
    LimitExceeded,
    NoneAvailable,
    NotFound,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Throttled,
    Timeout,
    Unavailable,
)
from .limits import Limits
from .model import DecodeWarning, Endpoint, Record, Service, Stats, Value, Weights
from .registry import FileRegistry, MemoryRegistry
from .select import (
    Call,
    Feedback,
    Filter,
    Peer,
    RetryBudget,
    Selector,
    SelectorStatus,
    Strategy,
    Subset,
    TokenBucket,
    datacenter,
    endpoint,
    label,
    prefer,
    status,
    tag,
    version,
    where,
    zone,
)

if TYPE_CHECKING:
    from .registry import ConsulRegistry

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Cache",
    "Call",
    "ConsulRegistry",
    "DecodeError",
    "DecodeWarning",
    "Decoder",
    "Endpoint",
    "Event",
    "Feedback",
    "FileRegistry",
    "Filter",
    "Guard",
    "LimitExceeded",
    "Limits",
    "MemoryRegistry",
    "Node",
    "NoneAvailable",
    "NotFound",
    "Peer",
    "ProtocolError",
    "RateLimited",
    "Record",
    "RegcacheError",
    "RequestError",
    "RetryBudget",
    "Selector",
    "SelectorStatus",
    "ServerError",
    "Service",
    "Snapshot",
    "Stats",
    "Status",
    "Strategy",
    "Subset",
    "Throttled",
    "Timeout",
    "TokenBucket",
    "Unavailable",
    "Value",
    "Weights",
    "codec",
    "connect",
    "datacenter",
    "decode",
    "endpoint",
    "label",
    "prefer",
    "status",
    "tag",
    "version",
    "where",
    "zone",
]


def __getattr__(name: str) -> Any:
    """The one name that is imported when it is first asked for: see :mod:`regcache.registry`."""
    if name != "ConsulRegistry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .registry import ConsulRegistry

    globals()[name] = ConsulRegistry
    return ConsulRegistry


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
