"""Sending to an MLflow server: who we are, how long we wait, what is asked once more, what a failure means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from backends.contract import BackendError, Unauthorized, Unreachable
from backends.login import Login, authorization
from backends.mlflow import trouble
from backends.mlflow.address import check_workspace, patience_of
from backends.mlflow.flavours import Flavour, Place, place
from backends.mlflow.names import API
from backends.remote import doubt
from backends.remote.again import Again, Slow, pause_before
from backends.remote.breaker import Breaker
from backends.remote.failure import beginning
from backends.server_options import trusted

if TYPE_CHECKING:
    import httpx

    from backends.remote.deadline import Deadline

CONNECT_S: Final = 5.0
PARALLEL: Final = 4
_IDLE_S: Final = 2.0
"""A connection unused for longer is not used again: servers close theirs after 2 to 5 s, just when we would ask."""
T = TypeVar("T")


class GaveUp(BackendError):
    """What was asked in a hurry did not come in time."""


class _Expired(Unauthorized):
    """401: the secret may have changed."""


class Sender:
    """Requests to one server. Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str]) -> None:
        self.place: Place = place(url, login, options)
        self.root = self.place.address
        self.where = self.root
        self.login = self.place.login
        self.options = dict(options)
        self.flavour: Flavour = self.place.flavour
        self._signer = self.place.signer
        self.breaker = Breaker()
        parts = urlsplit(self.root)
        self._host = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._patience = patience_of(options)
        check_workspace(options)
        self._slots = threading.Semaphore(PARALLEL)
        self._hurried = threading.local()
        self._guard = threading.Lock()
        self._client: tuple[httpx.Client, Deadline] | None = None
        self._secret: str | None = None

    def close(self) -> None:
        with self._guard:
            if self._client is not None:
                self._client[0].close()
                self._client = None

    def _send(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: Any,
        timeout: float | None,
        take: Callable[[httpx.Response], T],
        again: Again,
        *,
        length: int | None = None,
        rolling: bool = False,
    ) -> T:
        """What `take` makes of the answer. A second try follows a refused secret, and a failure that `again` allows."""

        def once() -> T:
            with self._streaming(method, path, params, body, timeout, length, rolling) as answer:
                return take(answer)

        def once_more() -> T:
            if hasattr(body, "seek"):
                body.seek(0)
            return once()

        try:
            return once()
        except _Expired as expired:
            if not self.login.there and self._signer is None:
                raise Unauthorized(str(expired)) from None
            with self._guard:
                self._secret = None  # it may have been renewed where it is kept
            if self._signer is not None:
                self._signer.forget()
            first: Unreachable | None = None
        except Unreachable as failed:
            pause = pause_before(failed, again, self.breaker.pause())
            if pause is None:
                raise
            time.sleep(pause)
            first = failed
        self.breaker.force()
        try:
            return once_more()
        except _Expired as still:
            raise Unauthorized(str(still)) from None
        except doubt.NotDone as unsent:
            if first is None or isinstance(first, doubt.NotDone):
                raise
            # The first try may have been carried out, whatever became of the second.
            raise Unreachable(str(unsent), unsent.retry_at, unsent.since) from None

    @contextmanager
    def _streaming(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        body: Any,
        timeout: float | None,
        length: int | None,
        rolling: bool,
    ) -> Iterator[httpx.Response]:
        """One request, its answer as it comes; errors in the contract's words."""
        import httpx

        patience = timeout or self._patience
        headers = self._headers(body, length)
        client, deadline = self._http()
        if not self._slots.acquire(timeout=patience):
            raise doubt.Crowded(f"mlflow at {self.where} is still at {PARALLEL} earlier questions; try again later")
        try:
            away = self.breaker.trouble()  # also for who waited here while it went away
            if away is not None:
                raise away
            with (
                deadline.within(patience, rolling=rolling),
                client.stream(
                    method,
                    self._url(path),
                    params=list(params),
                    content=body,
                    headers=headers,
                    auth=self._signer.signing(body) if self._signer is not None else None,
                    timeout=httpx.Timeout(patience, connect=min(CONNECT_S, patience)),
                ) as answer,
            ):
                if answer.status_code >= 300:
                    raise self._refusal(answer, f"{method} {path}")
                yield answer
            self.breaker.worked()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            found = trouble.of_failure(error, self.where)
            kind = type(found) if isinstance(found, doubt.NotDone) else doubt.NotDone
            raise self.breaker.failed(kind(str(found))) from None
        except httpx.TimeoutException as error:
            if getattr(self._hurried, "on", False):
                raise GaveUp(f"{method} {path} took too long") from None
            raise self.breaker.failed(Slow(str(trouble.of_failure(error, self.where)))) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self.breaker.failed(trouble.of_failure(error, self.where)) from None
        except Unreachable as error:
            if error is away:
                raise
            raise self.breaker.failed(error) from None
        except BackendError:
            self.breaker.there()
            raise
        finally:
            self._slots.release()

    def _refusal(self, answer: httpx.Response, asked: str) -> BackendError:
        said, error = beginning(answer), None
        if self._signer is not None:  # a no of whoever looks at signatures, before the server itself
            error = self._signer.refusal(answer.status_code, answer.headers, said, self.where)
        error = error or trouble.of_answer(answer.status_code, answer.headers, said, self.where, asked)
        return _Expired(str(error)) if answer.status_code == 401 or isinstance(error, trouble.Stale) else error

    def _headers(self, body: Any, length: int | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        if length is not None:
            headers |= {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        if workspace := self.options.get("workspace"):
            headers["X-MLFLOW-WORKSPACE"] = workspace
        secret = self._known_secret()
        if secret:
            headers["Authorization"] = authorization(self.login, secret)
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

    def _http(self) -> tuple[httpx.Client, Deadline]:
        with self._guard:
            if self._client is None:
                import httpx

                from backends.remote.deadline import Deadline, keep

                client = httpx.Client(
                    verify=trusted(self.options, field="options.ca_file"),
                    follow_redirects=False,
                    headers={"User-Agent": f"mlops-console/{_version()}"},
                    limits=httpx.Limits(
                        max_connections=PARALLEL, max_keepalive_connections=PARALLEL, keepalive_expiry=_IDLE_S
                    ),
                )
                self._client = client, Deadline()
                keep(*self._client)
            return self._client


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlops-console")
    except PackageNotFoundError:
        return "dev"
