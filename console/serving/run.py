"""Serve until told to end: the backend opened, the server started, commands taken, signals heard."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from console.serving.spec import ServingSpec, read_token


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
