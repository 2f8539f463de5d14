"""Where regcache loses: found in the numbers of a run, in every group that has another way."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional

from .run import Member, Run, data_size, groups, ratio, seconds, way_of

__all__ = ["FLOORS", "Loss", "OTHERS", "behind", "losses"]

#: How the ways of others begin.
OTHERS = (
    "naive", "msgspec", "simdjson", "cachetools", "dogpile", "cashews", "dict", "lock", "cycle", "random.choice",
    "plain", "go-micro v", "go-rcache", "json and zlib", "urllib3", "requests", "a list", "bare thread",
)  # fmt: skip
#: What no way can be better than, so that it is no loss.
FLOORS = ("nothing", "empty")
#: How the ways begin in which a cache reads: in pieces, as they come. Looked at by themselves too: where they lose, a
#: quicker way of ours that nobody meets there is no comfort.
AS_A_CACHE = ("cache", "compiled-chunks", "pure-chunks")
#: So many times is not told from as quick, or from as slow.
NOTHING = 1.005


class Loss(NamedTuple):
    """A group in which the best of ours, or the best of those in which a cache reads, is worse than the best of the
    others, both with or both without a memory of the body before."""

    group: str
    #: Which of our two codecs, where the group has both.
    backend: str
    ours: str
    other: str
    #: What is compared, as text.
    ours_takes: str
    other_takes: str
    times: float
    #: The quartiles of the ratio, where there were rounds.
    spread: str = ""


def losses(run: Run) -> List[Loss]:
    """The worst first."""
    found: List[Loss] = []
    for group, members in groups(run).items():
        others = [member for member in members if way_of(member).startswith(OTHERS)]
        ours = [m for m in members if m not in others and way_of(m) not in FLOORS]
        pure = [member for member in ours if way_of(member).startswith("pure") or group.endswith(", pure")]
        for backend, some in (("pure", pure), ("compiled", [member for member in ours if member not in pure])):
            for again in (False, True):
                mine, theirs = _of_kind(some, again), _of_kind(others, again)
                if mine and theirs and "incident" not in mine[0]["extra_info"]:
                    kept = [name for name in _KEPT if name in mine[0]["extra_info"]] or [""]
                    as_a_cache = [member for member in mine if way_of(member).startswith(AS_A_CACHE)]
                    for name in kept:
                        loss = _loss(group, backend, mine, theirs, name)
                        worse = _loss(group, backend, as_a_cache, theirs, name) if as_a_cache else None
                        found += [loss] if loss else []
                        found += [worse] if worse and worse.times > (loss.times if loss else 1.0) * NOTHING else []
    return sorted(found, key=lambda loss: -loss.times)


def behind(run: Run) -> List[Loss]:
    """The groups in which our compact form takes longer than go-micro's form of the same records, the worst first."""
    found = []
    for group, members in groups(run).items():
        compact = [member for member in members if way_of(member).startswith("compact")]
        go_micro = [member for member in members if way_of(member) == "go-micro"]
        loss = _loss(group, "", compact, go_micro, "") if compact and go_micro else None
        found += [loss] if loss is not None else []
    return sorted(found, key=lambda loss: -loss.times)


def _of_kind(members: List[Member], again: bool) -> List[Member]:
    """Those that know a body from before, or those that do not: like is compared with like."""
    return [member for member in members if way_of(member).endswith(("-warm", "-refresh")) == again]


def _loss(group: str, backend: str, ours: List[Member], others: List[Member], kept: str) -> Optional[Loss]:
    """``kept``: what is compared, of _KEPT; "": the time."""
    measured: Callable[[Member], float] = lambda member: float(member["stats"]["median"])  # noqa: E731
    shown: Callable[[float], str] = seconds
    if kept:
        measured, shown = _KEPT[kept]
    best, other = min(ours, key=measured), min(others, key=measured)
    times = measured(best) / measured(other) if measured(other) else 1.0
    spread = ""
    if not kept:
        first, times, last = ratio(best, other)
        spread = f"{first:.2f} - {last:.2f}" if first < last else ""
    if times < NOTHING:
        return None
    group += ", held afterwards" if kept == "held_bytes" else ""
    return Loss(
        group, backend, way_of(best), way_of(other), shown(measured(best)), shown(measured(other)), times, spread
    )


#: What is compared where it is not the time: the peak of memory, and what is held afterwards; p99 of what was counted
#: call by call.
_KEPT: Dict[str, "tuple[Callable[[Member], float], Callable[[float], str]]"] = {
    "peak_bytes": (lambda member: float(member["extra_info"]["peak_bytes"]), data_size),
    "held_bytes": (lambda member: float(member["extra_info"]["held_bytes"]), data_size),
    "herd": (lambda member: float(member["extra_info"]["herd"]["p99"]), seconds),
    "calls": (lambda member: float(member["extra_info"]["calls"]["middle"][2]), seconds),
}
