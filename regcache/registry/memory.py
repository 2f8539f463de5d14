"""The embedded registry: services of this process, or bodies handed over as bytes, as if a Consul held them."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Dict, Iterable, List, Literal, Optional, Tuple, Union, overload

from ..errors import Unavailable
from ..model import Record, Service
from .base import Answer, Consistency, Form, checked_name, pieces
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

    def __repr__(self) -> str:
        return f"<MemoryRegistry: {len(self.services())} services, index {self._index}>"

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
            ValueError: a name or ID is empty, no UTF-8 can be made of a text, or a node's tag would be read as part
                of its record.
        """
        name = checked_name(service.name)
        more = tuple(tags)
        entries = {checked_name(node.id): _entry(service, node, more) for node in service.nodes}
        with self._changed:
            self._bodies.pop(name, None)
            self._entries.setdefault(name, {}).update(entries)
            self._change()
        if not keep:
            return None
        return Registration(_Kept(self, service), list(entries), about=name, interval=None, at_exit=at_exit)

    def deregister(self, service: Union[Service, str]) -> None:
        """Take nodes away: those of a :class:`~regcache.Service`, or all with this ID. Unknown ones are no error."""
        with self._changed:
            if isinstance(service, str):
                gone = [service]
                names = list(self._entries)
            else:
                gone = [node.id for node in service.nodes]
                names = [service.name] if service.name in self._entries else []
            for name in names:
                for node_id in gone:
                    self._entries[name].pop(node_id, None)
                if not self._entries[name]:
                    del self._entries[name]
            self._change()

    def put(self, service: str, body: bytes) -> None:
        """Answer with this body, as it is, in place of whatever is known of the service."""
        with self._changed:
            self._entries.pop(checked_name(service), None)
            self._bodies[service] = bytes(body)
            self._change()

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`. An unknown service is an empty list, as with Consul."""
        checked_name(service)
        with self._changed:
            if index:
                until = time.monotonic() + (55.0 if wait is None else wait)
                while self._index <= index and not self._closed and time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())
            if self._closed:
                raise Unavailable("this registry is closed")
            body = self._bodies.get(service)
            if body is None:
                body = b"[" + b",".join(self._entries.get(service, {}).values()) + b"]"
            return Answer(pieces(body), index=self._index)

    def services(self) -> List[str]:
        """The names of all services, sorted."""
        with self._changed:
            return sorted({*self._entries, *self._bodies})

    def close(self) -> None:
        """Wake who waits for a change; every later :meth:`fetch` raises :class:`~regcache.Unavailable`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _change(self) -> None:
        self._index += 1
        self._changed.notify_all()


class _Kept:
    """The nodes of a registration."""

    def __init__(self, registry: MemoryRegistry, service: Service) -> None:
        self._registry = registry
        self._nodes = {node.id: service._replace(nodes=(node,)) for node in service.nodes}

    def put(self, node_id: str) -> None:
        self._registry.register(self._nodes[node_id])

    def touch(self, node_id: str) -> None:
        """Nothing runs out here."""

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
