"""``regcache demo``: what regcache does, shown and measured on a body of 2,000 nodes, or on a live Consul agent."""

from __future__ import annotations

import argparse
import importlib.resources
import platform
import time
from collections import Counter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import codec
from ..cache import Cache
from ..codec import Decoder, Node, Snapshot
from ..errors import DecodeError, RegcacheError
from ..registry import MemoryRegistry, Registry
from . import baseline
from .agent import add_token, as_typed, consul_at, unseen
from .fault import Fault
from .measure import median_time, traced_peak
from .show import by_version, endpoint_names, print_warnings, statuses
from .source import read_all
from .text import bar, columns, cut, duration, pad, plural, safe, size, style, width, wrapped

__all__ = ["add_to", "run"]

CHUNK = 64 * 1024
PICKS = 100_000
#: How a compact tag begins in a body.
COMPACT = b'"m~'
#: What the plain reading stops at, where regcache goes on.
_PLAIN_FAILS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="see what regcache does, with measurements made here and now",
        description="Decode a body of 2,000 nodes as a registry sends it, beside plain json and zlib, and pick nodes "
        "from it. It needs no registry: a recorded body comes with the package.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--consul", metavar="URL", help="the same live, on the services of this Consul agent: consul://host:port"
    )
    source.add_argument("--body", metavar="FILE", help="the same on a recorded body of your own; - for standard input")
    add_token(parser, "with --consul: the ACL token; it needs service:read and node:read")
    parser.add_argument("--service", metavar="NAME", help="with --consul: this service instead of the largest")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Show everything, top to bottom."""
    for option in ("service", "token"):
        if getattr(args, option) is not None and args.consul is None:
            raise Fault(f"--{option} goes with --consul", code=2)
    subject = _embedded(args.body) if args.consul is None else _live(args.consul, args.service, args.token)
    with Cache(subject.registry) as cache:
        snapshot = subject.load()
        _title(subject)
        _found(snapshot)
        if not snapshot.nodes:
            return
        _times(subject, snapshot)
        _memory(subject)
        _picks(cache, subject.service)


# What it is shown on


class _Subject(NamedTuple):
    """A service whose body is at hand."""

    registry: Registry
    service: str
    body: bytes
    about: str

    def decoder(self, previous: Optional[Snapshot] = None) -> Decoder:
        return Decoder(self.service, previous=previous)

    def load(self, previous: Optional[Snapshot] = None) -> Snapshot:
        """The body, in chunks as they come from a registry, as a snapshot."""
        decoder = self.decoder(previous)
        with memoryview(self.body) as view:
            for start in range(0, len(view), CHUNK):
                decoder.feed(view[start : start + CHUNK])
        return decoder.finish()


def _embedded(file: Optional[str]) -> _Subject:
    """A recorded body in a registry in memory."""
    if file is None:
        packed = importlib.resources.files("regcache.cli").joinpath("data").joinpath("catalog.json.zst").read_bytes()
        unzstd = codec.Unzstd()
        body = unzstd.feed(packed)
        unzstd.finish()
        about = "the answer of a real Consul agent, recorded"
    else:
        body = read_all(file)
        about = "the body in standard input" if file == "-" else f"the body in {safe(file)}"
    try:
        service = codec.decode(body).service
    except DecodeError as error:
        error.source = file or "the recorded body"
        raise
    if not service:
        raise Fault(f"{file or 'the recorded body'} holds no node of a service with a name")
    registry = MemoryRegistry()
    registry.put(service, body)
    return _Subject(registry, service, body, about)


def _live(url: str, wanted: Optional[str], token: Optional[str]) -> _Subject:
    """All services of an agent, loaded one after the other; the largest, or the one wanted, is the subject."""
    registry = consul_at("--consul", url, token)
    names = registry.services()
    if wanted is not None and wanted not in names:
        raise Fault(unseen(f"{url} has no service {wanted!r}", token))
    print(style(f"The services of {safe(url)}", "bold"))
    print()
    rows: List[Tuple[str, ...]] = [("SERVICE", "NODES", "VERSIONS", "BODY", "LOADED IN", "STATUS")]
    largest: Tuple[str, bytes] = ("", b"")
    for name in names:
        begun = time.perf_counter()
        decoder = Decoder(name)
        parts = []
        try:
            with registry.fetch(name) as answer:
                for chunk in answer.chunks():
                    decoder.feed(chunk)
                    parts.append(bytes(chunk))
            snapshot = decoder.finish(index=answer.index)
        except RegcacheError as error:
            rows.append((safe(name), "", "", "", "", safe(as_typed(str(error)))))
            continue
        took = time.perf_counter() - begun
        body = b"".join(parts)
        if name == wanted or wanted is None and len(body) > len(largest[1]):
            largest = name, body
        count = len(snapshot.nodes)
        versions = len({node.version for node in snapshot.nodes})
        rows.append(
            (
                safe(name),
                f"{count:,}",
                str(versions),
                size(len(body)),
                duration(took),
                statuses(snapshot.nodes, colour=False),
            )
        )
    print("\n".join(columns(rows, right=(1, 2, 3, 4))))
    print()
    service, body = largest
    if not service:
        raise Fault(unseen(f"{url} has no service that could be loaded", token))
    return _Subject(registry, service, body, f"what {safe(url)} answered")


# The page


def _title(subject: _Subject) -> None:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(style(f"regcache, {codec.BACKEND} codec, {python}", "bold"))
    print(cut(f"on {safe(subject.service)}: {size(len(subject.body))}, {subject.about}", width()))


def _heading(text: str) -> None:
    print()
    print(style(text, "bold"))


def _found(snapshot: Snapshot) -> None:
    nodes, stats = snapshot.nodes, snapshot.stats
    groups = by_version(snapshot)
    _heading("What it says")
    print(f"  {plural(len(nodes), 'node')} in {plural(len(groups), 'version')}: {statuses(nodes) or 'none'}")
    rows = []
    for (_, version), members in groups.items():
        share = bar(len(members) / len(nodes), 24)
        rows.append((safe(version) or "(no version)", f"{len(members):,}", share))
    for line in columns(rows, right=(1,), indent="    ", gap="  "):
        print(line)
    unpacked = f"{stats.decoded:,} of them unpacked: the others are plain, were seen before, or say nothing new"
    print(f"  {plural(stats.tags, 'tag')}, {unpacked}")
    if nodes:
        _one_node(next((node for node in nodes if node.endpoints), nodes[0]))
    if snapshot.warning_count:
        print_warnings(snapshot.warnings[:5], snapshot.warning_count)
    else:
        print("  0 warnings: every part of the body could be used")


def _one_node(node: Node) -> None:
    print("  one of them, as your program sees it:")
    said = [
        ("node.target", safe(node.target)),
        ("node.version", safe(node.version)),
        ("node.metadata", " ".join(f"{safe(key)}={safe(value)}" for key, value in sorted(node.metadata.items()))),
    ]
    for name, value in said:
        if value:
            print(cut(f"    {name:<14}  {value}", width()))
    if node.endpoints:
        print("\n".join(wrapped(endpoint_names(node), f"    {'node.endpoints':<14}  ")))


def _looked_at(nodes: Sequence[Any]) -> None:
    """Read what a caller needs of every node, so that nobody wins by being lazy."""
    for node in nodes:
        node.address, node.port, node.version  # noqa: B018


def _times(subject: _Subject, snapshot: Snapshot) -> None:
    body = subject.body

    def plainly(memo: bool) -> Callable[[], object]:
        def work() -> object:
            nodes = baseline.read(body, {} if memo else None)
            _looked_at(nodes)
            return nodes

        return work

    def with_regcache(previous: Optional[Snapshot]) -> Callable[[], object]:
        def work() -> object:
            made = subject.load(previous)
            _looked_at(made.nodes)
            return made

        return work

    try:
        naive = median_time(plainly(memo=False))
        careful = median_time(plainly(memo=True))
    except _PLAIN_FAILS:
        naive = careful = 0.0
    first = median_time(with_regcache(None))
    again = median_time(with_regcache(snapshot))

    _heading("How long it takes, from the bytes to every node's address, port and version")
    most = max(naive, careful, first, again)
    rows = [
        ("json + zlib", naive),
        ("json + zlib, with a memo of tags", careful),
        ("regcache, the first time", first),
        ("regcache, refreshed, nothing changed", again),
    ]
    for name, took in rows:
        if not took:
            print(f"  {name:<37} cannot read this body")
            continue
        print(f"  {name:<37} {pad(duration(took), 8, right=True)}  {bar(took / most, 24)}")
    if naive:
        for name, took in (("the first time", first), ("refreshed", again)):
            print(
                f"  {name:<14} {_compared(naive, took)} than json + zlib, {_compared(careful, took)} than with a memo"
            )
    refreshed = subject.load(snapshot)
    same = refreshed.stats.reused
    count = len(refreshed.nodes)
    are = "is the same object" if count == 1 else "are the same objects"
    print(f"  after the refresh {same:,} of {plural(count, 'node')} {are} as before")


def _compared(slow: float, fast: float) -> str:
    ratio, how = (slow / fast, "faster") if slow >= fast else (fast / slow, "slower")
    return f"{ratio:.0f} times {how}" if ratio >= 100 else f"{ratio:.1f} times {how}"


def _memory(subject: _Subject) -> None:
    held = 0

    def decoding() -> Snapshot:
        nonlocal held
        decoder = subject.decoder()
        with memoryview(subject.body) as view:
            for start in range(0, len(view), CHUNK):
                decoder.feed(view[start : start + CHUNK])
                held = max(held, decoder.held_bytes)
        return decoder.finish()

    rows = [("regcache", traced_peak(decoding))]
    try:
        rows = [
            ("json + zlib", traced_peak(lambda: baseline.read(subject.body))),
            ("json + zlib, with a memo of tags", traced_peak(lambda: baseline.read(subject.body, {}))),
            *rows,
        ]
    except _PLAIN_FAILS:
        pass
    _heading("What it held in memory at most, beside the body")
    most = max(peak for _, peak in rows) or 1
    for name, peak in rows:
        print(f"  {name:<37} {pad(size(peak), 8, right=True)}  {bar(peak / most, 24)}")
    records = subject.load().stats.record_bytes
    # tracemalloc, which the bars are from, sees nothing of what libzstd allocates for compact tags; held_bytes does.
    beyond = codec.BACKEND == "compiled" and COMPACT in subject.body
    buffers = f"{size(held)}, however long the body"
    if beyond:
        print(f"  the decoder's own buffers: {buffers}; what libzstd has of them for compact tags is not in the bar")
    else:
        print(f"  of that, the decoder's own buffers: {buffers}")
    print(f"  all records, which the snapshot keeps: {size(records)}")


def _picks(cache: Cache, service: str) -> None:
    _heading("Picking nodes: selector.select()")
    counts: Dict[str, Counter[str]] = {}
    for strategy in ("random", "round_robin"):
        selector = cache.selector(service, strategy=strategy)
        try:
            selector.select(timeout=10.0)
        except RegcacheError as error:
            print(f"  no node may be picked: {safe(str(error))}")
            return
        select = selector.select
        chosen: List[Node] = []
        # The loop and the list are in the time as well, as they would be in a program.
        begun = time.perf_counter()
        for _ in range(PICKS):
            chosen.append(select())
        each = (time.perf_counter() - begun) / PICKS
        print(f"  {strategy:<12} {pad(duration(each), 8, right=True)} a pick, {PICKS:,} picks in a loop")
        counts[strategy] = Counter(node.version for node in chosen)
        of_nodes = Counter(map(id, chosen))
        spread = sorted(of_nodes.values())
        times = f"{spread[0]:,}" if spread[0] == spread[-1] else f"{spread[0]:,} to {spread[-1]:,}"
        print(f"  {'':<12} {plural(len(of_nodes), 'node')}, each picked {times} times")
    print("  the versions that random picked:")
    rows = []
    for version, count in counts["random"].most_common(8):
        share = count / PICKS
        rows.append((safe(version) or "(no version)", f"{share:.1%}", bar(share, 24)))
    for line in columns(rows, right=(1,), indent="    "):
        print(line)
