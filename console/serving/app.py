"""The scoring port: one request in, one answer by one version out."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from console.serving import inference, schema
from console.serving.answering import Answer, Loaded
from console.serving.counters import NONE, Counted
from console.serving.http import (
    TEXT,
    Answered,
    Request,
    Response,
    body_of,
    json_response,
    refused,
)
from console.serving.invocations import read_call
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

Route = Callable[[Request], Answered]


class App:
    """What a worker answers. `split` is exchanged as a whole by whoever loads versions."""

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

    def admits(self, path: str, headers: dict[bytes, bytes]) -> bool:
        return path in OPEN or not self._token or self._knows(headers)

    def lost(self) -> None:
        self._counted(NONE).add(499, 0.0, 0)

    def handle(self, request: Request) -> Answered:
        began = time.perf_counter()
        self.in_flight += 1
        try:
            found = self._answered(request)
        except Refusal as error:
            found = refused(error)
        except Exception as error:  # nothing a caller sends may end the server
            found = self._failed(error, request.ident)
        if not isinstance(found, Response):
            return self._later(found, request, began)
        self.in_flight -= 1
        self._count(found, time.perf_counter() - began)
        return found

    async def _later(self, found: Awaitable[Response], request: Request, began: float) -> Response:
        try:
            try:
                response = await found
            except Refusal as error:
                response = refused(error)
            except Exception as error:
                response = self._failed(error, request.ident)
            self._count(response, time.perf_counter() - began)
            return response
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

    def _answered(self, request: Request) -> Answered:
        method, path = request.method, request.path
        if self._token and path not in OPEN:
            self._admit(request.headers)
        route = self._routes.get((method, path))
        if route is not None:
            return route(request)
        if path.startswith("/v2/models/"):
            return self._v2_model(request)
        if method == "HEAD" and path in self._paths:
            return json_response({})
        if path in self._paths:
            raise Refusal(405, f"{path} is asked with {'POST' if path == '/invocations' else 'GET'}, not {method[:20]}")
        raise Refusal(404, f"there is no {path[:100]}; there are /invocations, /schema, /v2, /metrics, /ping, /version")

    def _admit(self, headers: dict[bytes, bytes]) -> None:
        if not self._knows(headers):
            raise Refusal(401, "a token is wanted: Authorization: Bearer …", headers={"www-authenticate": "Bearer"})

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token.encode())

    # ------------------------------------------------------------ scoring

    def _invocations(self, request: Request) -> Answered:
        body = body_of(request, self.spec.limits.body_bytes)
        call = read_call(body, request.headers.get(b"content-type", b"").decode("latin-1"))
        split = self.split
        key = call.key(self.spec.sticky_field) if self.spec.sticky_field else None
        picked = self._pick(split, request, key)

        def predicted(rows: Rows, answer: Answer) -> Response:
            self._told(split, picked.chosen, rows, answer, request.ident)
            response = json_response({"predictions": answer.values})
            if rows.ignored:
                response.headers = {"x-ignored-columns": ",".join(rows.ignored)[:500]}
            return _by(response, picked, rows.count, answer)

        return self._scored(picked, request, lambda: call.rows(picked.chosen.loaded.shape), call.method, predicted)

    def _infer(self, picked: Picked, split: Split, body: bytes, request: Request) -> Answered:
        loaded: Loaded = picked.chosen.loaded
        calls: list[inference.Inference] = []

        def read() -> Rows:
            calls.append(inference.read_inference(body))
            return inference.rows_of(calls[0], loaded.shape)

        def predicted(rows: Rows, answer: Answer) -> Response:
            document = inference.answered(calls[0], loaded, answer, request.ident)
            self._told(split, picked.chosen, rows, answer, request.ident)
            return _by(json_response(document), picked, rows.count, answer)

        return self._scored(picked, request, read, "predict", predicted)

    def _scored(
        self,
        picked: Picked,
        request: Request,
        read: Callable[[], Rows],
        method: str,
        said: Callable[[Rows, Answer], Response],
    ) -> Answered:
        """What the picked version says of the rows: at once where that takes no time, else from a thread."""
        loaded: Loaded = picked.chosen.loaded
        try:
            rows = read()
            if rows.count == 1 and loaded.inline and loaded.row_seconds < QUICK_S:
                return said(rows, loaded.answer(rows, method))
            if self._waiting >= self.spec.limits.waiting:
                raise Refusal(503, "too many requests wait already", headers={"retry-after": "1"})
        except Refusal as error:
            return _by(refused(error), picked)
        except Exception as error:  # the version's own fault: it is counted as its failure, and not as nobody's
            return _by(self._failed(error, request.ident), picked)
        self._waiting += 1
        return self._threaded(picked, request, rows, method, said)

    async def _threaded(
        self, picked: Picked, request: Request, rows: Rows, method: str, said: Callable[[Rows, Answer], Response]
    ) -> Response:
        answer = picked.chosen.loaded.answer
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, answer, rows, method)
            return said(rows, found)
        except Refusal as error:
            return _by(refused(error), picked)
        except Exception as error:
            return _by(self._failed(error, request.ident), picked)
        finally:
            self._waiting -= 1

    def _failed(self, error: Exception, ident: str) -> Response:
        self.log.say(f"request {ident}: {type(error).__name__}: {error}")
        return refused(Refusal(500, f"the server failed ({type(error).__name__}); request {ident}"))

    def _pick(self, split: Split, request: Request, field: str | None) -> Picked:
        if not split.live:
            raise Refusal(503, "no version is loaded yet", headers={"retry-after": "1"})
        key = None
        if self.spec.sticky_header:
            given = request.headers.get(self.spec.sticky_header.lower().encode())
            key = None if given is None else given.decode("latin-1")
        return split.pick(self.spec.id, next((each for each in (key, field) if each), request.ident))

    def _told(self, split: Split, chosen: Chosen, rows: Rows, answer: Answer, ident: str) -> None:
        self.log.keep(chosen.loaded.file, rows, answer.predictions, answer.scores, ident)
        for shadow in split.shadows:
            self.shadows.ask(shadow, chosen.loaded, rows, ident)

    # ------------------------------------------------------------ what it says of itself

    async def _health(self, _request: Request) -> Response:
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

    def _version(self, _request: Request) -> Response:
        return json_response(
            {
                "server": f"mlops-console {release()}",
                "model": self.spec.model,
                "versions": [each.loaded.file.version for each in self.split.live],
            }
        )

    async def _metrics_text(self, _request: Request) -> Response:
        return Response(200, (await self._metrics()).encode(), TEXT)

    def _main(self) -> Loaded:
        if not self.split.live:
            raise Refusal(503, "no version is loaded yet")
        loaded: Loaded = self.split.live[0].loaded
        return loaded

    def _schema(self, _request: Request) -> Response:
        loaded = self._main()
        return _of(json_response(schema.schema_of(loaded.file, loaded.shape)), loaded)

    def _openapi(self, _request: Request) -> Response:
        loaded = self._main()
        return _of(json_response(schema.openapi(loaded.file, loaded.shape, bool(self._token))), loaded)

    # ------------------------------------------------------------ Open Inference Protocol

    def _v2_server(self, _request: Request) -> Response:
        return json_response({"name": "mlops-console", "version": release(), "extensions": []})

    def _v2_live(self, _request: Request) -> Response:
        return json_response({"live": True})

    async def _v2_ready(self, _request: Request) -> Response:
        ready = bool(self.split.live) and not self.draining and not await self._away()
        return json_response({"ready": ready}, 200 if ready else 503)

    def _v2_model(self, request: Request) -> Answered:
        method, path = request.method, request.path
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
            body = body_of(request, self.spec.limits.body_bytes)
            if chosen is not None:  # asked for by its number: no key decided, and it says nothing of the split
                return self._infer(Picked(chosen), split, body, request)
            key = inference.key_of(body, self.spec.sticky_field) if self.spec.sticky_field else None
            return self._infer(self._pick(split, request, key), split, body, request)
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
