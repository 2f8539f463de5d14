"""The options of selectors by their names and types, for type checkers: what ``**options`` may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, TypedDict, Union

if TYPE_CHECKING:
    from ..cache.events import Event
    from .budget import RetryBudget, TokenBucket
    from .filters import Filters
    from .health import Feedback
    from .strategies import Strategy
    from .subset import Subset

__all__ = ["AdapterOptions", "SelectorOptions"]


class SelectorOptions(TypedDict, total=False):
    """What :meth:`regcache.Cache.selector` hands to :class:`~regcache.Selector`, which explains it."""

    feedback: Optional[Feedback]
    subset: Optional[Subset]
    limit: Union[float, TokenBucket, None]
    budget: Optional[RetryBudget]
    clock: Optional[Callable[[], float]]
    seed: Optional[int]
    on_event: Optional[Callable[[Event], object]]


class AdapterOptions(SelectorOptions, total=False):
    """What the adapters hand to :meth:`regcache.Cache.selector`."""

    strategy: Union[str, Strategy]
    filters: Filters
