"""Questions to one server over plain HTTP: who we are, how long we wait, what of an answer is the API's."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from backends.contract import BackendError, Unauthorized, Unreachable
from backends.login import Login, authorization
from backends.prometheus import trouble
from backends.prometheus.address import checked_address, checked_options
from backends.prometheus.pause import Pause
from backends.server_options import trusted

if TYPE_CHECKING:
    import httpx

CONNECT_S: Final = 3.0
LARGEST: Final = 64 * 1024 * 1024
LONG: Final = 1_500
"""Letters of a query from which it goes in a body: some proxies cut addresses off."""
PARALLEL: Final = 4


class Sender:
    """Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str]) -> None:
        self.where = checked_address(url)
        self.warned = ""
        """What the server said beside its last answer: that a part of its data could not be asked, say."""
        self.sent = 0
        """Requests so far."""
        self._patience = checked_options(options)
        self._login = login
        self._options = dict(options)
        self._pause = Pause()
        self._guard = threading.Lock()
        self._client: httpx.Client | None = None
        self._secret: str | None = None

    def ask(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """The `data` of an answer. A secret that is refused is fetched once more from where it is kept."""
        self._pause.check()
        try:
            return self._asked(path, params)
        except Unauthorized:
            if not self._login.there:
                raise
            with self._guard:
                if self._secret is None:  # it could not be fetched at all
                    raise
                self._secret = None
        return self._asked(path, params)

    def close(self) -> None:
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _asked(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        import httpx

        client, headers = self._http(), self._headers()
        query = next((value for name, value in params if name == "query"), "")
        long = len(query) > LONG
        url = f"{self.where}/api/v1/{quote(path, safe='/')}"
        given: dict[str, Any] = {"data": dict(params)} if long else {"params": list(params)}
        self.sent += 1
        try:
            with client.stream("POST" if long else "GET", url, headers=headers, **given) as answer:
                raw = self._whole(answer, path)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._pause.failed(trouble.of_failure(error, self.where)) from None
        except Unreachable as error:
            raise self._pause.failed(error) from None
        if answer.status_code >= 300:
            refusal = trouble.of_answer(answer.status_code, answer.headers, raw, self.where, f"/api/v1/{path}", query)
            if isinstance(refusal, Unreachable):
                raise self._pause.failed(refusal)
            self._pause.answered()
            raise refusal
        self._pause.answered()
        return self._data(raw, path)

    def _whole(self, answer: httpx.Response, path: str) -> bytes:
        """httpx limits each single read: here the whole answer has an end too."""
        gathered = bytearray()
        until = time.monotonic() + self._patience
        for part in answer.iter_bytes():
            gathered += part
            if len(gathered) > LARGEST:
                raise BackendError(f"{self.where} answered {path} with over {LARGEST:,} bytes; ask for a shorter time")
            if time.monotonic() > until:
                raise Unreachable(f"{self.where} did not end its answer to {path} within {self._patience:.0f} s")
        return bytes(gathered)

    def _data(self, raw: bytes, path: str) -> Any:
        try:
            found = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise trouble.no_answer_of_its_kind(raw, self.where, path) from None
        if not isinstance(found, dict) or found.get("status") != "success" or "data" not in found:
            raise trouble.no_answer_of_its_kind(raw, self.where, path)
        warnings = found.get("warnings")
        self.warned = "; ".join(map(str, warnings))[:300] if isinstance(warnings, list) else ""
        if found.get("isPartial") is True:  # VictoriaMetrics' word for it
            self.warned = self.warned or "a part of its data could not be asked"
        return found["data"]

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if tenant := self._options.get("tenant"):
            headers["X-Scope-OrgID"] = tenant
        with self._guard:
            if self._secret is None:
                self._secret = self._login.secret() if self._login.there else ""
            secret = self._secret
        if secret:
            headers["Authorization"] = authorization(self._login, secret)
        return headers

    def _http(self) -> httpx.Client:
        with self._guard:
            if self._client is None:
                import httpx

                self._client = httpx.Client(
                    verify=trusted(self._options, field="ca_file"),
                    follow_redirects=False,
                    headers={"User-Agent": "mlops-console"},
                    timeout=httpx.Timeout(self._patience, connect=min(CONNECT_S, self._patience)),
                    limits=httpx.Limits(max_connections=PARALLEL, max_keepalive_connections=PARALLEL),
                )
            return self._client
