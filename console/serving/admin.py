"""Commands to a server, on a unix socket that only its owner may open; never on the scoring port.

`GET /state`: what is served, by which version, and how it does. `POST /targets` with a list such as
`[{"alias": "champion", "share": 0.9}, {"version": "8", "share": 0.1}]`: serve these from here on. `POST /workers` with
a number: so many processes. `POST /warm` with a version: load it beside what is served, and keep it for a while.
`POST /look`: look at the aliases now. `POST /drain`: finish what is being answered, then end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import TypeVar

import msgspec

from backends.contract import BackendError, Invalid
from console.serving.channel import Failed
from console.serving.counters import NONE, Counted, WorkerStats, quantile, summed
from console.serving.http import Request, Response, body_of, json_response, refused
from console.serving.protocol import HttpServer
from console.serving.refusal import Refusal
from console.serving.server import Server
from console.serving.spec import Limits, Target
from console.serving.state import State, TargetState, VersionState, WorkerState

T = TypeVar("T")

_MOST = 1 << 20


async def state_of(server: Server) -> State:
    """What the server says of itself, now."""
    import time

    workers = await server.stats()
    counted = summed(workers)
    return State(
        deployment=server.spec.id,
        model=server.spec.model,
        url=server.url,
        pid=os.getpid(),
        started_at=server.started_at,
        at=int(time.time() * 1000),
        draining=server.stopping.is_set(),
        targets=tuple(
            TargetState(
                target=each.target.name, alias=each.target.alias, share=each.target.share, shadow=each.target.shadow,
                version=each.version, sha256=each.sha256, loaded_at=each.loaded_at, engine=each.engine,
                state="loading" if server.process_trouble(each.version) else each.state,
                why=server.process_trouble(each.version) or each.why,
                wanted=each.wanted, row_ms=_row_ms(workers, each.version),
                quick=all(each.version in worker.quick for worker in workers),
            )
            for each in server.standings
        ),
        versions=tuple(_version(version, counted[version]) for version in sorted(counted, key=_order)),
        workers=tuple(_worker(each) for each in workers),
        swaps=server.swaps,
        away=server.away,
        logged=sum(each.logged for each in workers),
        log_dropped=sum(each.log_dropped for each in workers),
        log_trouble=next((each.log_trouble for each in workers if each.log_trouble), ""),
        shadow_dropped=sum(each.shadow_dropped for each in workers),
        tallies=server.tallies(),
    )  # fmt: skip


def _row_ms(workers: list[WorkerStats], version: str) -> float:
    return round(max((worker.row_ms.get(version, 0.0) for worker in workers), default=0.0), 3)


def _order(version: str) -> tuple[bool, int, str]:
    return version == NONE, int(version) if version.isdecimal() else 0, version


def _version(version: str, counted: Counted) -> VersionState:
    def milliseconds(share: float) -> float | None:
        found = quantile(counted.buckets, share)
        return None if found is None else round(found * 1000, 3)

    return VersionState(
        version=version, requests=counted.requests, rows=counted.rows, statuses=counted.statuses,
        errors=counted.errors, p50_ms=milliseconds(0.5), p95_ms=milliseconds(0.95), p99_ms=milliseconds(0.99),
        mean_ms=round(counted.seconds / counted.requests * 1000, 3) if counted.requests else None,
        times=tuple(counted.buckets),
        shadow_requests=counted.shadow_requests, shadow_errors=counted.shadow_errors,
    )  # fmt: skip


def _worker(stats: WorkerStats) -> WorkerState:
    return WorkerState(
        pid=stats.pid, cpu_seconds=round(stats.cpu_seconds, 2), rss=stats.rss, in_flight=stats.in_flight,
        connections=stats.connections, loaded=tuple(stats.loaded),
    )  # fmt: skip


class Admin:
    """What answers on the unix socket."""

    def __init__(self, server: Server) -> None:
        self.draining = False
        self._server = server

    def admits(self, path: str, headers: dict[bytes, bytes]) -> bool:  # noqa: ARG002
        return True

    def lost(self) -> None:
        """Nobody counts that here."""

    async def handle(self, request: Request) -> Response:
        try:
            return await self._answered(request.method, request.path, request)
        except Refusal as error:
            return refused(error)
        except Invalid as error:
            return refused(Refusal(400, str(error), error.field))
        except (BackendError, Failed, TimeoutError) as error:
            kept = ", ".join(f"{each.target.name} v{each.version}" for each in self._server.standings)
            return refused(Refusal(409, f"{str(error) or 'it took too long'}; nothing was changed: {kept} go on"))
        except Exception as error:
            return refused(Refusal(500, f"{type(error).__name__}: {error}"))

    async def _answered(self, method: str, path: str, request: Request) -> Response:
        match method, path:
            case "GET", "/state":
                return json_response(await state_of(self._server))
            case "POST", "/targets":
                targets = _told(request, tuple[Target, ...], "a list of targets", "targets")
                await self._server.set_targets(targets)
                return json_response(await state_of(self._server))
            case "POST", "/workers":
                workers = _told(request, int, "a number of workers", "workers")
                await self._server.set_workers(workers)
                return json_response(await state_of(self._server))
            case "POST", "/warm":
                version = _told(request, str, "a version", "version")
                await self._server.warm(version)
                return json_response(await state_of(self._server))
            case "POST", "/look":
                await self._server.look()
                return json_response(await state_of(self._server))
            case "POST", "/drain":
                self._server.stopping.set()
                return json_response({"draining": True})
        raise Refusal(404, "there are GET /state, POST /targets, /workers, /warm, /look, /drain")


async def serve_admin(server: Server, path: str) -> None:
    """Until cancelled. Invalid where the socket cannot be made."""
    place = Path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            if place.is_socket():
                place.unlink()  # of a server that was killed; a living one has its workspace's lock
        listener.bind(path)
    except OSError as error:
        raise Invalid(f"admin socket {path} cannot be made: {error.strerror or error}", "admin_socket") from error
    finally:
        os.umask(before)
    listener.listen(16)
    listener.setblocking(False)
    running = HttpServer(Admin(server), Limits(drain_seconds=1))
    task = asyncio.create_task(running.serve([listener]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        running.stop()
        await task
    finally:
        with contextlib.suppress(FileNotFoundError):
            place.unlink()


def socket_path(text: str) -> str:
    """The path, if a unix socket can have it."""
    if len(os.fsencode(text)) > 100:
        raise Invalid(f"admin socket {text}: the path is longer than 100 bytes; name a shorter one", "admin_socket")
    return text


def _told(request: Request, kind: type[T], wanted: str, field: str) -> T:
    """What the body says. Refusal 400 where it is nothing of this kind."""
    try:
        return msgspec.json.decode(body_of(request, _MOST), type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"{wanted} is wanted: {error}", field) from None
