"""Reasons and slices looked for apart: `python -m console.monitoring.reasons.why_worker URL MONITOR why|slices …`.

Speaks the JSON lines of `console.speaker` on stdout.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from console.speaker import Speaker, speak_of

if TYPE_CHECKING:
    from backends.contract import Backend


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="console.monitoring.reasons.why_worker")
    parser.add_argument("url")
    parser.add_argument("monitor")
    parser.add_argument("deed", choices=["why", "slices"])
    parser.add_argument("--alert", default="")
    parser.add_argument("--since", type=int)
    parser.add_argument("--until", type=int)
    asked = parser.parse_args(argv)

    def work(backend: Backend, speaker: Speaker) -> Any:
        from console.monitoring.reasons.why_rows import explain, find_slices

        if asked.deed == "why":
            return explain(backend, asked.monitor, alert=asked.alert, told=speaker.progress)
        return find_slices(backend, asked.monitor, since=asked.since, until=asked.until, told=speaker.progress)

    return speak_of(asked.url, work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
