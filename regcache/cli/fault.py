"""What a user of the command line did, or was given, that cannot work."""

from __future__ import annotations


class Fault(Exception):
    """Shown as one line, without a traceback; ``code`` is the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code
