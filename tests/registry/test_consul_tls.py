"""ConsulRegistry over TLS: a real agent with certificates of its own authority, which `consul tls` makes."""

from __future__ import annotations

import json
import select
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from regcache import Timeout, Unavailable
from regcache.cache.refresh import Refresher
from regcache.registry import ConsulRegistry
from tests.cache.asked import Told, ask
from tests.consul import free_ports, running
from tests.faulty import response
from tests.together import HANG, Threads


@pytest.fixture(scope="module")
def papers(consul_program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a server's certificate for 127.0.0.1, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    for arguments in (["ca", "create"], ["cert", "create", "-server"], ["cert", "create", "-client"]):
        subprocess.run([consul_program, "tls", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def secure_url(consul_program: str, papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An agent that wants a client's certificate."""
    (port,) = free_ports(1)
    config = f"""
    ports {{ https = {port} }}
    ca_file = "{papers}/consul-agent-ca.pem"
    cert_file = "{papers}/dc1-server-consul-0.pem"
    key_file = "{papers}/dc1-server-consul-0-key.pem"
    verify_incoming_https = true
    """
    with running(consul_program, tmp_path_factory.mktemp("secure"), "-dev", config=config):
        yield f"https://127.0.0.1:{port}"


def trusting(papers: Path) -> Any:
    client = papers / "dc1-client-consul-0"
    return {"verify": str(papers / "consul-agent-ca.pem"), "cert": (f"{client}.pem", f"{client}-key.pem")}


def test_with_the_right_papers(secure_url: str, papers: Path) -> None:
    assert ConsulRegistry(secure_url, **trusting(papers)).services() == ["consul"]
    with pytest.warns(Warning, match="certificate of https://.* is not checked"):
        registry = ConsulRegistry(secure_url, verify=False, cert=trusting(papers)["cert"])
    assert registry.services() == ["consul"]


def test_an_authority_that_is_not_known(secure_url: str, papers: Path) -> None:
    with pytest.raises(Unavailable, match="no secure connection.*check verify="):
        ConsulRegistry(secure_url, cert=trusting(papers)["cert"]).services()


def test_whoever_names_an_authority_trusts_no_other(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's, which would do without ``verify=``, do not count beside it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "consul-agent-ca.pem"))
    own = papers / "dc1-server-consul-0.pem"  # a certificate, but nobody's authority
    for verify, trusted in ((True, 1), (str(own), 0), (str(papers / "consul-agent-ca.pem"), 1)):
        registry = ConsulRegistry("https://127.0.0.1:1", verify=verify)
        context = registry._pool.conn_kw["ssl_context"]  # type: ignore[attr-defined]
        named = [ca["subject"] for ca in context.get_ca_certs()]
        assert len(named) == trusted, verify
        registry.close()


def test_without_the_clients_certificate(secure_url: str, papers: Path) -> None:
    with pytest.raises(Unavailable):
        ConsulRegistry(secure_url, verify=trusting(papers)["verify"]).services()


def test_papers_of_a_client(secure_url: str, papers: Path) -> None:
    consul = pytest.importorskip("consul")
    port = int(secure_url.rpartition(":")[2])
    client = consul.Consul(host="127.0.0.1", port=port, scheme="https", **trusting(papers))
    assert ConsulRegistry(client).services() == ["consul"]


def test_a_drip_ends_with_the_deadline(papers: Path) -> None:
    server = papers / "dc1-server-consul-0"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{server}.pem", f"{server}-key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(HANG)

        def drip(_: int) -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                try:
                    connection.recv(4096)
                    connection.sendall(response(b"[", headers={"Content-Length": "1000000"}))
                    while True:
                        connection.sendall(b" ")
                        time.sleep(0.01)
                except OSError:
                    pass  # the client had enough

        dripping = Threads(1, drip)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(Timeout, match="within 0.5 s"):
            with ConsulRegistry(url, verify=trusting(papers)["verify"], timeout=0.5).fetch("greeter") as answer:
                b"".join(answer.chunks())
        assert 0.5 <= time.monotonic() - started < 5
        dripping.join()


def test_what_tls_itself_sends_is_no_answer(secure_url: str, papers: Path) -> None:
    """After the handshake the agent sends tickets for later sessions: the connection can be read from, for nothing."""
    registry = ConsulRegistry(secure_url, **trusting(papers))
    with registry.fetch("consul") as answer:
        b"".join(answer.chunks())
    pending = registry.begin("consul", index=answer.index, wait=0.5)
    while True:
        assert select.select([pending.fileno()], [], [], HANG)[0]
        if pending.ready():
            break
    assert pending.ready()
    with pending.answer() as later:
        assert json.loads(b"".join(later.chunks()))[0]["Service"]["ID"] == "consul"
    assert body_of(registry.begin("consul")).strip().startswith(b"[")
    registry.close()


def body_of(pending: Any) -> bytes:
    with pending.answer() as answer:
        return b"".join(answer.chunks())


def test_a_watch_over_tls_holds_no_thread(secure_url: str, papers: Path) -> None:
    registry = ConsulRegistry(secure_url, **trusting(papers))
    refresher = Refresher(registry, workers=1)
    index = ask(refresher, "consul").index
    waiting = [Told() for _ in range(5)]
    for told in waiting:
        refresher.load("consul", told, index=index, wait=1.0)
    assert ask(refresher, "consul", urgent=True).snapshot is not None
    assert all(told.empty for told in waiting)
    for told in waiting:
        assert told.next().unchanged
    refresher.close()
    registry.close()
