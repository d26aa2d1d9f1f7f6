"""`python -m console.serving SPEC.json`: serve a deployment until SIGTERM.

Prints one line of JSON on stdout. When it answers: `{"ready": true, "url": …, "pid": …}`. When it cannot:
`{"ready": false, "error": …}`, and exits 1. SIGTERM and SIGINT finish what is being answered, then end; SIGHUP changes
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import BackendError
from console.serving.channel import Failed
from console.serving.spec import ServingSpec, read_spec, read_token


def _print(document: dict[str, Any]) -> None:
    print(msgspec.json.encode(document).decode(), flush=True)


async def serve(spec: ServingSpec, path: Path, ready: Callable[[str], None]) -> None:
    """Serve until told to end; `ready` is given the url. Raises where the start fails."""
    from backends.connect import connect
    from console.serving.admin import serve_admin, socket_path
    from console.serving.server import Server

    read_token(spec.token_file)  # a wrong one is told before anything starts
    backend = connect(spec.context, spec.place)
    try:
        server = Server(spec, backend, path)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        admin = None
        if spec.admin_socket:
            admin = asyncio.create_task(serve_admin(server, socket_path(spec.admin_socket)))
        try:
            starting = asyncio.create_task(server.start())
            stopped = asyncio.create_task(server.stopping.wait())
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
                return
            await starting
            ready(server.url)
            await server.run()
        finally:
            if admin is not None:
                admin.cancel()
                await asyncio.wait({admin})
    finally:
        backend.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.serving", description=__doc__)
    parser.add_argument("spec", type=Path, metavar="SPEC.json")
    asked = parser.parse_args(argv)
    import os

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
