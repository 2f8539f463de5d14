"""As much of curl as the pages use: URLs, and -s; where there is none."""

from __future__ import annotations

import sys
from urllib.request import urlopen

for argument in sys.argv[1:]:
    if not argument.startswith("-"):
        url = argument if "//" in argument else f"http://{argument}"
        sys.stdout.buffer.write(urlopen(url, timeout=30).read())
