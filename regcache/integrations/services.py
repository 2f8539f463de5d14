"""Which hosts of URLs are services, and the selector of each."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Tuple, Union
from urllib.parse import unquote

from ..cache import Cache, connect
from ..codec import Node
from ..errors import Unavailable
from ..select import Filter, Selector
from ..select.filters import several
from ..select.options import AdapterOptions

__all__ = ["Names", "Services", "Source", "address_of", "host", "url_host"]

#: Where selectors come from: a cache, the URL of a registry, or selectors by the host that stands for each in URLs.
Source = Union[Cache, str, Mapping[str, Selector]]
#: Which hosts are services: these, or those for which this function returns a service's name.
Names = Union[Collection[str], Callable[[str], Optional[str]], None]

#: Bytes that every library takes as part of a host and leaves as they are.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-._~")


def host(service: str) -> str:
    """The host that stands for a service in a URL, whatever its name: ``host("Say/Hello")`` is ``%53ay%2f%48ello``.

    Names of lower case letters, digits and ``-._~`` are hosts as they are. requests turns ``%53`` back into ``s`` in
    URLs of ``http``, not in those of ``http+regcache``.
    """
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in service.encode())


def address_of(node: Node) -> Tuple[str, Optional[int]]:
    """Where a node is: its address without brackets, and its port; ``None`` for port 0, which means the scheme's."""
    address = node.address
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return address, node.port or None


def url_host(address: str) -> str:
    """An address as a URL has it. ValueError: nothing that a URL may have there."""
    if ":" in address:
        return f"[{address}]"
    if not address or re.search(r"[\s/?#@\[\]\\%]", address):
        raise ValueError(f"{address!r} is not the address of a host")
    return address


class Services:
    """One selector for each service, made at its first call.

    Args:
        source: a :class:`~regcache.Cache`, which stays its maker's to close; a URL for :func:`regcache.connect`, whose
            cache is closed with this; or selectors by host, which stay their maker's too.
        names: which hosts are services. A collection of hosts; or a function that is given a host and returns a
            service's name, or ``None`` for "not a service". By default those of the mapping, and with a cache all.
        protocols: what ``metadata["protocol"]`` of a node (go-micro's) may be; nodes that do not say are taken.
            ``None``: anything. Of selectors that are given nothing is asked.
        options: for :meth:`regcache.Cache.selector`: ``strategy``, ``filters``, ``feedback``, ``limit`` and the rest.

    Raises:
        TypeError, ValueError: no selector can be made with these options, or one of the others is of no use. It is said
            here, since from a call it would look like a failure of the network.
    """

    def __init__(
        self, source: Source, names: Names, protocols: Optional[Collection[str]], options: Mapping[str, Any]
    ) -> None:
        self._cache: Optional[Cache] = None
        self._opened: Optional[Cache] = None
        self._selectors: Dict[str, Selector] = {}
        self._made: List[Selector] = []
        self._lock = threading.Lock()
        self._closed = False
        self._options = dict(options)
        if isinstance(names, str):
            raise TypeError(f"services are several hosts, such as [{names!r}], or a function")
        if isinstance(protocols, str):
            raise TypeError(f"protocols are several, such as [{protocols!r}], or None for any")
        if "filters" in options:
            self._options["filters"] = several(options["filters"])  # to be gone through once for each service
        check_options(self._options)
        if isinstance(source, str):
            self._cache = self._opened = connect(source)
        elif isinstance(source, Cache):
            self._cache = source
        elif isinstance(source, Mapping):
            if options:
                raise TypeError(f"{', '.join(sorted(options))}: selectors that are given have their own")
            self._selectors.update(source)
        else:
            raise TypeError(f"a Cache, a URL, or selectors by host, not {source!r}")
        if self._cache is not None and protocols is not None:
            self._options["filters"] = (*self._options.get("filters", ()), _speaks(protocols))
        self._names = names if names is None or callable(names) else frozenset(names)

    def find(self, host: str) -> Optional[Selector]:
        """The selector of a URL's host; ``None``: it is no service, and the call is the library's own matter.

        Raises:
            Unavailable: the cache is closed, or the client.
            ValueError: this cannot be a service's name.
        """
        name: Optional[str] = unquote(host)
        if callable(self._names):
            name = self._names(unquote(host))
        elif self._names is not None and name not in self._names:
            name = None
        return None if name is None else self.get(name)

    def get(self, name: str) -> Optional[Selector]:
        """The selector of a service; ``None``: it is not among those that were given.

        Raises:
            Unavailable, ValueError: see :meth:`find`.
        """
        selector = self._selectors.get(name)
        if selector is None and self._cache is None:
            return None
        if self._closed:  # nobody would close what is opened now
            raise _over(name)
        if selector is None and self._cache is not None:
            with self._lock:
                selector = self._selectors.get(name)
                if selector is None:
                    if self._closed:
                        raise _over(name)
                    selector = self._selectors[name] = self._cache.selector(name, **self._options)
                    self._made.append(selector)
        return selector

    def close(self) -> None:
        """End the selectors that were made here, and the cache if it was opened here."""
        with self._lock:
            self._closed = True
            made, self._made = self._made, []
        for selector in made:
            selector.close()
        if self._opened is not None:
            self._opened.close()


def _over(name: str) -> Unavailable:
    return Unavailable(f"the client is closed; there are no nodes of {name!r}")


class _Nowhere:
    """A source that has nothing, for a selector that is only made to see whether it can be."""

    service = "nowhere"
    slot = None
    clock = staticmethod(time.monotonic)

    def pin(self) -> None:
        pass

    def unpin(self) -> None:
        pass

    def listen(self, call: Callable[[], object]) -> None:
        pass


def check_options(options: Mapping[str, Any]) -> None:
    """Can selectors be made with these?

    Raises:
        TypeError: there is no option of this name, or it is of another kind.
        ValueError: it makes no sense.
    """
    known = sorted(AdapterOptions.__annotations__)
    for name in options:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; selectors have {', '.join(known)}")
    nowhere: Any = _Nowhere()
    Selector(nowhere, **options).close()


def _speaks(protocols: Collection[str]) -> Filter:
    spoken = frozenset(protocols) | {""}

    def says(node: Node) -> str:
        return node.metadata.get("protocol", "")

    text = f"protocol({', '.join(map(repr, protocols))})"
    return Filter(lambda node: says(node) in spoken, text, (("protocol", lambda node: filter(None, [says(node)])),))
