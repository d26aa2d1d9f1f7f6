"""What a server says of its doings: lines on stderr, which is its log."""

from __future__ import annotations

import sys
import time

from console.safe import safe_text


def say(text: str) -> None:
    """To the server's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} {safe_text(text)}", file=sys.stderr, flush=True)
