"""No kernel takes more instructions than when they were last stored. That does not depend on what else a machine does.

Where a kernel takes more for a good reason: ``python -m benchmarks.instructions --update``.
"""

from __future__ import annotations

import os
import sys
import warnings

import pytest

from regcache.codec import BACKEND

instructions = pytest.importorskip("benchmarks.instructions", reason="the benchmarks are not here")
MARGIN = instructions.MARGIN

#: Builds that do more than the compiler makes of the sources.
WATCHED = ("REGCACHE_SANITIZE", "REGCACHE_COVERAGE", "LD_PRELOAD")


@pytest.mark.skipif(BACKEND != "compiled", reason="the compiled codec is what is counted")
@pytest.mark.skipif(
    "coverage" in sys.modules or any(os.environ.get(name) for name in WATCHED),
    reason="what watches the code would be counted with it",
)
def test_kernels_take_no_more_instructions() -> None:
    key = instructions.key()
    stored = instructions.load(key)
    if stored is None:
        pytest.skip(f"no counts are stored for: {key}")
    try:
        found = instructions.compared(instructions.count(), stored)
    except instructions.CannotCount as error:
        pytest.skip(str(error))
    assert {one.kernel for one in found} == set(stored)
    more = [str(one) for one in found if one.change > MARGIN]
    assert not more, "\n".join(more)
    less = [str(one) for one in found if one.change < -MARGIN]
    if less:
        warnings.warn("better than stored, and unguarded until they are stored: " + "; ".join(less), stacklevel=1)
