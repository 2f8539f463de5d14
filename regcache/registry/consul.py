"""Consul's agent over HTTP, as a stream of bytes.

The settings may come from a client of python-consul2 or py-consul; its requests do not: those clients hold a body
several times over, follow redirects with the token, and have no total deadline.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from http.client import BadStatusLine
from typing import Any, Dict, Iterator, List, NoReturn, Optional, Tuple, Union
from urllib.parse import quote, urlencode

import urllib3
from urllib3 import exceptions as urllib3_errors

from ..errors import (
    AccessDenied,
    LimitExceeded,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Timeout,
    Unavailable,
)
from ..limits import Limits
from .base import Answer, BytesLike, Consistency, checked_name
from .http import Certificate, make_pool

__all__ = ["ConsulRegistry"]

CHUNK = 64 * 1024
#: How much of an error's body is repeated in the message, in bytes.
ERROR_TEXT = 300
INDEX = re.compile(r"[0-9]{1,20}", re.ASCII)


class ConsulRegistry:
    """A Consul agent or server. May be shared by threads.

    Args:
        url_or_client: ``http://host:port``, ``https://host:port``, ``unix:///path``; or a ``consul.Consul`` of
            python-consul2 or py-consul, whose address, certificates, token, datacenter and consistency are taken.
        token: the ACL token; sent in a header, to this address only.
        datacenter: ask for another datacenter's services.
        consistency: ``"stale"`` (any server answers; the default), ``"default"`` (the leader), ``"consistent"``.
        timeout: seconds for a whole exchange, from connecting to the last byte.
        max_bytes: the largest body that is read.
        verify: for https: ``True`` (the system's authorities), ``False``, or a file or folder of authorities.
        cert: for https: the client's certificate, as a file or as (certificate, key).

    Neither environment variables nor proxies are looked at.

    Raises:
        TypeError, ValueError: an argument that cannot be used. Nothing is connected yet.
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
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout!r}")
        self.timeout = timeout
        self.max_bytes = max_bytes
        self._pool, self._prefix = make_pool(url, verify=True if verify is None else verify, cert=cert)
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

        Without a token that may read the service, Consul's answer is the same empty list.
        """
        query: Dict[str, str] = {}
        seconds = self.timeout if timeout is None else timeout
        if index:
            # Consul adds up to a sixteenth of the wait, so that its clients do not all come back together.
            wait = 55.0 if wait is None else wait
            query = {"index": str(index), "wait": f"{max(1, round(wait * 1000))}ms"}
            seconds += wait * 17 / 16
        path = "/v1/health/service/" + quote(checked_name(service), safe="")
        response = self._open(path, query, seconds, consistency)
        try:
            number = _index(response)
        except BaseException:
            _abandon(response)
            raise
        return Answer(self._read(response, seconds), index=number, close=lambda: _abandon(response))

    def services(self) -> List[str]:
        """The names of all services that the token may see, sorted. Raises what :meth:`fetch` raises."""
        response = self._open("/v1/catalog/services", {}, self.timeout, None)
        try:
            body = b"".join(self._read(response, self.timeout))
        finally:
            _abandon(response)
        try:
            names = json.loads(body)
        except ValueError as error:
            raise ProtocolError(f"{self.url} sent a list of services that is not JSON: {error}") from error
        if not isinstance(names, dict):
            raise ProtocolError(f"{self.url} sent a list of services that is not an object")
        return sorted(names)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()

    # -- one exchange ------------------------------------------------------------------------------------------

    def _open(
        self, path: str, query: Dict[str, str], seconds: float, consistency: Optional[Consistency]
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and read the head of its answer: a 200 that Consul itself does not doubt."""
        mode = self.consistency if consistency is None else _consistency(consistency)
        if mode != "default":
            query[mode] = ""
        if self.datacenter:
            query["dc"] = self.datacenter
        target = self._prefix + path + ("?" + urlencode(query) if query else "")
        with self._errors(seconds, answered=False):
            response = self._pool.urlopen(
                "GET",
                target,
                headers=self._headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=seconds),
                preload_content=False,
                decode_content=False,
            )
        try:
            if response.status != 200:
                self._refuse(response)
            self._doubts(response)
        except BaseException:
            _abandon(response)
            raise
        return response

    def _read(self, response: urllib3.BaseHTTPResponse, seconds: float) -> Iterator[BytesLike]:
        """The body's bytes; ends only when the body did."""
        taken = 0
        while True:
            with self._errors(seconds, answered=True):
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

    def _doubts(self, response: urllib3.BaseHTTPResponse) -> None:
        """A registry that doubts its own answer has not answered."""
        headers = response.headers
        if headers.get("X-Consul-KnownLeader", "").lower() == "false":
            raise Unavailable(f"{self.url} answered, but its servers have no leader, so the list may be old")
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

    def _refuse(self, response: urllib3.BaseHTTPResponse) -> NoReturn:
        """Raise what a status other than 200 means."""
        status = response.status
        text = ""
        try:
            text = response.read(ERROR_TEXT, decode_content=False).decode("utf-8", "replace").strip()
        except (urllib3_errors.HTTPError, OSError, ValueError):
            pass  # the status says enough
        said = f"{self.url} answered {status}" + (f" ({text})" if text else "")
        if status in (401, 403):
            raise AccessDenied(f"{said}: the token was refused; check token= and its policies")
        if status in (429, 503):
            raise RateLimited(f"{said}: it asks for fewer requests, or for another server")
        if 300 <= status < 400:
            raise RequestError(f"{said}: redirects are not followed; give the address that it leads to")
        if 400 <= status < 500:
            raise RequestError(f"{said}: is this the address of a Consul agent?")
        if status >= 500:
            raise ServerError(f"{said}: look at the agent's log, and check datacenter=")
        raise ProtocolError(f"{said}, where 200 was expected")

    @contextmanager
    def _errors(self, seconds: float, answered: bool) -> Iterator[None]:
        """urllib3's errors, as ours."""
        try:
            yield
        except RegcacheError:
            raise
        except (urllib3_errors.HTTPError, OSError, ValueError) as error:
            raise self._translated(error, seconds, answered) from error

    def _translated(self, error: Exception, seconds: float, answered: bool) -> RegcacheError:
        if isinstance(error, urllib3_errors.NewConnectionError):  # a ConnectTimeoutError until urllib3 2
            reason = getattr(error.__cause__, "strerror", None) or error
            return Unavailable(f"{self.url} cannot be reached: {reason}; is the agent running?")
        if isinstance(error, (urllib3_errors.TimeoutError, TimeoutError)):
            return Timeout(f"{self.url} did not answer to the end within {seconds:g} s")
        if isinstance(error, urllib3_errors.SSLError):
            return Unavailable(f"{self.url}: no secure connection: {error}; check verify= and cert=")
        if isinstance(error, urllib3_errors.ClosedPoolError):
            return Unavailable(f"the registry of {self.url} is closed")
        if answered:
            return ProtocolError(f"{self.url} sent a body that is cut short or badly framed: {error}")
        cause = error.args[-1] if error.args else None
        if isinstance(cause, BadStatusLine) and not isinstance(cause, ConnectionError):
            return ProtocolError(f"{self.url} does not speak HTTP: {error}")
        if isinstance(cause, OSError) or isinstance(error, OSError):
            return Unavailable(
                f"{self.url} closed the connection without an answer: {error}; an agent does this when one address "
                "has more than http_max_conns_per_client (200) connections to it"
            )
        return ProtocolError(f"{self.url} sent a bad answer: {error}")


def _consistency(word: str) -> Consistency:
    for known in _MODES:
        if word == known:
            return known
    raise ValueError(f"consistency is 'stale', 'default' or 'consistent', not {word!r}")


_MODES: Tuple[Consistency, ...] = ("stale", "default", "consistent")


def _index(response: urllib3.BaseHTTPResponse) -> int:
    """X-Consul-Index: an integer of at least 1, as Consul's documents on blocking queries promise."""
    text = response.headers.get("X-Consul-Index")
    if text is None:
        raise ProtocolError("the answer has no X-Consul-Index: is this a Consul agent, or does a proxy drop headers?")
    number = int(text) if INDEX.fullmatch(text) else 0
    if not 1 <= number < 2**64:
        raise ProtocolError(f"the answer's X-Consul-Index is {text!r}, not an integer of at least 1")
    return number


def _abandon(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back; closed, unless the body was read to its end (it is back already then)."""
    response.close()
    response.release_conn()
