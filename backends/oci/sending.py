"""Requests to one registry: who we are, how long we wait, what is asked once more, what a failure means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from backends.contract import BackendError, Unauthorized, Unreachable
from backends.login import Login
from backends.oci import trouble
from backends.oci.address import checked_address, checked_options
from backends.oci.challenge import Identity
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
_REDIRECTS: Final = 3
_LOGINS: Final = 2
"""So often one request follows what a server says of logins: a token that ended, a password that was renewed."""
T = TypeVar("T")


class Ask(NamedTuple):
    """One question. `where` is a path under the server, or a whole address that it gave; `purpose` is what a token for
    it has to allow (`pull team/churn`)."""

    method: str
    where: str
    purpose: str = ""
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Callable[[], Iterable[bytes]] | None = None
    length: int | None = None
    """Bytes of a body that comes in pieces."""
    follows: bool = False
    """Registries send on to a bucket for a blob."""
    rolling: bool = False
    """It may take as long as it goes on."""

    @property
    def said(self) -> str:
        return f"{self.method} {urlsplit(self.where).path}"


class _Expired(Unauthorized):
    """401, and it is worth asking again."""


class Sender:
    """Requests to one server. Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str]) -> None:
        self.address = checked_address(url)
        self.where = self.address.root
        self.breaker = Breaker()
        self.sent = 0
        """Requests so far."""
        self._patience = checked_options(options)
        self._options = dict(options)
        self._identity = Identity(login, self.where)
        self._slots = threading.Semaphore(PARALLEL)
        self._guard = threading.Lock()
        self._client: tuple[httpx.Client, Deadline] | None = None

    def close(self) -> None:
        with self._guard:
            if self._client is not None:
                self._client[0].close()
                self._client = None

    def send(self, ask: Ask, take: Callable[[httpx.Response], T], again: Again) -> T:
        """What `take` makes of the answer. A second try follows a failure that `again` allows, and a refused login that
        can be renewed."""
        try:
            return self._logged_in(ask, take)
        except Unreachable as failed:
            pause = pause_before(failed, again, self.breaker.pause())
            if pause is None:
                raise
            time.sleep(pause)
            first = failed
        self.breaker.force()
        try:
            return self._logged_in(ask, take)
        except doubt.NotDone as unsent:
            if isinstance(first, doubt.NotDone):
                raise
            # The first try may have been carried out, whatever became of the second.
            raise Unreachable(str(unsent), unsent.retry_at, unsent.since) from None

    def _logged_in(self, ask: Ask, take: Callable[[httpx.Response], T]) -> T:
        for left in reversed(range(_LOGINS + 1)):
            try:
                with self._streaming(ask, last=not left) as answer:
                    return take(answer)
            except _Expired:
                continue
        raise AssertionError("the last try does not expire")

    @contextmanager
    def _streaming(self, ask: Ask, *, last: bool) -> Iterator[httpx.Response]:
        """One request, its answer as it comes; errors in the contract's words."""
        import httpx

        away: Unreachable | None = None
        if not self._slots.acquire(timeout=self._patience):
            raise doubt.Crowded(f"the registry at {self.where} is still at {PARALLEL} earlier questions; try later")
        challenge: tuple[str, str] | None = None
        try:
            away = self.breaker.trouble()  # also for who waited here while it went away
            if away is not None:
                raise away
            with self._followed(ask) as (answer, sent):
                if answer.status_code == 401 and not last:
                    challenge = answer.headers.get("www-authenticate", ""), sent
                if answer.status_code >= 300:
                    raise trouble.of_answer(answer.status_code, answer.headers, beginning(answer), self.where, ask.said)
                yield answer
            self.breaker.worked()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            found = trouble.of_failure(error, self.where)
            kind = type(found) if isinstance(found, doubt.NotDone) else doubt.NotDone
            raise self.breaker.failed(kind(str(found))) from None
        except httpx.TimeoutException as error:
            raise self.breaker.failed(Slow(str(trouble.of_failure(error, self.where)))) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self.breaker.failed(trouble.of_failure(error, self.where)) from None
        except Unreachable as error:
            if error is away:
                raise
            raise self.breaker.failed(error) from None
        except BackendError as refused:
            self.breaker.there()
            if challenge is not None and self._identity.answer(*_of(challenge, ask.purpose), self._fetch):
                raise _Expired(str(refused)) from None
            raise
        finally:
            self._slots.release()

    @contextmanager
    def _followed(self, ask: Ask) -> Iterator[tuple[httpx.Response, str]]:
        """(the answer, what we said of ourselves). Where a blob is sent on to another machine, no token goes there."""
        import httpx

        client, deadline = self._http()
        url = urljoin(self.where, quote(ask.where, safe="/:@~") if ask.where.startswith("/") else ask.where)
        for hop in range(_REDIRECTS + 1):
            headers = dict(ask.headers)
            sent = self._identity.header(ask.purpose) if _origin(url) == _origin(self.where) else ""
            if sent:
                headers["Authorization"] = sent
            body = ask.body() if callable(ask.body) else ask.body
            if ask.length is not None:
                headers["Content-Length"] = str(ask.length)
            self.sent += 1
            with (
                deadline.within(self._patience, rolling=ask.rolling),
                client.stream(
                    ask.method,
                    # An address that the server gave holds its own parameters: ours are added to them.
                    httpx.URL(url).copy_merge_params(dict(ask.params)) if ask.params and not hop else url,
                    content=body,
                    headers=headers,
                    timeout=httpx.Timeout(self._patience, connect=min(CONNECT_S, self._patience)),
                ) as answer,
            ):
                onward = answer.headers.get("location", "") if ask.follows and 300 < answer.status_code < 400 else ""
                if not onward or hop == _REDIRECTS or not _safe(urljoin(url, onward), url):
                    yield answer, sent
                    return
                url = urljoin(url, onward)

    def _fetch(self, realm: str, params: dict[str, str], headers: dict[str, str]) -> bytes:
        """A token from where the registry has them given."""
        import httpx

        client, deadline = self._http()
        try:
            with (
                deadline.within(self._patience),
                client.stream("GET", realm, params=params, headers=headers, timeout=self._patience) as answer,
            ):
                body = beginning(answer)
                if answer.status_code >= 300:
                    host = urlsplit(realm).netloc
                    raise trouble.of_answer(answer.status_code, answer.headers, body, host, "a token")
                return body
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self.breaker.failed(trouble.of_failure(error, urlsplit(realm).netloc)) from None

    def _http(self) -> tuple[httpx.Client, Deadline]:
        with self._guard:
            if self._client is None:
                import httpx

                from backends.remote.deadline import Deadline, keep

                client = httpx.Client(
                    verify=trusted(self._options, field="options.ca_file"),
                    follow_redirects=False,
                    headers={"User-Agent": "mlops-console", "Accept-Encoding": "identity"},
                    limits=httpx.Limits(
                        max_connections=2 * PARALLEL, max_keepalive_connections=PARALLEL, keepalive_expiry=_IDLE_S
                    ),
                )
                self._client = client, Deadline()
                keep(*self._client)
            return self._client


def _of(challenge: tuple[str, str], purpose: str) -> tuple[str, str, str]:
    said, sent = challenge
    return said, purpose, sent


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _safe(onward: str, url: str) -> bool:
    """Not from TLS to none, and to no address with a login in it."""
    try:
        to = urlsplit(onward)
        return (
            to.scheme in ("http", "https")
            and bool(to.hostname)
            and not to.username
            and (to.scheme == "https" or urlsplit(url).scheme == "http")
        )
    except ValueError:
        return False
