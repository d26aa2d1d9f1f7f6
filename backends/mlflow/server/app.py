"""The ASGI application: from a request to a handler, and from what it says to an answer.

Handlers are plain functions `(room, asked) -> dict` in a table of routes. They block, so they run in a few threads;
those that change something take turns.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from backends.contract import Backend
from backends.mlflow.names import AJAX, API, ARTIFACTS
from backends.mlflow.server import (
    answers,
    artifacts,
    experiments,
    guard,
    logged_models,
    metrics,
    registry,
    runs,
)
from backends.mlflow.server.answers import Failure
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.room import Caller, Limits, Room

VERSION: Final = "3.17.2"
"""The version of MLflow whose protocol this speaks; clients decide by it what they may ask."""
THREADS: Final = 6
LOG: Final = logging.getLogger("mlops_console.protocol")

Handler = Callable[[Room, Asked], dict[str, Any]]

ROUTES: Final[dict[tuple[str, str], Handler]] = {
    **experiments.ROUTES,
    **runs.ROUTES,
    **metrics.ROUTES,
    **artifacts.ROUTES,
    **registry.ROUTES,
    **logged_models.ROUTES,
}
_READING_POSTS: Final = frozenset({"runs/search", "experiments/search", "logged-models/search"})
_ARTIFACTS_AJAX: Final = ARTIFACTS.replace("/api/", "/ajax-api/")


def make_app(
    backend: Backend,
    *,
    who: Callable[[str], Caller | None],
    supervised: Callable[[str], bool] = lambda _: False,
    limits: Limits | None = None,
) -> Starlette:
    """The protocol over a backend.

    `who` gives the caller that a token stands for, or None. `supervised` says whether a supervisor decides the end of
    a run by its exit code; what a client says of that end is passed over then.
    """
    desk = _Desk(Room(backend, supervised, limits or Limits()), who)
    routes = [Route("/health", desk.health), Route("/version", desk.version)]
    for prefix in ("/api/3.0/mlflow", "/ajax-api/3.0/mlflow"):
        routes.append(Route(f"{prefix}/server-info", desk.info))
    for prefix in (API, AJAX):
        by_path: dict[str, dict[str, Handler]] = {}
        for (method, path), handler in ROUTES.items():
            by_path.setdefault(path, {})[method] = handler
        # Fixed addresses before patterns: logged-models/search is no model.
        for path in sorted(by_path, key=lambda each: "{" in each):
            routes.append(Route(f"{prefix}/{path}", desk.handle(path, by_path[path]), methods=list(by_path[path])))
    for prefix in (ARTIFACTS, _ARTIFACTS_AJAX):
        routes.append(Route(prefix, desk.list_artifacts, methods=["GET"]))
        routes.append(Route(f"{prefix}/{{path:path}}", desk.artifact, methods=["GET", "PUT", "DELETE"]))
    routes += [Route("/get-artifact", desk.artifact_of_run), Route("/{path:path}", desk.unknown, methods=_EVERY)]
    return Starlette(routes=routes)


_EVERY: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class _Desk:
    """Takes requests, hands them to threads, words the answers."""

    def __init__(self, room: Room, who: Callable[[str], Caller | None]) -> None:
        self._room = room
        self._who = who
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="protocol")

    # ------------------------------------------------------------ the way in and out

    async def _work(self, request: Request, work: Callable[[], Any], *, changes: bool) -> Any:
        caller = self._admit(request)

        def run() -> Any:
            self._room.caller = caller
            if not changes:
                return work()
            with self._room.writing:
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def _admit(self, request: Request) -> Caller:
        guard.check_host(request.headers)
        guard.check_origin(request.method, request.headers)
        return guard.caller_of(request.headers, self._who)

    def _failed(self, error: Exception) -> Response:
        failure = answers.failure_of(error)
        if failure.code == "INTERNAL_ERROR":
            LOG.error("a request failed", exc_info=error)
        status, body = answers.failure_body(failure)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return Response(body, status, headers, "application/json")

    async def _body(self, request: Request) -> bytes:
        most = self._room.limits.body
        gathered = bytearray()
        async for part in request.stream():
            gathered += part
            if len(gathered) > most:
                raise answers.invalid(
                    f"a request body may have {most:,} bytes, and this one has more; nothing was done"
                )
        return bytes(gathered)

    # ------------------------------------------------------------ JSON

    def handle(self, path: str, handlers: dict[str, Handler]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                self._admit(request)  # before a byte of the body is read
                handler = handlers.get("GET" if request.method == "HEAD" else request.method)
                if handler is None:
                    raise Failure("ENDPOINT_NOT_FOUND", f"{request.method} {path} is not known here")
                asked = await self._asked(request)
                changes = request.method != "GET" and path not in _READING_POSTS
                told = await self._work(request, lambda: handler(self._room, asked), changes=changes)
                return Response(answers.body(told), media_type="application/json")
            except ClientDisconnect:
                raise
            except Exception as error:
                return self._failed(error)

        return answer

    async def _asked(self, request: Request) -> Asked:
        if request.method in ("GET", "HEAD"):
            fields: dict[str, Any] = {}
            for name in request.query_params:
                values = request.query_params.getlist(name)
                fields[name] = values[0] if len(values) == 1 else values
            return Asked({**fields, **request.path_params})
        raw = await self._body(request)
        try:
            fields = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, RecursionError) as error:
            raise Failure("BAD_REQUEST", f"the body is not valid JSON: {error}; nothing was done") from error
        if not isinstance(fields, dict):
            raise Failure("BAD_REQUEST", "the body must be a JSON object; nothing was done")
        return Asked({**fields, **request.path_params}, raw)

    # ------------------------------------------------------------ files

    async def list_artifacts(self, request: Request) -> Response:
        try:
            path = request.query_params.get("path", "")
            told = await self._work(request, lambda: artifacts.list_below(self._room, path), changes=False)
            return Response(answers.body(told), media_type="application/json")
        except Exception as error:
            return self._failed(error)

    async def artifact(self, request: Request) -> Response:
        path = request.path_params["path"]
        try:
            if request.method == "PUT":
                return await self._upload(request, path)
            if request.method == "DELETE":
                await self._work(request, lambda: artifacts.remove(self._room, path), changes=True)
                return Response(b"{}", media_type="application/json")
            found = await self._work(request, lambda: artifacts.open_(self._room, path), changes=False)
            return _sent(found, path)
        except ClientDisconnect:
            raise
        except Exception as error:
            return self._failed(error)

    async def artifact_of_run(self, request: Request) -> Response:
        try:
            asked = await self._asked(request)
            found = await self._work(request, lambda: artifacts.open_of_run(self._room, asked), changes=False)
            return _sent(found, asked.text("path"))
        except Exception as error:
            return self._failed(error)

    async def _upload(self, request: Request, path: str) -> Response:
        """To a temporary file first: a client that goes away in the middle leaves nothing."""
        self._admit(request)
        await self._work(request, lambda: artifacts.place_of(self._room, path), changes=False)
        home = self._room.backend.home
        folder = None if home is None else home / "tmp"
        if folder is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="upload-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                await self._receive(request, file)
            await self._work(request, lambda: artifacts.put(self._room, path, Path(name)), changes=False)
        except OSError as error:
            raise Failure("INSUFFICIENT_STORAGE", f"the file could not be kept: {error.strerror}") from error
        finally:
            Path(name).unlink(missing_ok=True)
        return Response(b"{}", media_type="application/json")

    async def _receive(self, request: Request, file: Any) -> None:
        size, most = 0, self._room.limits.artifact
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise answers.invalid(f"an artifact may have {most:,} bytes, and this one has more; it was not kept")
            file.write(part)

    # ------------------------------------------------------------ the rest

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        return Response("OK", media_type="text/plain")

    async def version(self, request: Request) -> Response:  # noqa: ARG002
        return Response(VERSION, media_type="text/plain")

    async def info(self, request: Request) -> Response:
        try:
            guard.check_host(request.headers)
        except Failure as failure:
            return self._failed(failure)
        said = {
            "store_type": "SqlStore",
            "workspaces_enabled": False,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
            "presigned_upload_run_id_supported": False,
            "presigned_upload_model_id_supported": False,
            "features_enabled": {"gateway": False},
            "server": "mlops-console",
        }
        return Response(msgspec.json.encode(said), media_type="application/json")

    async def unknown(self, request: Request) -> Response:
        try:
            self._admit(request)
        except Failure as failure:
            return self._failed(failure)
        path = request.url.path[:200]
        return self._failed(Failure("ENDPOINT_NOT_FOUND", f"{request.method} {path} is not offered by this server"))


def _sent(found: Path, path: str) -> Response:
    """A download, never a page that a browser would run."""
    name = path.rpartition("/")[2]
    return FileResponse(
        found,
        media_type="application/octet-stream",
        filename=name,
        headers={"X-Content-Type-Options": "nosniff"},
    )
