"""HTTP as a registry needs it: one server, no redirects, no proxies, one deadline for everything.

urllib3 does the protocol, and notices bodies that are shorter than they promised. Its timeouts are for each read,
so that a server which drips a byte now and then could hold a request for ever: the sockets made here count down
to one deadline instead.
"""

from __future__ import annotations

import http.client
import os.path
import re
import socket
import ssl
import time
from functools import partial
from typing import Any, Callable, Optional, Tuple, Union
from urllib.parse import SplitResult, unquote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from .base import split_url

__all__ = ["Certificate", "Pool", "pool_maker", "port_of"]

#: A file with certificate and key, or (certificate, key), as in ``requests``.
Certificate = Union[str, Tuple[str, str]]

#: Connections kept open. More may be in use at once; those are closed after their answer.
KEPT = 8


class _Deadline:
    """Mixed into a socket: ``settimeout(t)`` gives all reads that follow ``t`` seconds together, not each."""

    _until: Optional[float] = None

    def settimeout(self, value: Optional[float]) -> None:
        self._until = None if value is None else time.monotonic() + value
        super().settimeout(value)  # type: ignore[misc]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            super().settimeout(left)  # type: ignore[misc]
        return super().recv_into(*args, **kwargs)  # type: ignore[misc, no-any-return]


class _Socket(_Deadline, socket.socket):
    pass


class _TLSSocket(_Deadline, ssl.SSLSocket):
    _ahead = b""

    def arrived(self) -> bool:
        """Is there something of an answer? What can be read may be TLS's own (a ticket for later sessions)."""
        if not self._ahead:
            super(_Deadline, self).settimeout(0.0)
            try:
                self._ahead = super().recv(1)
            except ssl.SSLWantReadError:
                return False
            except OSError:
                pass  # whoever reads the answer meets it again
        return True

    def recv_into(self, buffer: Any, *args: Any, **kwargs: Any) -> int:
        if self._ahead:
            memoryview(buffer).cast("B")[:1] = self._ahead
            self._ahead = b""
            return 1
        return super().recv_into(buffer, *args, **kwargs)


def _with_deadline(plain: socket.socket) -> _Socket:
    timeout = plain.gettimeout()
    made = _Socket(plain.family, plain.type, plain.proto, plain.detach())
    made.settimeout(timeout)
    return made


class _Response(http.client.HTTPResponse):
    """Refuses a chunk of size -1: http.client (from 3.10 on) would read to the connection's end, without any cap."""

    def _safe_read(self, amt: int) -> bytes:
        if amt < 0:
            raise ValueError(f"a chunk of {amt} bytes")
        return super()._safe_read(amt)  # type: ignore[misc, no-any-return]


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _with_deadline(super()._new_conn())


class _TLSConnection(HTTPSConnection):
    response_class = _Response


class Pool(urllib3.HTTPConnectionPool):
    """Connections to one server."""

    def connection(self) -> HTTPConnection:
        """A new one, which is not the pool's: it connects when it is used, and its user closes it."""
        return self._new_conn()  # type: ignore[return-value]


class _Pool(Pool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool, Pool):
    ConnectionCls = _TLSConnection


def _unix_pool(path: str) -> Pool:
    class UnixConnection(HTTPConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            made = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                timeout = self.timeout
                made.settimeout(timeout if isinstance(timeout, (int, float)) else None)
                made.connect(path)
            except OSError as error:
                made.close()
                raise urllib3.exceptions.NewConnectionError(self, str(error)) from error
            return made

    class UnixPool(Pool):
        ConnectionCls = UnixConnection

    # The host is only what the Host header says.
    return UnixPool("localhost", maxsize=KEPT)


def _context(verify: Union[bool, str], cert: Optional[Certificate]) -> ssl.SSLContext:
    if isinstance(verify, str):
        # With authorities of its own it loads no others: whoever names his does not trust the system's.
        folder = os.path.isdir(verify)
        _readable("verify=", verify, folder=True)
        try:
            context = ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)
        except ssl.SSLError as error:
            why = error.reason or error
            raise ValueError(f"verify={verify!r} holds no certificate of an authority, as PEM has it: {why}") from error
    elif isinstance(verify, bool):
        context = ssl.create_default_context()
    else:
        raise TypeError(f"verify= is True, False, or a file or folder as a str, not {type(verify).__name__}")
    context.sslsocket_class = _TLSSocket
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        files = (cert,) if isinstance(cert, str) else cert
        if not (isinstance(files, (tuple, list)) and len(files) in (1, 2) and all(isinstance(f, str) for f in files)):
            raise TypeError("cert= is a file as a str, or a pair of them, (certificate, key)")
        for file in files:
            _readable("cert=", file)
        try:
            context.load_cert_chain(*files)
        except ssl.SSLError as error:
            why = error.reason or error
            named = " and ".join(map(repr, files))
            raise ValueError(f"cert= holds no certificate with its key, as PEM has them, in {named}: {why}") from error
    return context


