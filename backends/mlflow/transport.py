"""Requests to an MLflow server over plain HTTP: who we are, how long we wait, what is asked again, what is kept."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from backends.contract import BackendError, Invalid, Unauthorized, Unreachable
from backends.entities import Millis
from backends.login import Login
from backends.mlflow import trouble
from backends.mlflow.cache import Cache
from backends.mlflow.flavours import Flavour, Place, place
from backends.mlflow.names import API, API_3

if TYPE_CHECKING:
    import httpx

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
"""How long one whole answer may take, the slow bytes of it included."""
PARALLEL: Final = 4
LARGEST: Final = 64 * 1024 * 1024
LONGEST_PAUSE_S: Final = 60.0
Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself."""

    version: str = ""
    workspaces_enabled: bool = False
    own: bool = False
    """It is one of ours."""

    @property
    def mints_page_tokens(self) -> bool:
        """Its page tokens are offsets, which may be asked for without having been given."""
        return not self.own


class Transport:
    """One server. Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str], cache: Path | None, name: str) -> None:
        self.name = name
        self.place: Place = place(url, login, options)
        self.root = self.place.address
        self.where = self.root
        self.login = self.place.login
        self.options = dict(options)
        self.flavour: Flavour = self.place.flavour
        self._signer = self.place.signer
        self.last_good: Millis | None = None
        self.seconds = 0.0
        """What the last answered reads took: as long as the longest, which counts half with each that follows."""
        parts = urlsplit(self.root)
        self._host = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._cache = Cache(cache)
        self._slots = threading.Semaphore(PARALLEL)
        self._hurried = threading.local()
        self._guard = threading.Lock()
        self._client: httpx.Client | None = None
        self._secret: str | None = None
        self._info: ServerInfo | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._trouble: Unreachable | None = None

    # ------------------------------------------------------------ reading

    def get(
        self, path: str, params: Params | None = None, *, timeout: float | None = None, keep: bool = True
    ) -> dict[str, Any]:
        """A read. Kept for when the server is away."""
        return self._read("GET", path, _listed(params), None, timeout, keep)

    def search(
        self, path: str, body: dict[str, Any], *, method: str = "POST", timeout: float | None = None, keep: bool = True
    ) -> dict[str, Any]:
        """A read by POST. Never asked again once it may have begun: an abandoned search goes on in the server."""
        return self._read(method, path, (), body, timeout, keep)

    def search_within(self, path: str, body: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """A read by POST that is given up after so long: None then. That it takes long doesn't count as its absence."""
        self._hurried.on = True
        try:
            return self.search(path, body, timeout=seconds, keep=False)
        except _GaveUp:
            return None
        finally:
            self._hurried.on = False

    def _read(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: dict[str, Any] | None,
        timeout: float | None,
        keep: bool,
    ) -> dict[str, Any]:
        asked = b"" if body is None else msgspec.json.encode(body, order="sorted")
        key = Cache.key(
            self.place.key, self.options.get("workspace", ""), self.login.username, self.login.named, method, path,
            repr(params), asked.decode(),
        )  # fmt: skip
        try:
            began = time.monotonic()
            raw = self._send(method, path, params, asked if body is not None else None, timeout)
            found = self._decoded(raw, f"{method} {path}")
            self.seconds = max(time.monotonic() - began, self.seconds / 2)
        except Unreachable as away:
            kept = self._cache.find(key) if keep else None
            if kept is None:
                raise
            if away.since is None and self.last_good is None:
                self.last_good = kept[0]
            return self._decoded(kept[1], path)
        if keep:
            self._cache.keep(key, raw)
        return found

    def _decoded(self, raw: bytes, asked: str) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, RecursionError):
            raise trouble.no_json(raw, self.where, asked) from None
        if not isinstance(found, dict):
            raise trouble.no_json(raw, self.where, asked)
        return found

    # ------------------------------------------------------------ changing

    def change(self, method: str, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        """A change. Asked again only where it never reached the server, or where asking twice does the same."""
        try:
            raw = self._send(method, path, (), msgspec.json.encode(body), None, repeatable=repeatable)
        except _Unsent as unsent:
            raise _nothing_done(unsent) from None
        except Unreachable as away:
            raise _perhaps_done(away) from None
        return self._decoded(raw, f"{method} {path}")

    # ------------------------------------------------------------ files

    def download(
        self,
        path: str,
        to: Path,
        *,
        params: Params | None = None,
        most: int,
        fetched: Callable[[int], object] | None = None,
    ) -> int:
        """Into a file, whole or not at all; the number of bytes. `fetched` is told of each part how many there are."""
        draft = to.with_name(f".{to.name}.{os.getpid()}.{threading.get_ident()}")
        size = 0
        try:
            with self._streaming("GET", path, _listed(params)) as answer, draft.open("wb") as file:
                for part in answer.iter_bytes():
                    size += len(part)
                    if size > most:
                        raise Invalid(f"{path.rpartition('/')[2][:80]} has over {most:,} bytes; it was not fetched")
                    file.write(part)
                    if fetched is not None:
                        fetched(size)
            draft.replace(to)
        finally:
            draft.unlink(missing_ok=True)
        return size

    def upload(self, path: str, file: Path) -> None:
        """A whole file; putting it twice does the same."""
        with file.open("rb") as content:
            self._send("PUT", path, (), content, None, length=file.stat().st_size)

    # ------------------------------------------------------------ what is known of the server

    @property
    def server(self) -> ServerInfo:
        """Probed once; an older server that does not know the question is taken for what it is.

        While it is away it is what it was when last seen.
        """
        if self._info is None:
            key = Cache.key(self.place.key, "what the server is")
            try:
                self._info = self._probed()
            except Unreachable:
                kept = self._cache.find(key)
                if kept is None:
                    raise
                return msgspec.json.decode(kept[1], type=ServerInfo)
            self._cache.keep(key, msgspec.json.encode(self._info))
        return self._info

    def _probed(self) -> ServerInfo:
        if not self.flavour.probed:
            return ServerInfo()
        version = self._text("/version")
        try:
            said = self.get(f"{API_3}/server-info", keep=False)
        except Unreachable:
            raise
        except BackendError:
            said = {}
        return ServerInfo(
            version=version,
            workspaces_enabled=bool(said.get("workspaces_enabled")),
            own=said.get("server") == "mlops-console",
        )

    def _text(self, path: str) -> str:
        try:
            return self._send("GET", path, (), None, None)[:100].decode("utf-8", "replace").strip()
        except Unreachable:
            raise
        except BackendError:
            return ""

    def ping(self) -> None:
        """One cheap question, whether it is there again."""
        if self.flavour.probed:
            self._send("GET", "/health", (), None, CONNECT_S)
        else:
            self._send("POST", "experiments/search", (), b'{"max_results":1}', CONNECT_S)

    def trouble(self) -> Unreachable | None:
        """What keeps us from asking at this moment."""
        with self._guard:
            found = self._trouble
            if found is None or time.monotonic() >= self._retry_at:
                return None
            return Unreachable(str(found), found.retry_at, self.last_good)

    @property
    def in_trouble(self) -> bool:
        """The last request found nobody."""
        return self._trouble is not None

    def away_since(self) -> Millis | None:
        return self.last_good if self._trouble is not None else None

    def environment(self) -> dict[str, str]:
        """By which an MLflow client in a child process reaches this server. It holds the secret."""
        found = self.place.environment()
        if workspace := self.options.get("workspace"):
            found["MLFLOW_WORKSPACE"] = workspace
        return found

    def close(self) -> None:
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None
        self._cache.close()

    # ------------------------------------------------------------ sending

    def _send(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: Any,
        timeout: float | None,
        *,
        repeatable: bool = False,
        length: int | None = None,
    ) -> bytes:
        try:
            return self._once(method, path, params, body, timeout, length)
        except _Expired:
            # The token may have been renewed where it is kept.
            with self._guard:
                self._secret = None
            if self._signer is not None:
                self._signer.forget()
            if hasattr(body, "seek"):
                body.seek(0)
            try:
                return self._once(method, path, params, body, timeout, length)
            except _Expired as still:
                raise Unauthorized(str(still)) from None
        except Unreachable:
            if not repeatable or self.trouble() is None:
                raise
            time.sleep(min(0.5, max(0.0, self._retry_at - time.monotonic())))
            self._retry_at = 0.0
            return self._once(method, path, params, body, timeout, length)

    def _once(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: Any,
        timeout: float | None,
        length: int | None,
    ) -> bytes:
        gathered = bytearray()
        until = time.monotonic() + (timeout or float(self.options.get("timeout", ANSWER_S)))
        with self._streaming(method, path, params, body, timeout, length) as answer:
            for part in answer.iter_bytes():
                gathered += part
                if len(gathered) > LARGEST:
                    raise Invalid(f"mlflow at {self.where} answered {method} {path} with over {LARGEST:,} bytes")
                if time.monotonic() > until and length is None:
                    raise self._failed(Unreachable(f"mlflow at {self.where} is too slow: {method} {path} never ends"))
        return bytes(gathered)

    @contextmanager
    def _streaming(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: Any = None,
        timeout: float | None = None,
        length: int | None = None,
    ) -> Iterator[httpx.Response]:
        """One request, its answer as it comes; errors in the contract's words."""
        import httpx

        away = self.trouble()
        if away is not None:
            raise _Unsent(str(away), away.retry_at, away.since)
        asked = f"{method} {path}"
        headers = self._headers(body, length)
        try:
            with (
                self._slots,
                self._http().stream(
                    method,
                    self._url(path),
                    params=list(params),
                    content=body,
                    headers=headers,
                    auth=self._signer.signing(body) if self._signer is not None else None,
                    timeout=httpx.Timeout(timeout or float(self.options.get("timeout", ANSWER_S)), connect=CONNECT_S),
                ) as answer,
            ):
                if answer.status_code >= 300:
                    said = _some(answer)
                    error = self._refused(answer, said) or trouble.of_answer(
                        answer.status_code, answer.headers, said, self.where, asked
                    )
                    if answer.status_code == 401 or isinstance(error, trouble.Stale):
                        raise _Expired(str(error))
                    raise self._failed(error) if isinstance(error, Unreachable) else error
                yield answer
            self._worked()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            found = self._failed(trouble.of_failure(error, self.where))
            raise _Unsent(str(found), found.retry_at, found.since) from None
        except httpx.ReadTimeout as error:
            if getattr(self._hurried, "on", False):
                raise _GaveUp(f"{asked} took too long") from None
            raise self._failed(trouble.of_failure(error, self.where)) from None
        except httpx.HTTPError as error:
            raise self._failed(trouble.of_failure(error, self.where)) from None

    def _refused(self, answer: httpx.Response, said: bytes) -> BackendError | None:
        """A no of whoever looks at signatures, before the server itself."""
        if self._signer is None:
            return None
        return self._signer.refusal(answer.status_code, answer.headers, said, self.where)

    def _headers(self, body: Any, length: int | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        if length is not None:
            headers |= {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        if workspace := self.options.get("workspace"):
            headers["X-MLFLOW-WORKSPACE"] = workspace
        secret = self._known_secret()
        if secret and self.login.username:
            import base64

            pair = base64.b64encode(f"{self.login.username}:{secret}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        elif secret:
            headers["Authorization"] = f"Bearer {secret}"
        return headers

    def _known_secret(self) -> str:
        with self._guard:
            if self._secret is None:
                self._secret = self.login.secret() if self.login.there else ""
            return self._secret

    def _url(self, path: str) -> str:
        if path.startswith("/api/2.0/mlflow-artifacts/") and not self.flavour.prefixed_files:
            return self._host + quote(path, safe="/~")
        if path.startswith("/"):
            return self._host + self._prefix + quote(path, safe="/~")
        registry = path.startswith(("registered-models/", "model-versions/"))
        return f"{self._host}{self._prefix}{API}/{self.flavour.registry if registry else ''}{quote(path, safe='/~')}"

    def _http(self) -> httpx.Client:
        with self._guard:
            if self._client is None:
                import ssl

                import httpx

                ca_file = self.options.get("ca_file")
                verify: Any = ssl.create_default_context(cafile=ca_file) if ca_file else True
                self._client = httpx.Client(
                    verify=verify,
                    follow_redirects=False,
                    headers={"User-Agent": f"mlops-console/{_version()}"},
                    limits=httpx.Limits(max_connections=PARALLEL, max_keepalive_connections=PARALLEL),
                )
            return self._client

    # ------------------------------------------------------------ whether it is there

    def _worked(self) -> None:
        with self._guard:
            self._failures, self._retry_at, self._trouble = 0, 0.0, None
            self.last_good = time.time_ns() // 1_000_000

    def _failed(self, error: Unreachable) -> Unreachable:
        """Note the failure: until its time has come, everybody else is spared the wait."""
        with self._guard:
            self._failures += 1
            pause = min(LONGEST_PAUSE_S, 2.0 ** (self._failures - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
            now = time.time_ns() // 1_000_000
            if error.retry_at is not None:
                pause = max(pause, (error.retry_at - now) / 1000)
            self._retry_at = time.monotonic() + pause
            self._trouble = Unreachable(str(error), now + int(pause * 1000), self.last_good)
            return self._trouble


class _Expired(Unauthorized):
    """401: the secret may have changed."""


class _GaveUp(BackendError):
    """What was asked in a hurry did not come in time."""


class _Unsent(Unreachable):
    """The request never reached the server."""


def _nothing_done(away: Unreachable) -> Unreachable:
    return Unreachable(f"{away}; nothing was changed. Try again when it is back", away.retry_at, away.since)


def _perhaps_done(away: Unreachable) -> Unreachable:
    return Unreachable(
        f"{away}; whether the change was made cannot be told. Look again when it is back, before you repeat it",
        away.retry_at,
        away.since,
    )


def _some(answer: httpx.Response) -> bytes:
    """The beginning of an answer's body."""
    gathered = bytearray()
    for part in answer.iter_bytes():
        gathered += part
        if len(gathered) > 100_000:
            break
    return bytes(gathered)


def _listed(params: Params | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        for each in value if isinstance(value, list | tuple) else (value,):
            if each is not None and each != "":
                found.append((name, str(each)))
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlops-console")
    except PackageNotFoundError:
        return "dev"
