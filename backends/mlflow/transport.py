"""What is asked of an MLflow server over plain HTTP, what of its answers is kept, and what is known of the server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backends.contract import BackendError, Invalid, Unauthorized, Unreachable
from backends.login import Login
from backends.mlflow import trouble
from backends.mlflow.names import API_3
from backends.mlflow.sending import CONNECT_S, GaveUp, Sender
from backends.remote.again import Again
from backends.remote.cache import Cache
from backends.remote.doubt import told_of_a_change
from backends.remote.failure import beginning

if TYPE_CHECKING:
    import httpx

LARGEST: Final = 64 * 1024 * 1024
Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


_LISTS: Final = frozenset(
    {"runs", "experiments", "registered_models", "model_versions", "models", "metrics", "files", "dataset_summaries"}
)
_RECORDS: Final = frozenset({"run", "experiment", "registered_model", "model_version", "model"})


class Answer(dict[str, Any]):
    """What a server says; a BackendError where it is not the protocol's, so that nobody has to look twice."""

    def __init__(self, found: dict[str, Any], where: str, asked: str) -> None:
        super().__init__(found)
        self._asked = where, asked
        for key in _LISTS & found.keys():
            if not (isinstance(found[key], list) and all(isinstance(each, dict) for each in found[key])):
                raise trouble.odd_shape(where, asked, f"list of {key}")
        for key in _RECORDS & found.keys():
            if not isinstance(found[key], dict):
                raise trouble.odd_shape(where, asked, key)

    def __missing__(self, key: str) -> Any:
        raise trouble.odd_shape(*self._asked, key)


class Kept(Answer):
    """An answer of before the server went away."""


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


class Transport(Sender):
    """What is asked of a server and what is known of it. Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str], cache: Path | None, name: str) -> None:
        super().__init__(url, login=login, options=options)
        self.name = name
        self.seconds = 0.0
        """What the last answered reads took: as long as the longest, which counts half with each that follows."""
        self._cache = Cache(cache)
        self._info: ServerInfo | None = None

    # ------------------------------------------------------------ reading

    def get(
        self, path: str, params: Params | None = None, *, timeout: float | None = None, keep: bool = True
    ) -> dict[str, Any]:
        """A read. Kept for when the server is away: a `Kept` then."""
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
        except GaveUp:
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
        gathered: list[bytes] = []

        def take(answer: httpx.Response) -> dict[str, Any]:
            gathered[:] = [self._whole(answer, method, path)]
            return self._decoded(gathered[0], f"{method} {path}")

        try:
            began = time.monotonic()
            again = Again.BROKEN if method == "GET" else Again.NEVER
            found = self._send(method, path, params, asked if body is not None else None, timeout, take, again)
            self.seconds = max(time.monotonic() - began, self.seconds / 2)
        except Unreachable as away:
            kept = self._cache.find(key) if keep else None
            if kept is None:
                raise
            if away.since is None and self.breaker.last_good is None:
                self.breaker.last_good = kept[0]
            return Kept(self._decoded(kept[1], path), self.where, path)
        if keep:
            self._cache.keep(key, gathered[0])
        return found

    def _whole(self, answer: httpx.Response, method: str, path: str) -> bytes:
        gathered = bytearray()
        for part in answer.iter_bytes():
            gathered += part
            if len(gathered) > LARGEST:
                raise BackendError(
                    f"mlflow at {self.where} answered {method} {path} with over {LARGEST:,} bytes; ask for less at once"
                )
        return bytes(gathered)

    def _decoded(self, raw: bytes, asked: str) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise trouble.no_json(raw, self.where, asked) from None
        if not isinstance(found, dict):
            raise trouble.no_json(raw, self.where, asked)
        return Answer(found, self.where, asked)

    # ------------------------------------------------------------ changing

    def change(self, method: str, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        """A change. Asked again only where it never reached the server, or where asking twice does the same.

        Raises `doubt.NotDone` where it was surely not made, `doubt.Uncertain` where nobody can tell.
        """

        def take(answer: httpx.Response) -> dict[str, Any]:
            return self._decoded(self._whole(answer, method, path), f"{method} {path}")

        again = Again.FAILED if repeatable else Again.UNSENT
        with told_of_a_change():
            return self._send(method, path, (), msgspec.json.encode(body), None, take, again)

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

        def take(answer: httpx.Response) -> int:
            size = 0
            kind, named = answer.headers.get("content-type", ""), "content-disposition" in answer.headers
            if kind.startswith("text/html") and not named:  # no server of files: they say that it is an attachment
                raise trouble.no_json(beginning(answer), self.where, f"GET {path}")
            with draft.open("wb") as file:
                for part in answer.iter_bytes():
                    size += len(part)
                    if size > most:
                        raise Invalid(f"{path.rpartition('/')[2][:80]} has over {most:,} bytes; it was not fetched")
                    file.write(part)
                    if fetched is not None:
                        fetched(size)
            return size

        try:
            size = self._send("GET", path, _listed(params), None, None, take, Again.BROKEN, rolling=True)
            draft.replace(to)
        finally:
            draft.unlink(missing_ok=True)
        return size

    def upload(self, path: str, file: Path) -> None:
        """A whole file; putting it twice does the same."""
        with file.open("rb") as content, told_of_a_change():
            length = file.stat().st_size
            self._send("PUT", path, (), content, None, beginning, Again.FAILED, length=length, rolling=True)

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
        except (Unreachable, Unauthorized):
            raise  # that says nothing of what it is
        except BackendError:
            said = {}
        return ServerInfo(
            version=version,
            workspaces_enabled=bool(said.get("workspaces_enabled")),
            own=said.get("server") == "mlops-console",
        )

    def _text(self, path: str) -> str:
        try:
            found = self._send("GET", path, (), None, None, beginning, Again.BROKEN)[:100].decode("utf-8", "replace")
        except Unreachable:
            raise
        except BackendError:
            return ""
        return "" if "<" in found else found.strip()

    def ping(self) -> None:
        """One cheap question, whether it is there again. /health would not tell: it answers without a login, without
        the database, and under names that all else is refused by."""
        try:
            self.search("experiments/search", {"max_results": 1}, timeout=CONNECT_S, keep=False)
        except (Unreachable, Unauthorized):
            raise
        except BackendError:
            pass  # it is there, and does not know the question

    def trouble(self) -> Unreachable | None:
        """What keeps us from asking at this moment."""
        return self.breaker.trouble()

    @property
    def in_trouble(self) -> bool:
        """The last request found nobody."""
        return self.breaker.open

    def environment(self) -> dict[str, str]:
        """By which an MLflow client in a child process reaches this server. It holds the secret."""
        found = self.place.environment()
        if workspace := self.options.get("workspace"):
            found["MLFLOW_WORKSPACE"] = workspace
        return found

    def close(self) -> None:
        super().close()
        self._cache.close()


def _listed(params: Params | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        for each in value if isinstance(value, list | tuple) else (value,):
            if each is not None and each != "":
                found.append((name, str(each)))
    return found