def _readable(option: str, file: str, folder: bool = False) -> None:
    """OpenSSL does not say which of its files it could not read."""
    try:
        if not (folder and os.path.isdir(file)):
            open(file, "rb").close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{option}{file!r} cannot be read: {why}") from error


def port_of(url: SplitResult) -> Optional[int]:
    """The port of a URL; ``None`` where it has none.

    Raises:
        ValueError: there can be no such port. The message repeats the host; :func:`~regcache.registry.base.split_url`
            has seen to it that no password is in it.
    """
    try:
        return url.port
    except ValueError as error:
        where = f"{url.scheme}://{url.netloc}"
        if url.netloc.count(":") > 1 and "[" not in url.netloc:
            raise ValueError(f"{where!r} is no host and port; IPv6 is written {url.scheme}://[::1]:8500") from error
        raise ValueError(f"{where!r} has no port that can be: it is a number from 0 to 65535") from error


def pool_maker(
    url: str, *, verify: Union[bool, str] = True, cert: Optional[Certificate] = None
) -> Tuple[Callable[[], Pool], str]:
    """Makes connections to one server and to no other; and the path that its URLs begin with (without a last slash).

    Each call of the first is a new pool, and reads no certificates any more: in the child of a fork they may be gone.

    Args:
        url: ``http://host:port``, ``https://host:port`` (both may go on with a path) or ``unix:///path/of/socket``.
        verify: for https: ``True`` (the system's authorities), ``False``, or a file or folder of authorities.
        cert: for https: the client's certificate.

    Raises:
        TypeError: an argument of another type.
        ValueError: the URL is not of this kind, or a certificate cannot be used; the message names its file.
    """
    parts = split_url(url)
    # The URL is not repeated in what follows: it may hold a token or a password.
    if parts.query or parts.fragment:
        raise ValueError("a registry's URL has no query and no fragment; give the token as token=")
    if parts.scheme == "unix":
        path = unquote(parts.path)
        if parts.netloc or not path.startswith("/"):
            raise ValueError("a socket's URL has three slashes: unix:///run/consul.sock")
        return partial(_unix_pool, path), ""
    if parts.scheme not in ("http", "https") or not (parts.hostname or parts.netloc):
        raise ValueError("an agent's URL looks like http://host:port, https://host:port or unix:///path")
    port = port_of(parts)
    if not parts.hostname:
        raise ValueError(f"'{parts.scheme}://{parts.netloc}' has no host")
    if any(character <= " " or character == "\x7f" for character in parts.hostname):
        # Some versions of urllib3 notice this only when they ask, and then it looks like the server's fault.
        raise ValueError(f"a registry's URL has no spaces or control characters in its host: {parts.hostname!r}")
    if not re.fullmatch(r"[\x21-\x7e]*", parts.path):
        # No request could be sent, and that would look like the server's fault.
        raise ValueError("a registry's URL has spaces in its path, or what is not ASCII; write it as %20 and the like")
    host, prefix = parts.hostname, parts.path.rstrip("/")
    if parts.scheme == "http":
        return partial(_Pool, host, port, maxsize=KEPT), prefix
    return partial(_TLSPool, host, port, maxsize=KEPT, ssl_context=_context(verify, cert)), prefix
