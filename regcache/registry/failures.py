"""What goes wrong between a registry and Consul, as regcache's errors, each with what to do about it."""

from __future__ import annotations

from contextlib import contextmanager
from http.client import BadStatusLine
from typing import Iterator, NoReturn

import urllib3
from urllib3 import exceptions as urllib3_errors

from ..errors import (
    AccessDenied,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Timeout,
    Unavailable,
)

__all__ = ["failures", "refuse"]

#: How much of an error's body is repeated in the message, in bytes.
ERROR_TEXT = 300
#: How much of an answer that is no HTTP is repeated, in characters.
BEGINNING = 60


def refuse(response: urllib3.BaseHTTPResponse, url: str, token: bool) -> NoReturn:
    """Raise what a status other than 200 means. ``token``: was one sent?"""
    status = response.status
    text = ""
    try:
        text = response.read(ERROR_TEXT, decode_content=False).decode("utf-8", "replace").strip()
    except (urllib3_errors.HTTPError, OSError, ValueError):
        pass  # the status says enough
    said = f"{url} answered {status}" + (f" ({text})" if text else "")
    if status in (401, 403):
        why = (
            "the token was refused; check token= and its policies"
            if token
            else "no token was given; give one as token="
        )
        raise AccessDenied(f"{said}: {why}")
    if status in (429, 503):
        raise RateLimited(f"{said}: it asks for fewer requests, or for another server")
    if 300 <= status < 500:
        hint = "is this the address of a Consul agent?"
        if status < 400:
            hint = "redirects are not followed; give the address that it leads to"
        refused = RequestError(f"{said}: {hint}")
        refused.status = status
        raise refused
    if status >= 500:
        raise ServerError(f"{said}: look at the agent's log, and check datacenter=")
    raise ProtocolError(f"{said}, where 200 was expected")


@contextmanager
def failures(url: str, seconds: float, answered: bool) -> Iterator[None]:
    """urllib3's errors, as ours. ``answered``: the head of an answer was there already."""
    try:
        yield
    except RegcacheError:
        raise
    except (urllib3_errors.HTTPError, OSError, ValueError) as error:
        raise _translated(error, url, seconds, answered) from error


def _translated(error: Exception, url: str, seconds: float, answered: bool) -> RegcacheError:
    if isinstance(error, urllib3_errors.NewConnectionError):  # a ConnectTimeoutError until urllib3 2
        return Unavailable(f"{url} cannot be reached: {_why(error)}; is the agent running?")
    if isinstance(error, urllib3_errors.LocationParseError):  # only the look-up of a name notices some of these
        return Unavailable(f"{url} cannot be reached: there can be no host of this name; check the URL")
    if isinstance(error, (urllib3_errors.TimeoutError, TimeoutError)):
        return Timeout(f"{url} did not answer to the end within {seconds:g} s")
    if isinstance(error, urllib3_errors.SSLError):
        hint = "check verify= and cert="
        # What OpenSSL makes of an answer that is no TLS, before 3.2 and after it.
        if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
            hint = "does the server speak HTTPS on this port?"
        return Unavailable(f"{url}: no secure connection: {error}; {hint}")
    if isinstance(error, urllib3_errors.ClosedPoolError):
        return Unavailable(f"the registry of {url} is closed")
    # urllib3 puts what happened behind words of its own.
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    if answered:
        return ProtocolError(f"{url} sent a body that is cut short or badly framed: {cause}")
    if isinstance(cause, BadStatusLine) and not isinstance(cause, ConnectionError):
        return ProtocolError(f"{url} does not speak HTTP: its answer begins with {str(cause)[:BEGINNING]!r}")
    if isinstance(cause, OSError):
        how = f" ({cause.strerror})" if cause.strerror else ""
        return Unavailable(
            f"{url} closed the connection without an answer{how}; an agent does this when one address has more than "
            "http_max_conns_per_client (200) connections to it"
        )
    return ProtocolError(f"{url} sent a bad answer: {cause}")


def _why(error: Exception) -> str:
    """Why there is no connection: what the system says, without the names of urllib3's objects around it."""
    cause = error.__cause__ or error.__context__
    return getattr(cause, "strerror", None) or str(cause or "no connection")
