"""The embedded registry: services of this process, or bodies handed over as bytes, as if a Consul held them."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Literal, Optional, Set, Tuple, Union, overload

from ..errors import Unavailable
from ..model import Record, Service
from .base import Answer, Consistency, Form, checked_name, checked_wait, node_ids, pieces
from .definition import define
from .registration import Registration

if TYPE_CHECKING:
    from ..codec import Node

__all__ = ["MemoryRegistry"]


class MemoryRegistry:
    """A registry in memory, for one process. May be shared by threads.

    It answers in Consul's form with go-micro's plain tags, so that what it holds takes the same way as everything
    else. Its index grows with every change, as one Consul index does for all services.
    """

    #: ``fetch(index=, wait=)`` waits for a change.
    blocking = True

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._index = 1
        self._closed = False
        #: service -> node's ID -> the entry of the body. Under ``_changed``, as everything here.
        self._entries: Dict[str, Dict[str, bytes]] = {}
        self._bodies: Dict[str, bytes] = {}
        #: service -> the index of its last change.
        self._changes: Dict[str, int] = {}
        #: service -> those who wait for its next one.
        self._begun: Dict[str, "Set[_Begun]"] = {}
        _registries.add(self)

    def __repr__(self) -> str:
        return "MemoryRegistry()"

    @overload
    def register(
        self,
        service: Service,
        *,
        ttl: Optional[float] = ...,
        deregister_after: Optional[float] = ...,
        form: Form = ...,
        tags: Iterable[str] = ...,
        keep: Literal[False] = ...,
        at_exit: bool = ...,
    ) -> None: ...

    @overload
    def register(
        self,
        service: Service,
        *,
        ttl: Optional[float] = ...,
        deregister_after: Optional[float] = ...,
        form: Form = ...,
        tags: Iterable[str] = ...,
        keep: Literal[True],
        at_exit: bool = ...,
    ) -> Registration: ...

    def register(
        self,
        service: Service,
        *,
        ttl: Optional[float] = 30.0,
        deregister_after: Optional[float] = None,
        form: Form = "both",
        tags: Iterable[str] = (),
        keep: bool = False,
        at_exit: bool = True,
    ) -> Optional[Registration]:
        """Add a service's nodes; a node whose ID is already there is replaced.

        Args:
            service: its nodes need a Service.ID each. What they have no version or endpoints of their own for is
                taken from the service, as go-micro does.
            tags: further tags of all nodes, beside their own.
            keep: return a :class:`Registration`, whose end takes the nodes away.
            ttl, deregister_after, form, at_exit: as ``ConsulRegistry`` has them, so that one can stand in for the
                other; nothing here runs out, and the tags are plain.

        Raises:
            TypeError, ValueError: what ``ConsulRegistry`` refuses, so that it is noticed in tests.
        """
        more = tags if isinstance(tags, str) else tuple(tags)  # define() refuses the one, and reads the other
        define(service, ttl=ttl, deregister_after=deregister_after, form=form, tags=more)
        name = service.name
        entries = {node.id: _entry(service, node, tuple(more)) for node in service.nodes}
        with self._changed:
            self._bodies.pop(name, None)
            self._entries.setdefault(name, {}).update(entries)
            begun = self._change(name)
        _wake(begun)
        if not keep:
            return None
        return Registration(_Kept(self, service), list(entries), about=name, interval=None, at_exit=at_exit)

    def deregister(self, service: Union[Service, str]) -> None:
        """Take nodes away: those of a :class:`~regcache.Service`, or all with this ID.

        Unknown ones are no error and no change.

        Raises:
            TypeError, ValueError: an ID that cannot be one, or something else.
        """
        gone = node_ids(service)
        with self._changed:
            names = list(self._entries)
            if not isinstance(service, str):
                names = [service.name] if service.name in self._entries else []
            changed = []
            for name in names:
                held = len(self._entries[name])
                for node_id in gone:
                    self._entries[name].pop(node_id, None)
                if len(self._entries[name]) < held:
                    changed.append(name)
                if not self._entries[name]:
                    del self._entries[name]
            begun = self._change(*changed) if changed else []
        _wake(begun)

    def put(self, service: str, body: bytes) -> None:
        """Answer with this body, as it is, in place of whatever is known of the service.

        Raises:
            TypeError, ValueError: a name that cannot be one, or a body that is not bytes. Nothing changes.
        """
        checked_name(service)
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise TypeError(f"a body is bytes, not {type(body).__name__}")
        with self._changed:
            self._entries.pop(service, None)
            self._bodies[service] = bytes(body)
            begun = self._change(service)
        _wake(begun)

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`. An unknown service is an empty list, as with Consul.

        Raises:
            TypeError, ValueError: a name or a wait that cannot be one.
            Unavailable: the registry is closed.
        """
        checked_name(service)
        wait = checked_wait(wait)
        with self._changed:
            if index:
                until = time.monotonic() + wait
                while self._index <= index and not self._closed and time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())
            if self._closed:
                raise Unavailable("this registry is closed")
            body = self._bodies.get(service)
            if body is None:
                body = b"[" + b",".join(self._entries.get(service, {}).values()) + b"]"
            return Answer(pieces(body), index=self._index)

    def begin(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> "_Begun":
        """:meth:`fetch` without a thread that waits: it is ready when this service (:meth:`fetch`: any) changes."""
        checked_wait(wait)
        return _Begun(self, checked_name(service), index, consistency)

    def services(self) -> List[str]:
        """The names of all services, sorted."""
        with self._changed:
            return sorted({*self._entries, *self._bodies})

    def close(self) -> None:
        """Wake who waits for a change; every later :meth:`fetch` raises :class:`~regcache.Unavailable`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            begun = [one for those in self._begun.values() for one in those]
        _wake(begun)

    def _change(self, *names: str) -> "List[_Begun]":
        """Those who wait for it, to be woken when the lock is free."""
        self._index += 1
        self._changes.update(dict.fromkeys(names, self._index))
        self._changed.notify_all()
        return [one for name in names for one in self._begun.get(name, ())]

    def _wait_for(self, begun: "_Begun") -> bool:
        """Is it ready? If not it will be woken."""
        with self._changed:
            if self._closed or self._changes.get(begun.service, 0) > begun.index:
                return True
            self._begun.setdefault(begun.service, set()).add(begun)
            return False

    def _forget(self, begun: "_Begun") -> None:
        with self._changed:
            those = self._begun.get(begun.service, set())
            those.discard(begun)
            if not those:
                self._begun.pop(begun.service, None)

    def _forked(self) -> None:
        self._changed = threading.Condition()
        self._begun = {}


_registries: "weakref.WeakSet[MemoryRegistry]" = weakref.WeakSet()


def _forked_all() -> None:
    # Another thread of the parent may have held the lock.
    for registry in list(_registries):
        registry._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked_all)


class _Begun:
    """A :class:`~regcache.registry.base.Pending` of this registry."""

    def __init__(
        self, registry: MemoryRegistry, service: str, index: Optional[int], consistency: Optional[Consistency]
    ) -> None:
        self._registry = registry
        self.service = service
        # Without an index it is ready at once; so it is with one that nothing can be before.
        self.index: int = index or -1
        self._consistency = consistency
        self._callbacks: List[Callable[[], object]] = []

    def fileno(self) -> None:
        """There is none."""

    def ready(self) -> bool:
        """Whatever is asked for is there."""
        return True

    def on_ready(self, callback: Callable[[], object]) -> None:
        self._callbacks.append(callback)
        if self._registry._wait_for(self):
            self.wake()

    def answer(self) -> Answer:
        self.close()
        return self._registry.fetch(self.service, consistency=self._consistency)

    def close(self) -> None:
        self._registry._forget(self)

    def wake(self) -> None:
        # Only item of a list: whoever gets it calls it.
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:
                return
            callback()


def _wake(begun: "List[_Begun]") -> None:
    for one in begun:
        one.wake()


class _Kept:
    """The nodes of a registration, to be removed at its end; without an interval it asks for nothing else."""

    def __init__(self, registry: MemoryRegistry, service: Service) -> None:
        self._registry = registry
        self._nodes = {node.id: service._replace(nodes=(node,)) for node in service.nodes}

    def put(self, node_id: str) -> None:
        raise NotImplementedError("nothing is lost here")

    def touch(self, node_id: str) -> None:
        raise NotImplementedError("nothing runs out here")

    def remove(self, node_id: str) -> None:
        self._registry.deregister(self._nodes[node_id])


def _entry(service: Service, node: "Node", more: Tuple[str, ...]) -> bytes:
    """One entry of a health body, with the tags that go-micro's Register writes (in the plain, readable form)."""
    from ..codec import encode_tags  # the codec's room comes later; only writing needs it

    version, endpoints = node.version or service.version, node.endpoints or service.endpoints
    record = Record(version, True, node.metadata, tuple(endpoints), (*node.tags, *more))
    status = node.status
    check = {"CheckID": f"service:{node.id}", "Status": status}
    if status == "maintenance":
        # Consul's own name and status for it.
        check = {"CheckID": f"_service_maintenance:{node.id}", "Status": "critical"}
    return json.dumps(
        {
            "Node": {
                "Node": node.node_name or "memory",
                "Address": node.address,
                "Datacenter": node.datacenter,
                "Meta": dict(node.node_meta),
            },
            "Service": {
                "ID": node.id,
                "Service": service.name,
                "Tags": encode_tags(record, form="plain"),
                "Address": node.address,
                "Port": node.port,
                "Meta": dict(node.meta),
                "Weights": {"Passing": node.weights.passing, "Warning": node.weights.warning},
            },
            "Checks": [check],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
