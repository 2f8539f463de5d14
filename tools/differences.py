"""``python -m tools.differences``: writes docs/differences.md, every difference from go-micro that the tests know of.

They are in tests/data/differences.json; the tests of the codec fail for a difference without a line there, and for a
line without a difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "differences.md"
#: The files of tests/data/gomicro that an entry's ID is in.
SOURCES = {
    "vectors": "gomicro_vectors.jsonl.zst",
    "edge": "getservice_edge.jsonl",
    "edge-joined": "getservice_edge.jsonl",
    "recorded": "consul_responses.jsonl",
    "recorded-joined": "consul_responses.jsonl",
}
HEAD = """\
# Every difference from go-micro

Made by `python -m tools.differences` from `tests/data/differences.json`; a test fails when this page is older than
that. The kinds are explained in [go-micro's tags](go-micro.md#where-regcache-decides-otherwise). An ID is that of a
recorded case in `tests/data/gomicro`, where go-micro's own result stands.
"""


def page() -> str:
    cases: Dict[str, Dict[Tuple[str, str], List[str]]] = {}
    for entry in json.loads((ROOT / "tests/data/differences.json").read_text()):
        reasons = cases.setdefault(entry["kind"], {})
        reasons.setdefault((entry["reason"], SOURCES[entry["source"]]), []).append(entry["id"])
    parts = [HEAD]
    for kind, reasons in cases.items():
        parts.append(f"\n## `{kind}`\n\n| what | cases |\n|---|---|\n")
        for (reason, source), ids in reasons.items():
            said = reason[0].upper() + reason[1:].replace("|", "\\|")
            parts.append(f"| {said} | {', '.join(dict.fromkeys(ids))} of `{source}` |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(ROOT)}: {PAGE.stat().st_size:,} bytes")
