"""A pytest plugin: real Consul agents on loopback.

The program is taken from, in this order: an agent at CONSUL_HTTP_ADDR, CONSUL_BIN, the PATH, the cache that
``tests/tools/get-consul`` fills. Where there is none the tests are skipped with the reason; in CI they fail.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote, urlsplit

import pytest

# python-consul2 lets it override the host and port that it was given; so it is read here and then forgotten.
GIVEN = os.environ.pop("CONSUL_HTTP_ADDR", None)

GET_CONSUL = Path(__file__).parent / "tools" / "get-consul"
MASTER_TOKEN = "11111111-2222-3333-4444-555555555555"
#: Seconds within which an agent is ready; 0.5 are usual.
READY = 30.0


class Agent:
    """A running agent, spoken to with nothing but the standard library."""

    def __init__(self, address: str, process: "Optional[subprocess.Popen[bytes]]" = None) -> None:
        self.address = address
        self.url = f"http://{address}"
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.process = process

    def api(self, method: str, path: str, body: Any = None, token: Optional[str] = None) -> Any:
        """One request; the JSON of the answer (None if it has none). Any status but 200 is an error."""
        status, text = self.raw(method, path, body, token)
        assert status == 200, f"{method} {path}: {status} {text!r}"
        return json.loads(text) if text else None

    def raw(self, method: str, path: str, body: Any = None, token: Optional[str] = None) -> "tuple[int, bytes]":
        """One request; status and body of the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            headers = {"X-Consul-Token": token} if token else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def register(self, entries: List[Dict[str, Any]], service: str) -> None:
        """Register the entries of a recorded health body under another name, on nodes of the same names."""

        def one(entry: Dict[str, Any]) -> None:
            kept = {key: entry["Service"].get(key) for key in ("Tags", "Address", "Port", "Meta", "Weights")}
            kept["ID"] = f"{service}/{entry['Service']['ID']}"
            node = "recorded-" + entry["Node"]["Node"]
            # All of them as the service's own: the status of a node is put together from both kinds. Not under the
            # name serfHealth: Consul removes made-up nodes that have a check of that name.
            checks = [
                {
                    "Node": node,
                    "CheckID": f"{check['CheckID']}/{kept['ID']}",
                    "Name": check["Name"],
                    "Status": check["Status"],
                    "ServiceID": kept["ID"],
                }
                for check in entry["Checks"]
            ]
            body = {"Node": node, "Address": entry["Node"]["Address"], "NodeMeta": entry["Node"]["Meta"]}
            self.api("PUT", "/v1/catalog/register", {**body, "Service": {**kept, "Service": service}, "Checks": checks})

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, entries))

    def deregister(self, service: str) -> None:
        """Take a service's nodes out of the catalog."""
        entries = self.api("GET", "/v1/catalog/service/" + quote(service, safe=""))

        def one(entry: Dict[str, Any]) -> None:
            gone = {"Node": entry["Node"], "ServiceID": entry["ServiceID"]}
            self.api("PUT", "/v1/catalog/deregister", gone)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, entries))


def _missing(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"no Consul agent: {reason}")
    pytest.skip(f"no Consul agent: {reason}")


@pytest.fixture(scope="session")
def consul_program() -> str:
    """The path of a consul program."""
    given = os.environ.get("CONSUL_BIN")
    if given:
        if not shutil.which(given):
            _missing(f"CONSUL_BIN is {given!r}, which is no program")
        return given
    found = shutil.which("consul")
    if found:
        return found
    done = subprocess.run([str(GET_CONSUL)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode:
        _missing(done.stderr.strip() or f"get-consul ended with {done.returncode}")
    return done.stdout.strip()


def free_ports(count: int) -> List[int]:
    """Ports that are free for TCP and UDP now."""
    ports: List[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            tcp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind(("127.0.0.1", 0))
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            ports.append(tcp.getsockname()[1])
    return ports


def version(program: str) -> Tuple[int, int]:
    """Major and minor version of a consul program."""
    said = subprocess.run([program, "version"], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    found = re.match(r"Consul v(\d+)\.(\d+)", said)
    assert found, f"{program} version says {said!r}"
    return int(found[1]), int(found[2])


@contextlib.contextmanager
def running(
    program: str,
    folder: Path,
    *arguments: str,
    config: str = "",
    guarded: bool = False,
    ready: str = "leader",
    ports: Optional[List[int]] = None,
) -> Iterator[Agent]:
    """An agent of one's own, stopped at the end.

    Args:
        arguments: what follows ``consul agent``.
        config: more configuration, in HCL.
        guarded: nobody may do anything without a token; ``MASTER_TOKEN`` may do everything.
        ready: wait for a ``"leader"``, or only until HTTP is ``"listening"``.
        ports: three ports, to be another agent's successor; otherwise free ones.
    """
    web, server, serf = ports or free_ports(3)
    is_version = version(program)
    settings = ["disable_update_check = true", config]
    if is_version >= (1, 14):  # servers listen on one port more, the same for all agents
        settings.append("ports { grpc_tls = -1 }")
    if guarded:
        name = "initial_management" if is_version >= (1, 11) else "master"
        tokens = f'tokens {{ {name} = "{MASTER_TOKEN}" }}'
        settings.append(f'acl {{\n  enabled = true\n  default_policy = "deny"\n  {tokens}\n}}')
    (folder / "agent.hcl").write_text("\n".join(settings) + "\n")
    # The CONSUL_ variables of whoever runs the tests are not for this agent.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
    command = [program, "agent", *arguments, "-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn"]
    command += ["-http-port", str(web), "-server-port", str(server), "-serf-lan-port", str(serf)]
    command += ["-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1"]
    command += ["-config-file", str(folder / "agent.hcl")]
    with open(folder / "agent.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=clean)
    agent = Agent(f"127.0.0.1:{web}", process)
    try:
        _wait_until_ready(agent, ready, folder / "agent.log")
        yield agent
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(agent: Agent, ready: str, log: Path) -> None:
    deadline = time.monotonic() + READY
    while True:
        assert agent.process is not None and agent.process.poll() is None, "the agent ended:\n" + log.read_text()
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            if ready == "listening":
                if agent.raw("GET", "/v1/agent/self")[0] in (200, 403):
                    return
            else:
                status, body = agent.raw("GET", "/v1/health/service/consul?passing", token=MASTER_TOKEN)
                if status == 403:  # a token is wanted, but the agent has no ACLs, or not yet
                    status, body = agent.raw("GET", "/v1/health/service/consul?passing")
                if status == 200 and json.loads(body):
                    return
        assert time.monotonic() < deadline, f"the agent was not ready after {READY:g} s:\n" + log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="session")
def consul_agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent for all tests, with services of their own names each. It is not to be stopped or broken."""
    if GIVEN:
        yield Agent(urlsplit(GIVEN if "//" in GIVEN else f"//{GIVEN}").netloc)
        return
    program = request.getfixturevalue("consul_program")
    with running(program, tmp_path_factory.mktemp("consul"), "-dev") as agent:
        yield agent


@pytest.fixture
def service_name() -> str:
    """A name that no other test uses."""
    return f"regcache-test-{uuid.uuid4().hex[:12]}"
