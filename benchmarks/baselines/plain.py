"""What every way has to give, so that they can be compared and nobody wins by leaving something out."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

__all__ = ["Everything", "Short", "names_of"]

#: What is needed to call a node: its address, port and version.
Short = Tuple[str, int, str]
#: The same with its metadata and endpoints, in whatever form a way has for an endpoint.
Everything = Tuple[str, int, str, Dict[str, str], List[Any]]


def names_of(nodes: Sequence[Everything]) -> List[Tuple[str, int, str, Dict[str, str], List[str]]]:
    """Endpoints by their names alone: that much is the same in every form."""
    return [
        (address, port, version, dict(metadata), [e["name"] if isinstance(e, dict) else e.name for e in endpoints])
        for address, port, version, metadata, endpoints in nodes
    ]
