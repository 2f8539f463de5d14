"""Consul's agent over HTTP, as a stream of bytes.

The settings may come from a client of python-consul2 or py-consul; its requests do not: those clients hold a body
several times over, follow redirects with the token, and have no total deadline.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, Literal, NoReturn, Optional, Tuple, Union, overload
from urllib.parse import quote, urlencode

import urllib3

from ..errors import AccessDenied, LimitExceeded, ProtocolError, Unavailable
from ..limits import Limits
from ..model import Service
from .agent import AgentNodes, agent_services
from .base import Answer, BytesLike, Consistency, Form, checked_name, checked_wait, node_ids
from .definition import define
from .exchange import Exchange, Kept
from .failures import failures, refuse
from .http import Certificate, pool_maker
from .registration import Registration, remove_all

__all__ = ["ConsulRegistry"]

CHUNK = 64 * 1024
Response = urllib3.BaseHTTPResponse
INDEX = re.compile(r"[0-9]{1,20}", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ConsulRegistry:
    """A Consul agent or server. May be shared by threads.

    Args:
        url_or_client: ``http://host:port``, ``https://host:port``, ``unix:///path``; or a ``consul.Consul`` of
            python-consul2 or py-consul, whose address, certificates, token, datacenter and consistency are taken.
        token: the ACL token; sent in a header, to this address only.
        datacenter: ask for another datacenter's services.
        consistency: ``"stale"`` (any server answers; the default), ``"default"`` (the leader), ``"consistent"``.
        timeout: seconds for a whole exchange, from connecting to the last byte. (Where a host's name has several
            addresses that do not answer, each of them is given as long.)
        max_bytes: the largest body that is read.
        max_last_contact: seconds since the server that answers last heard from the leader (X-Consul-LastContact),
            beyond which its answer is an error; ``None``: never. Servers hear from it several times a second, and look
            for another within a few; one that has not for longer is cut off, and its list is old.
        verify: for https: ``True`` (the system's authorities), ``False``, or a file or folder of authorities.
        cert: for https: the client's certificate, as a file or as (certificate, key).

    Neither environment variables nor proxies are looked at.

    Raises:
        TypeError, ValueError: an argument that cannot be used, such as a certificate that cannot be read. Nothing is
            connected yet.
    """

    #: Consul waits for a change when it is given an index.
    blocking = True

    def __init__(
        self,
        url_or_client: Any = "http://127.0.0.1:8500",
        *,
        token: Optional[str] = None,
        datacenter: Optional[str] = None,
        consistency: Optional[Consistency] = None,
        timeout: float = 10.0,
        max_bytes: int = Limits.body_bytes,
        max_last_contact: Optional[float] = 10.0,
        verify: Union[bool, str, None] = None,
        cert: Optional[Certificate] = None,
    ) -> None:
        url = url_or_client
        if not isinstance(url, str):
            http: Any = getattr(url_or_client, "http", None)
            url = getattr(http, "base_uri", None)
            if not isinstance(url, str):
                raise TypeError(f"a URL or a consul.Consul is wanted, not {type(url_or_client).__name__}")
            token = url_or_client.token if token is None else token
            datacenter = url_or_client.dc if datacenter is None else datacenter
            consistency = url_or_client.consistency if consistency is None else consistency
            verify = http.verify if verify is None else verify
            cert = http.cert if cert is None else cert
        self.url: str = url
        self.datacenter = datacenter
        self.consistency = _consistency(consistency or "stale")
        self.timeout: float = _seconds(timeout)
        self.max_bytes = max_bytes
        if max_last_contact is not None and not max_last_contact > 0:
            raise ValueError(f"max_last_contact must be more than 0 seconds, not {max_last_contact!r}")
        self.max_last_contact = max_last_contact
        self._make_pool, self._prefix = pool_maker(url, verify=True if verify is None else verify, cert=cert)
        self._closed = False
        self._renew()
        if verify is False and self._pool.scheme == "https":
            text = f"the certificate of {url} is not checked (verify=False): whoever answers there gets the token"
            warnings.warn(text, urllib3.exceptions.InsecureRequestWarning, stacklevel=2)
        # gzip costs an agent on the same machine more time than it saves, and a truncated one goes unnoticed.
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "regcache"}
        if token:
            if not re.fullmatch(r"[\x21-\x7e]+", token):
                raise ValueError("the token holds characters that no Consul token has (it is not shown here)")
            self._headers["X-Consul-Token"] = token

    def __repr__(self) -> str:
        return f"ConsulRegistry({self.url!r})"

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`. An unknown service is an empty list, not an error.

        When a kept connection turns out to be closed the question is asked again, without an index; a blocking query
        that was on its way fails. With ``index`` the body has a timeout of its own.

        Without a token that may read the service, Consul's answer is the same empty list.

        Raises:
            TypeError, ValueError: an argument that cannot be used. Nothing is asked.
        """
        pending = self.begin(service, index=index, wait=wait, timeout=timeout, consistency=consistency)
        return pending.answer()

    def begin(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Exchange:
        """Send the request of :meth:`fetch`, and do not wait for its answer. Raises what that raises."""
        target, wait = self._health(service, index, wait, consistency)
        plain = self._health(service, None, None, consistency)[0]
        return self._begin(target, plain, wait, self.timeout if timeout is None else _seconds(timeout), self._index)

    def services(self) -> List[str]:
        """The names of all services that the token may see, sorted. Raises what :meth:`fetch` raises."""
        target = self._target("/v1/catalog/services", {}, None)
        with self._begin(target, target, None, self.timeout, lambda response: 0).answer() as answer:
            body = b"".join(answer.chunks())
        try:
            names = json.loads(body)
        except (ValueError, RecursionError) as error:  # the latter of brackets without end
            raise ProtocolError(f"{self.url} sent a list of services that is not JSON: {error}") from error
        if not isinstance(names, dict):
            raise ProtocolError(f"{self.url} sent a list of services that is not an object")
        return sorted(names)

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
        """Register a service's nodes with the agent at this URL, passing from the start. Needs the extra ``consul``.

        What a node has no version or endpoints of its own for is taken from the service, as go-micro does. A node
        without an address gets the agent's. What Consul says of a node by itself (status, name and metadata of the
        Consul node, datacenter) and the service's own metadata, which go-micro does not register, are not sent.

        Args:
            service: its nodes need an ID each, which no other service of this agent has: one that has it is replaced.
            ttl: seconds after which a node that gave no sign of life is critical; ``None``: no check.
            deregister_after: seconds after which the agent removes a node that is critical; by default the ttl, but
                at least 60 s, and 5 s more. Consul looks every 30 s. 0: never.
            form: the tags: ``"go-micro"`` (every go-micro reader), ``"compact"`` (regcache alone, a fifth of the
                bytes), ``"both"``.
            tags: further tags of all nodes, beside their own.
            keep: give the signs of life (or, without a ttl, register again now and then) in the background, until
                the :class:`Registration` that is returned is closed. Without it that is up to the caller.
            at_exit: with ``keep``: close it at the interpreter's end.

        Raises:
            TypeError, ValueError: something that an agent would refuse or change; nothing is registered.
            ImportError: there is no client.
            Unavailable, Timeout, AccessDenied, RequestError, ServerError, RateLimited, ProtocolError: as their own
                texts say. Nodes before the one that failed are registered.
        """
        definitions = define(service, ttl=ttl, deregister_after=deregister_after, form=form, tags=tags)
        # A sign of life that takes longer than a third of the ttl comes too late.
        seconds = self.timeout if ttl is None else min(self.timeout, max(1.0, ttl / 3))
        nodes = AgentNodes(self._exchange, definitions, timeout=seconds)
        for definition in definitions:
            nodes.put(definition.id)
        if not keep:
            return None
        interval = (30.0 if ttl is None else ttl) * 2 / 3
        ids = [definition.id for definition in definitions]
        return Registration(nodes, ids, about=f"{service.name} at {self.url}", interval=interval, at_exit=at_exit)

    def deregister(self, service: Union[Service, str]) -> None:
        """Take nodes away from the agent: those of a :class:`~regcache.Service`, or the one with this ID.

        Unknown ones are no error. A registration that is kept is to be closed; it would register them again.

        Raises:
            TypeError, ValueError: an ID that cannot be one, or something else.
            ImportError: there is no client.
            Unavailable, Timeout, AccessDenied, RequestError, ServerError, RateLimited: as their own texts say.
        """
        ids = node_ids(service)
        remove_all(AgentNodes(self._exchange, [], timeout=self.timeout), ids)

    def registered(self) -> Dict[str, str]:
        """The IDs of all nodes that are registered with this agent, and the names of their services.

        Raises what :meth:`services` raises.
        """
        return agent_services(self._exchange, url=self.url, timeout=self.timeout)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._in_this_process()  # in a child the parent's locks may be taken, and stay so
        self._closed = True
        self._pool.close()
        self._kept.close()

    # -- one exchange ------------------------------------------------------------------------------------------

    def _health(
        self, service: str, index: Optional[int], wait: Optional[float], consistency: Optional[Consistency]
    ) -> Tuple[str, Optional[float]]:
        """The path and query for a service's nodes, and for how long the answer waits; ``None``: not at all."""
        query: Dict[str, str] = {}
        wait = checked_wait(wait)
        if index:
            query = {"index": str(index), "wait": f"{max(1, round(wait * 1000))}ms"}
        if CONTROL.search(checked_name(service)):
            # Consul's answer is 400, as to a path that it does not have.
            raise ValueError(f"a service's name has no control characters, which Consul takes in no path: {service!r}")
        path = "/v1/health/service/" + quote(service, safe="")
        return self._target(path, query, consistency), wait if index else None

    def _target(self, path: str, query: Dict[str, str], consistency: Optional[Consistency]) -> str:
        """A path of the catalog, with the query that it is asked with."""
        mode = self.consistency if consistency is None else _consistency(consistency)
        if mode != "default":
            query[mode] = ""
        if self.datacenter:
            query["dc"] = self.datacenter
        return path + ("?" + urlencode(query) if query else "")

    def _begin(
        self, target: str, plain: str, wait: Optional[float], seconds: float, index: Callable[[Response], int]
    ) -> Exchange:
        """Ask the catalog: send a request whose answer is still to come, with an index or without one."""
        self._in_this_process()
        return Exchange(
            self._kept,
            url=self.url,
            target=self._prefix + target,
            plain=self._prefix + plain,
            headers=self._headers,
            wait=wait,
            timeout=seconds,
            accept=partial(self._accept, seconds=seconds, index=index),
        )

    def _exchange(self, method: str, path: str, body: Optional[bytes] = None, *, timeout: float) -> bytes:
        """Speak to the agent itself; the whole body of a 200."""
        self._in_this_process()
        with failures(self.url, timeout, answered=False):
            response = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers=self._headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=timeout),
                preload_content=False,
                decode_content=False,
            )
        try:
            self._check(response)
            return b"".join(self._read(response, timeout))
        finally:
            # Gives the connection back; closed, unless the body was read to its end (it is back already then).
            response.close()
            response.release_conn()

    def _renew(self) -> None:
        self._pool = self._make_pool()
        self._kept = Kept(self._pool)
        self._pid = os.getpid()

    def _in_this_process(self) -> None:
        """After a fork the connections are the parent's: its answers and this process's would be mixed up."""
        if self._pid != os.getpid():
            self._renew()
            if self._closed:
                self.close()

    def _accept(self, response: Response, seconds: float, index: Callable[[Response], int]) -> Answer:
        """The head of an answer that came to an exchange."""
        self._check(response)
        return Answer(self._read(response, seconds), index=index(response))

    def _check(self, response: Response) -> None:
        """Raise, unless it is an answer, and one that Consul itself does not doubt."""
        if response.status != 200:
            refuse(response, self.url, "X-Consul-Token" in self._headers)
        self._doubts(response)

    def _read(self, response: Response, seconds: float) -> Iterator[BytesLike]:
        """The body's bytes; ends only when the body did."""
        taken = 0
        while True:
            with failures(self.url, seconds, answered=True):
                chunk = response.read(CHUNK, decode_content=False)
            if not chunk:
                return
            taken += len(chunk)
            if taken > self.max_bytes:
                self._too_large()
            yield chunk

    def _too_large(self) -> NoReturn:
        reason = f"{self.url} sent a body of more than {self.max_bytes:,} bytes; raise max_bytes= if it is wanted"
        raise LimitExceeded(reason, self.max_bytes, limit="body_bytes")

    def _index(self, response: Response) -> int:
        """X-Consul-Index: an integer of at least 1, as Consul's documents on blocking queries promise."""
        text = response.headers.get("X-Consul-Index")
        if text is None:
            raise ProtocolError(
                f"{self.url} answered without X-Consul-Index: is this a Consul agent, or does a proxy drop headers?"
            )
        number = int(text) if INDEX.fullmatch(text) else 0
        if not 1 <= number < 2**64:
            raise ProtocolError(f"{self.url} answered with an X-Consul-Index of {text!r}, no integer of at least 1")
        return number

    def _doubts(self, response: Response) -> None:
        """A registry that doubts its own answer has not answered."""
        headers = response.headers
        if headers.get("X-Consul-KnownLeader", "").lower() == "false":
            raise Unavailable(f"{self.url} answered, but its servers have no leader, so the list may be old")
        silent = headers.get("X-Consul-LastContact", "")
        if self.max_last_contact is not None and INDEX.fullmatch(silent) and int(silent) > 1000 * self.max_last_contact:
            raise Unavailable(
                f"{self.url} answered, but its server has not heard from the leader for {int(silent) / 1000:.1f} s, so "
                "the list may be old; ask another, or raise max_last_contact="
            )
        if headers.get("X-Consul-Results-Filtered-By-ACLs", "").lower() == "true":
            raise AccessDenied(
                f"{self.url} left nodes out that the token may not read; give it service:read and node:read"
            )
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            encoding = headers["Content-Encoding"]
            raise ProtocolError(f"{self.url} sent a body packed with {encoding!r}, which was not asked for")
        length = headers.get("Content-Length", "")
        if INDEX.fullmatch(length) and int(length) > self.max_bytes:
            self._too_large()


def _consistency(word: str) -> Consistency:
    for known in _MODES:
        if word == known:
            return known
    raise ValueError(f"consistency is 'stale', 'default' or 'consistent', not {word!r}")


_MODES: Tuple[Consistency, ...] = ("stale", "default", "consistent")


def _seconds(timeout: float) -> float:
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout is a number of seconds, not {type(timeout).__name__}")
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be more than 0 seconds, and finite, not {timeout!r}")
    return timeout
