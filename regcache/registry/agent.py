"""A Consul agent's own nodes: registered, kept passing and removed through python-consul2 (or py-consul).

The client writes the requests; they go over the registry's own connections. Its usual transport would follow
redirects with the token, use proxies from the environment, wait without a deadline and raise the errors of
``requests``; and its constructor lets CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN override what it is given. So only its
agent's methods are used: on a client that is made without that constructor, over a transport that is made here.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence
from urllib.parse import quote

from ..errors import ProtocolError, RequestError
from .definition import Definition

__all__ = ["AgentNodes", "Send", "agent_services"]


class Send(Protocol):
    """One exchange with the agent: the body of a 200."""

    def __call__(self, method: str, path: str, body: Optional[bytes] = None, *, timeout: float) -> bytes: ...


class AgentNodes:
    """Some nodes of an agent, by their IDs.

    Args:
        send: the exchange.
        definitions: the nodes.
        timeout: seconds for each request.

    Raises:
        ImportError: neither python-consul2 nor py-consul is there.
    """

    def __init__(self, send: Send, definitions: Sequence[Definition], *, timeout: float) -> None:
        self._send = send
        self._definitions = {definition.id: definition for definition in definitions}
        self._timeout = timeout
        self._client(None)  # a missing client is an error now, not in the background

    def put(self, node_id: str) -> None:
        """Register it, or replace it; passing from the start."""
        node = self._definitions[node_id]
        check: Optional[Dict[str, str]] = None
        if node.check is not None:
            check = {
                "TTL": _duration(node.check.ttl),
                "DeregisterCriticalServiceAfter": _duration(node.check.deregister_after),
                # Not critical (Consul's default) for the moment between registering and the first pass.
                "Status": "passing",
            }
        # python-consul2's register knows nothing of weights, so the transport puts them in.
        weights = {"Passing": node.weights.passing, "Warning": node.weights.warning}
        self._client({"Weights": weights}).service.register(
            node.name,
            service_id=node.id,
            address=node.address,
            port=node.port,
            tags=list(node.tags),
            meta=node.meta,
            check=check,
        )
        if check is not None:
            # An agent that knew the node keeps the old state of its check, whatever Status says.
            self._pass(node_id)

    def touch(self, node_id: str) -> None:
        """A sign of life; without a check the node is registered again, which changes nothing if it is there.

        Raises:
            RequestError, ServerError: the agent does not know it (any more).
        """
        if self._definitions[node_id].check is None:
            self.put(node_id)
        else:
            self._pass(node_id)

    def remove(self, node_id: str) -> None:
        """Take it away. It is no error if it is not there."""
        try:
            # The clients do not quote it: an ID with "?" or "/" would be another path.
            self._client(None).service.deregister(quote(node_id, safe=""))
        except RequestError as error:
            if error.status != 404:  # newer agents than 1.8 say that they do not know it
                raise

    def _pass(self, node_id: str) -> None:
        self._client(None).check.ttl_pass("service:" + quote(node_id, safe=""))

    def _client(self, more: Optional[Mapping[str, Any]]) -> Any:
        return _agent_of(_Transport(self._send, self._timeout, more))


def agent_services(send: Send, *, url: str, timeout: float) -> Dict[str, str]:
    """The IDs of all services that are registered with the agent, and their names. ``url`` is for messages."""
    body = send("GET", "/v1/agent/services", timeout=timeout)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter of brackets without end
        raise ProtocolError(f"{url} sent a list of services that is not JSON; is this a Consul agent?") from error
    try:
        return {str(node_id): str(service["Service"]) for node_id, service in said.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ProtocolError(f"{url} sent JSON that is no list of services; is this a Consul agent?") from error


class _Response(NamedTuple):
    """What the clients' callbacks look at. Every other status has become an error before."""

    code: int
    headers: Mapping[str, str]
    body: str
    content: bytes


class _Transport:
    """As much of the clients' HTTPClient as registering needs."""

    def __init__(self, send: Send, timeout: float, more: Optional[Mapping[str, Any]]) -> None:
        self._send = send
        self._timeout = timeout
        self._more = more

    def put(
        self,
        callback: Callable[[_Response], Any],
        path: str,
        params: Any = None,
        data: str = "",
        headers: Any = None,
    ) -> Any:
        if self._more and data:
            data = json.dumps({**json.loads(data), **self._more})
        # The token is the registry's; headers has none, because the client knows none.
        body = self._send("PUT", path, data.encode() if data else None, timeout=self._timeout)
        return callback(_Response(200, {}, body.decode("utf-8", "replace"), body))


def _agent_of(transport: _Transport) -> Any:
    """The client's methods for the agent's services and checks."""
    try:
        from consul import base
    except ImportError as error:
        raise ImportError(
            "registering needs the client python-consul2 (or py-consul): pip install 'regcache[consul]'"
        ) from error

    class Client(base.Consul):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.http = transport
            self.token = None
            self.dc = None

    # py-consul has moved the class out of Consul.
    return (getattr(base.Consul, "Agent", None) or base.Agent)(Client())


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
