"""The scoring port: one request in, one answer by one version out."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from console.serving import inference, schema
from console.serving.counters import NONE, Counted
from console.serving.http import (
    TEXT,
    Disconnected,
    Receive,
    Response,
    Scope,
    Send,
    json_response,
    read_body,
    refused,
    request_id,
    respond,
)
from console.serving.invocations import read_call
from console.serving.loaded import Answer, Loaded
from console.serving.prediction_log import PredictionLog
from console.serving.refusal import Refusal
from console.serving.release import release
from console.serving.rows import Rows
from console.serving.shadow import Shadows
from console.serving.spec import ServingSpec
from console.serving.split import Chosen, Picked, Split
from console.serving.tally import Tally

QUICK_S: Final = 0.005
"""An answer that takes no longer is given at once; longer ones in a thread, so that others are not held up."""
OPEN: Final = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})
"""What answers without a token: it says whether the server is well, and nothing else."""

Route = Callable[[dict[bytes, bytes], Receive, str], Awaitable[Response]]


class App:
    """The ASGI application of a worker. `split` is exchanged as a whole by whoever loads versions."""

    def __init__(
        self,
        spec: ServingSpec,
        token: str,
        log: PredictionLog,
        metrics: Callable[[], Awaitable[str]],
        tally: Tally | None = None,
    ) -> None:
        self.spec = spec
        self.split = Split(())
        self.counted: dict[str, Counted] = {}
        self.in_flight = 0
        self.draining = False
        self.log = log
        self.shadows = Shadows(spec, log, self._counted)
        self._token = token
        self._metrics = metrics
        self._tally = tally
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="answer")
        self._waiting = 0
        self._routes: dict[tuple[str, str], Route] = {
            ("POST", "/invocations"): self._invocations,
            ("GET", "/ping"): self._health,
            ("GET", "/health"): self._health,
            ("GET", "/version"): self._version,
            ("GET", "/metrics"): self._metrics_text,
            ("GET", "/schema"): self._schema,
            ("GET", "/openapi.json"): self._openapi,
            ("GET", "/v2"): self._v2_server,
            ("GET", "/v2/health/live"): self._v2_live,
            ("GET", "/v2/health/ready"): self._v2_ready,
        }
        self._paths = frozenset(path for _, path in self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        ident = request_id(headers)
        self.in_flight += 1
        try:
            try:
                response = await self._answered(scope["method"], scope["path"], headers, receive, ident)
            except Refusal as error:
                response = refused(error)
            except Disconnected:
                self._counted(NONE).add(499, time.perf_counter() - began, 0)
                return
            except Exception as error:  # nothing a caller sends may end the server
                response = self._failed(error, ident)
            await respond(send, response, ident, closing=self.draining)
            self._count(response, time.perf_counter() - began)
        finally:
            self.in_flight -= 1

    def _count(self, response: Response, seconds: float) -> None:
        self._counted(response.version).add(response.status, seconds, response.rows)
        picked = response.picked
        if self._tally is not None and picked is not None and picked.digest is not None:
            failed = response.status >= 400
            self._tally.keep(picked.digest, picked.place, failed=failed, seconds=seconds, score=response.score)

    def _counted(self, version: str) -> Counted:
        return self.counted.setdefault(version, Counted())

    async def _answered(
        self, method: str, path: str, headers: dict[bytes, bytes], receive: Receive, ident: str
    ) -> Response:
        if path not in OPEN:
            self._admit(headers)
        route = self._routes.get((method, path))
        if route is not None:
            return await route(headers, receive, ident)
        if path.startswith("/v2/models/"):
            return await self._v2_model(method, path, headers, receive, ident)
        if method == "HEAD" and path in self._paths:
            return json_response({})
        if path in self._paths:
            raise Refusal(405, f"{path} is asked with {'POST' if path == '/invocations' else 'GET'}, not {method[:20]}")
        raise Refusal(404, f"there is no {path[:100]}; there are /invocations, /schema, /v2, /metrics, /ping, /version")

    def _admit(self, headers: dict[bytes, bytes]) -> None:
        if not self._token:
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token.encode()):
            raise Refusal(401, "a token is wanted: Authorization: Bearer …", headers={"www-authenticate": "Bearer"})

    # ------------------------------------------------------------ scoring

    async def _invocations(self, headers: dict[bytes, bytes], receive: Receive, ident: str) -> Response:
        body = await read_body(headers, receive, self.spec.limits.body_bytes)
        call = read_call(body, headers.get(b"content-type", b"").decode("latin-1"))
        split = self.split
        picked = self._pick(split, headers, call.key(self.spec.sticky_field) if self.spec.sticky_field else None, ident)
        loaded: Loaded = picked.chosen.loaded
        try:
            rows = call.rows(loaded.shape)
            answer = await self._ask(loaded, rows, call.method)
        except Refusal as error:
            return _by(refused(error), picked)
        except Exception as error:  # the version's own fault: it is counted as its failure, and not as nobody's
            return _by(self._failed(error, ident), picked)
        self._told(split, picked.chosen, rows, answer, ident)
        response = json_response({"predictions": answer.values})
        if rows.ignored:
            response.headers = {"x-ignored-columns": ",".join(rows.ignored)[:500]}
        return _by(response, picked, rows.count, answer)

    async def _infer(self, picked: Picked, split: Split, body: bytes, ident: str) -> Response:
        loaded: Loaded = picked.chosen.loaded
        try:
            call = inference.read_inference(body)
            rows = inference.rows_of(call, loaded.shape)
            answer = await self._ask(loaded, rows, "predict")
            document = inference.answered(call, loaded, answer, ident)
        except Refusal as error:
            return _by(refused(error), picked)
        except Exception as error:
            return _by(self._failed(error, ident), picked)
        self._told(split, picked.chosen, rows, answer, ident)
        return _by(json_response(document), picked, rows.count, answer)

    def _failed(self, error: Exception, ident: str) -> Response:
        self.log.say(f"request {ident}: {type(error).__name__}: {error}")
        return refused(Refusal(500, f"the server failed ({type(error).__name__}); request {ident}"))

    def _pick(self, split: Split, headers: dict[bytes, bytes], field: str | None, ident: str) -> Picked:
        if not split.live:
            raise Refusal(503, "no version is loaded yet", headers={"retry-after": "1"})
        key = None
        if self.spec.sticky_header:
            given = headers.get(self.spec.sticky_header.lower().encode())
            key = None if given is None else given.decode("latin-1")
        return split.pick(self.spec.id, next((each for each in (key, field) if each), ident))

    async def _ask(self, loaded: Loaded, rows: Rows, method: str) -> Answer:
        if rows.count == 1 and loaded.inline and loaded.row_seconds < QUICK_S:
            return loaded.answer(rows, method)
        if self._waiting >= self.spec.limits.waiting:
            raise Refusal(503, "too many requests wait already", headers={"retry-after": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, loaded.answer, rows, method)
        finally:
            self._waiting -= 1

    def _told(self, split: Split, chosen: Chosen, rows: Rows, answer: Answer, ident: str) -> None:
        self.log.keep(chosen.loaded.file, rows, answer.predictions, answer.scores, ident)
        for shadow in split.shadows:
            self.shadows.ask(shadow, chosen.loaded, rows, ident)

    # ------------------------------------------------------------ what it says of itself

    async def _health(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        if not self.split.live:
            raise Refusal(503, "no version is loaded yet")
        if away := await self._away():
            raise Refusal(503, f"the process of v{away} does not answer", headers={"retry-after": "1"})
        return json_response({"status": "ok"})

    async def _away(self) -> str:
        """The version that cannot answer now, of those that answer callers; empty for none."""
        for each in self.split.live:
            loaded: Loaded = each.loaded
            if not loaded.inline and not await asyncio.to_thread(loaded.there):
                return loaded.file.version
        return ""

    async def _version(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        return json_response(
            {
                "server": f"mlops-console {release()}",
                "model": self.spec.model,
                "versions": [each.loaded.file.version for each in self.split.live],
            }
        )

    async def _metrics_text(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        return Response(200, (await self._metrics()).encode(), TEXT)

    def _main(self) -> Loaded:
        if not self.split.live:
            raise Refusal(503, "no version is loaded yet")
        loaded: Loaded = self.split.live[0].loaded
        return loaded

    async def _schema(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        loaded = self._main()
        return _of(json_response(schema.schema_of(loaded.file, loaded.shape)), loaded)

    async def _openapi(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        loaded = self._main()
        return _of(json_response(schema.openapi(loaded.file, loaded.shape, bool(self._token))), loaded)

    # ------------------------------------------------------------ Open Inference Protocol

    async def _v2_server(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        return json_response({"name": "mlops-console", "version": release(), "extensions": []})

    async def _v2_live(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        return json_response({"live": True})

    async def _v2_ready(self, _headers: dict[bytes, bytes], _receive: Receive, _ident: str) -> Response:
        ready = bool(self.split.live) and not self.draining and not await self._away()
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _v2_model(
        self, method: str, path: str, headers: dict[bytes, bytes], receive: Receive, ident: str
    ) -> Response:
        asked = inference.read_path(path)
        split = self.split
        if asked.model != self.spec.model:
            raise Refusal(
                404, f"there is no model {asked.model[:100]!r} here; this server has {self.spec.model!r}", "model"
            )
        chosen = None
        if asked.version:
            chosen = split.version(asked.version)
            if chosen is None:
                served = ", ".join(each.loaded.file.version for each in split.live)
                raise Refusal(404, f"version {asked.version[:40]!r} is not served here; there is {served}", "version")
        if (method == "POST") != (asked.verb == "infer"):
            raise Refusal(405, f"{path[:100]} is asked with {'POST' if asked.verb == 'infer' else 'GET'}")
        if asked.verb == "infer":
            body = await read_body(headers, receive, self.spec.limits.body_bytes)
            if chosen is not None:  # asked for by its number: no key decided, and it says nothing of the split
                return await self._infer(Picked(chosen), split, body, ident)
            key = inference.key_of(body, self.spec.sticky_field) if self.spec.sticky_field else None
            return await self._infer(self._pick(split, headers, key, ident), split, body, ident)
        loaded = chosen or (split.live[0] if split.live else None)
        if loaded is None:
            raise Refusal(503, "no version is loaded yet")
        if asked.verb == "ready":
            return json_response({"name": self.spec.model, "ready": not self.draining}, 503 if self.draining else 200)
        versions = [each.loaded.file.version for each in split.live]
        return json_response(inference.metadata(loaded.loaded, versions))


def _of(response: Response, loaded: Loaded) -> Response:
    response.version = loaded.file.version
    return response


def _by(response: Response, picked: Picked, rows: int = 0, answer: Answer | None = None) -> Response:
    response.picked = picked
    response.rows = rows
    if picked.digest is not None and rows and answer is not None and answer.scores is not None:
        response.score = float(answer.scores[0].max())  # of several classes the likeliest one's
    return _of(response, picked.chosen.loaded)
