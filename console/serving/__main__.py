"""`python -m console.serving SPEC.json`: serve a deployment until SIGTERM.

Prints one line of JSON on stdout. When it answers: `{"ready": true, "url": …, "pid": …}`. When it cannot:
`{"ready": false, "error": …}`, and exits 1. SIGTERM and SIGINT finish what is being answered, then end; SIGHUP changes
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import BackendError
from console.serving.channel import Failed
from console.serving.run import serve
from console.serving.spec import read_spec


def _print(document: dict[str, Any]) -> None:
    print(msgspec.json.encode(document).decode(), flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.serving", description=__doc__)
    parser.add_argument("spec", type=Path, metavar="SPEC.json")
    asked = parser.parse_args(argv)
    try:
        spec = read_spec(asked.spec)
        asyncio.run(
            serve(spec, asked.spec.absolute(), lambda url: _print({"ready": True, "url": url, "pid": os.getpid()}))
        )
    except (BackendError, Failed, TimeoutError) as error:
        _print({"ready": False, "error": str(error) or "it took too long"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
