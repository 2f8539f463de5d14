"""The cache: services by name, each loaded on first use and refreshed behind its callers' backs."""

from __future__ import annotations

import atexit
import os
import random as random_module
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Optional, Union

from ..arguments import check_kind
from ..errors import RegcacheError
from ..limits import Limits
from ..registry import Registry
from ..registry.base import checked_name
from .entry import Entry, checked_timeout
from .events import Event, Notifier, logger
from .guard import Guard
from .load import closed
from .refresh import Refresher
from .settings import Settings
from .source import Source
from .state import State
from .status import Status, count

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..codec import Node, Snapshot
    from ..select import Selector, Strategy
    from ..select.options import SelectorOptions
    from .slot import Reader

__all__ = ["Cache"]

#: When there are so many services, those that never had nodes and have no selector are forgotten: names may come from
#: requests of strangers.
MANY = 1000


class Cache:
    """Snapshots of services, always at hand. May be shared by threads, tasks of asyncio, and forked processes.

    Nothing is started before the first question. :meth:`close` ends what was; so does the end of a ``with`` or
    ``async with``, the interpreter's end, and that of the last reference to the cache.

    Args:
        registry: whom to ask. It stays its maker's to close.
        watch: be told of changes, by one blocking query for each service; by default where the registry can
            (:attr:`~regcache.registry.Registry.blocking`); one that cannot is never watched. Without it the registry is
            asked again when an answer is two thirds of the ttl old and somebody wants it.
        ttl: without a watch: seconds for which an answer is fresh.
        wait: with a watch: seconds that a blocking query waits.
        limits: how much an answer may make us hold.
        guard: when an answer that takes nodes away is held back, and for how long; ``None``: ``Guard()`` with its
            defaults. ``Guard.none()`` believes everything.
        max_stale: seconds beyond which what is held counts as nothing, and callers get ``Unavailable`` if the registry
            cannot be asked; ``None``: the last good snapshot is served for as long as it takes. A guard's doubts end
            there too.
        cold_wait: seconds that a caller without a timeout waits for the first answer about a service.
        idle: a service that nobody asked for in so many seconds is no longer watched; its snapshot is kept.
        on_event: called with each :class:`~regcache.Event`, where it happens: mostly on a thread of the cache, of
            selectors mostly on a caller's. It should be quick; what it raises is logged. One that refers to the cache
            keeps it alive until :meth:`close`.
        workers: threads that read answers, whatever the number of services; there is one more that waits.
        connections: requests that are open at the same time. An agent allows 200 for each address.
        clock: seconds, rising; snapshots count their age by ``time.monotonic``.
        random: floats from 0 to 1, for jitter.
        close_registry: close the registry with the cache.
        refresher: asks the registry, in place of the cache's own.

    Raises:
        TypeError: something is not of the kind that is wanted, such as a URL in place of a registry.
        ValueError: a number makes no sense.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        watch: Optional[bool] = None,
        ttl: float = Settings.ttl,
        wait: float = Settings.wait,
        limits: Limits = Limits(),
        guard: Optional[Guard] = None,
        max_stale: Optional[float] = None,
        cold_wait: float = Settings.cold_wait,
        idle: float = Settings.idle,
        on_event: Optional[Callable[[Event], object]] = None,
        workers: int = 4,
        connections: int = 128,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
        close_registry: bool = False,
        refresher: Optional[Refresher] = None,
    ) -> None:
        if isinstance(registry, type) or not callable(getattr(registry, "fetch", None)):
            raise TypeError(_no_registry(registry))
        check_kind("guard", guard, Guard, "Guard(shrink=0.5)")
        self.registry = registry
        self._settings = Settings(
            watch=registry.blocking if watch is None else watch and registry.blocking,
            ttl=ttl,
            wait=wait,
            cold_wait=cold_wait,
            max_stale=max_stale,
            idle=idle,
        )
        self._guard = Guard() if guard is None else guard
        self._clock = clock
        self._random = random
        self._on_event = on_event
        self._notifier = Notifier(on_event, clock)
        if refresher is None:
            refresher = Refresher(
                registry,
                limits=limits,
                workers=workers,
                connections=connections,
                clock=clock,
                log=logger,
                on_stuck=partial(_tell_stuck, self._notifier),
            )
        self._refresher = refresher
        # Taken again by who is in it: a signal's handler may close the cache in the middle of anything.
        self._lock = threading.RLock()
        self._entries: Dict[str, Entry] = {}
        self._sweep_at = MANY
        self._closed = False
        self._to_close = registry if close_registry else None
        # Nothing that this holds refers to the cache (but for what its user passed).
        self._forgotten = weakref.finalize(self, _end_elsewhere, self._entries, refresher, self._to_close)
        self._forgotten.atexit = False
        _caches.add(self)

    def __repr__(self) -> str:
        return f"<Cache of {self.registry!r}: {count(len(self._entries), 'service')}>"

    # -- snapshots -----------------------------------------------------------------------------------------------

    def get(self, service: str, timeout: Optional[float] = None) -> "Snapshot":
        """The newest snapshot of a service; it may be empty.

        Never waits while one is held. Before the first answer it joins the one request in flight and waits for it
        at most ``timeout`` seconds (``cold_wait`` if that is ``None``). When a refresh fails, the last good snapshot
        goes on being served.

        Raises:
            Timeout: nothing is held, and no answer came in time. The request goes on; ask again.
            NotFound: nothing is held, and the registry says that there is no such service. (Consul says so with
                an empty list, which is an empty snapshot.)
            Unavailable, AccessDenied, RequestError, ServerError, RateLimited, ProtocolError, DecodeError,
            LimitExceeded: nothing is held, and this is why.
            TypeError, ValueError: this cannot be a service's name; or nothing is held, and the timeout is below 0.
        """
        entry = self._entries.get(service)
        if entry is None:
            entry = self._entry(service)
        return entry.get(timeout)

    async def get_async(self, service: str, timeout: Optional[float] = None) -> "Snapshot":
        """:meth:`get` for a task of asyncio: the loop is never blocked, and a task that is cancelled while it waits
        takes nothing away from the others."""
        entry = self._entries.get(service)
        if entry is None:
            entry = self._entry(service)
        return await entry.get_async(timeout)

    def warm(
        self, services: Iterable[str], timeout: Optional[float] = None
    ) -> "Dict[str, Union[Snapshot, RegcacheError]]":
        """Load many services side by side; what each brought, or why it brought nothing, after ``timeout`` seconds
        (``cold_wait``) at the latest. Requests that are late go on.

        Raises:
            TypeError, ValueError: one of these cannot be a service's name, or the timeout is below 0 seconds.
        """
        if isinstance(services, (str, bytes)):
            raise TypeError(f"services are several names, such as [{services!r}]")
        seconds = self._settings.cold_wait if timeout is None else checked_timeout(timeout)
        begun = time.monotonic()
        entries = {service: self._entry(service) for service in services}
        for entry in entries.values():
            entry.start()
        loaded: "Dict[str, Union[Snapshot, RegcacheError]]" = {}
        for service, entry in entries.items():
            try:
                loaded[service] = entry.get(seconds, time.monotonic() - begun)
            except RegcacheError as error:
                loaded[service] = error
        return loaded

    def reader(self, service: str) -> "Reader":
        """A handle of the calling thread, for loops that ask millions of times a second.

        ``reader.get(timeout=None)`` is :meth:`get` of this service, with the same answers and errors, but while nothing
        new was published it is a look at the clock and at three words that no other thread writes. On free-threaded
        builds, where threads that count one object's references get in each other's way, it counts none in common.

        Another thread that calls it gets RuntimeError: each makes its own. It keeps the cache, the service's place in
        it, and the snapshot that it saw last, until it is dropped. Asks nobody yet.
        """
        source = self._source(service)
        try:
            reader = source.slot.reader(lambda timeout: source.get(timeout))
            source.pin()
            weakref.finalize(reader, source.unpin).atexit = False
            return reader
        finally:
            source.unpin()

    def selector(
        self,
        service: str,
        strategy: Union[str, "Strategy"] = "p2c",
        filters: Union[Callable[["Node"], object], Iterable[Callable[["Node"], object]]] = (),
        **options: "Unpack[SelectorOptions]",
    ) -> "Selector":
        """A :class:`~regcache.Selector` of this service's nodes. Asks nobody yet. It keeps the cache alive.

        Args:
            strategy: ``"p2c"``, ``"random"``, ``"round_robin"``, ``"weighted"``, ``"peak_ewma"``, ``"hash"``, or a
                :class:`~regcache.Strategy`.
            filters: :func:`regcache.version` and its like, or anything that is called with a node and says whether it
                may be used; one, or several that all have to say yes. Asked once for each snapshot.
            options: everything that :class:`~regcache.Selector` takes: ``feedback``, ``subset``, ``limit``, ``budget``
                and more. ``on_event`` is the cache's unless it is given.
        """
        from ..select import Selector  # the next room: the cache knows it only here, for the user's convenience

        options.setdefault("on_event", self._on_event)
        source = self._source(service)
        try:
            return Selector(source, strategy=strategy, filters=filters, **options)
        finally:
            source.unpin()  # the selector has pinned it itself

    # -- what is going on ----------------------------------------------------------------------------------------

    def status(self, service: str) -> Status:
        """What is served of a service, since when, and from where; what fails; what is held back, and why. Asks
        nobody. As data, and by ``str()`` in words."""
        entry = self._entries.get(service)
        if entry is None:
            state = State.CLOSED if self._closed else State.COLD
            return Status.of_nothing(checked_name(service), state.value, repr(self.registry))
        return entry.status()

    def accept(self, service: str) -> bool:
        """Believe the answer that is held back, now. Was there one?"""
        entry = self._entries.get(service)
        return entry is not None and entry.accept()

    # -- life ----------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 5.0) -> None:
        """End everything. Later calls raise :class:`~regcache.Unavailable`; callers who wait are told now.

        Threads that are in the middle of a request are waited for, for ``timeout`` seconds at most. Those that hang
        for longer end by themselves when their socket times out.
        """
        with self._lock:
            self._closed = True
        self._forgotten.detach()
        _end(self._entries, self._refresher, self._to_close, timeout)

    async def aclose(self, timeout: float = 5.0) -> None:
        """:meth:`close` without blocking the loop."""
        import asyncio  # only whoever has a running loop needs it, and has it

        await asyncio.get_running_loop().run_in_executor(None, self.close, timeout)

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> "Cache":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _entry(self, service: str, *, pin: bool = False) -> Entry:
        with self._lock:
            entry = self._entries.get(service)
            if entry is None:
                if self._closed:
                    raise closed(service)
                checked_name(service)
                if len(self._entries) >= self._sweep_at:
                    self._sweep()
                entry = self._entries[service] = Entry(
                    service,
                    self._refresher,
                    settings=self._settings,
                    guard=self._guard,
                    timeout=getattr(self.registry, "timeout", 10.0),
                    source=repr(self.registry),
                    notify=self._notifier,
                    clock=self._clock,
                    random=self._random,
                )
                if self._closed:
                    entry.close()  # type: ignore[unreachable]  # a signal's handler closed the cache meanwhile
            if pin:
                entry.pin()
            return entry

    def _source(self, service: str) -> Source:
        """Pinned once, by whoever asks for it to undo: it cannot be forgotten before it is used."""
        return Source(self, self._entry(service, pin=True))

    def _sweep(self) -> None:
        """Forget names that never had nodes. Callers who are just asking such an entry are still served by it."""
        for service, entry in list(self._entries.items()):
            if entry.forget():
                self._entries.pop(service, None)  # a signal's handler may have been here meanwhile
        self._sweep_at = max(MANY, 2 * len(self._entries))

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._notifier.renew()
        for entry in self._entries.values():
            entry.after_fork()


def _end(entries: Dict[str, Entry], refresher: Refresher, registry: Optional[Registry], timeout: float = 5.0) -> None:
    for entry in list(entries.values()):
        entry.close()
    refresher.close(timeout)
    if registry is not None:
        registry.close()


def _end_elsewhere(*parts: Any) -> None:
    # Nobody holds the cache any more. The garbage collector may say so on any thread, in the middle of anything, even
    # where one of these locks is held.
    with suppress(RuntimeError):  # no thread to be had at the interpreter's end; _at_exit does it then
        threading.Thread(target=_end, args=parts, name="regcache-end", daemon=True).start()


def _no_registry(given: object) -> str:
    if isinstance(given, str):
        return "a registry is wanted, not str; regcache.connect(url) makes a cache of a URL"
    what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
    return (
        f"a registry is wanted, such as regcache.ConsulRegistry(...), which takes a URL or a consul.Consul; not {what}"
    )


def _tell_stuck(notifier: Notifier, service: str, seconds: float) -> None:
    notifier(Event("stuck", service, f"a thread has not come back from the registry for {seconds:.0f} s"))


_caches: "weakref.WeakSet[Cache]" = weakref.WeakSet()


def _after_fork() -> None:
    for cache in list(_caches):
        cache._after_fork()


@atexit.register
def _at_exit() -> None:
    for cache in list(_caches):
        cache.close(1.0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
