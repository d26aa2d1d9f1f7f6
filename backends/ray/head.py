"""Talking with a Ray head: one client, errors in our words, the token fetched when it is wanted."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from backends.contract import BackendError, NotFound, Unauthorized, Unreachable
from backends.entities import LauncherRef
from backends.login import Login
from backends.server_address import plain_address
from backends.server_options import trusted

AGENT: Final = "mlops-console"
"""Our name. One that looks like a browser's is refused what changes anything (its guard against forged requests)."""
TIMEOUT_S: Final = 15.0


class Head:
    """The head's dashboard, where the Jobs API is."""

    def __init__(self, ref: LauncherRef) -> None:
        self.url = plain_address(
            ref.url, "ray", what="launcher", like="a launcher on Ray is like ray+https://head.example.org:8265",
            field="launcher",
        )  # fmt: skip
        parts = urlsplit(self.url)
        self.place = f"ray at {parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._login = Login(env=ref.token_env, file=ref.token_file, command=ref.token_command)
        self._token: str | None = None
        self.verify = trusted(ref.options, field="launcher_options.ca_file")
        self._client = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(TIMEOUT_S, connect=5.0, write=120.0),
            verify=self.verify,
            headers={"User-Agent": AGENT},
            limits=httpx.Limits(max_connections=16),
            follow_redirects=False,
        )

    def headers(self) -> dict[str, str]:
        """What says who we are. Unauthorized where the token is not to be had."""
        if not self._login.there:
            return {}
        if self._token is None:
            self._token = self._login.secret()
        return {"Authorization": f"Bearer {self._token}"}

    def ask(self, method: str, path: str, *, timeout: float | None = None, **more: Any) -> httpx.Response:
        """The answer, whatever its status but those of the way there. A token that has run out is fetched once more."""
        for again in (True, False):
            try:
                answer = self._client.request(
                    method, path, headers=self.headers(), timeout=timeout or httpx.USE_CLIENT_DEFAULT, **more
                )
            except httpx.HTTPError as error:
                raise Unreachable(f"{self.place} does not answer: {type(error).__name__} {error}".rstrip()) from error
            if answer.status_code in (401, 403) and self._token is not None and again:
                self._token = None
                continue
            break
        if answer.status_code in (401, 403):
            raise Unauthorized(self._unauthorized(answer))
        if answer.status_code in (502, 503, 504):
            raise Unreachable(f"{self.place} answers {answer.status_code}: {_words(answer)}")
        return answer

    def _unauthorized(self, answer: httpx.Response) -> str:
        said = f"{self.place} does not accept who we are: {answer.status_code} {_words(answer)}"
        if self._login.there:
            return f"{said}; the token came from the {self._login.named}"
        return (
            f"{said}; it wants a token: name where it is, by launcher_token_env, launcher_token_file or "
            "launcher_token_command in the context"
        )

    def json(self, method: str, path: str, **more: Any) -> Any:
        """The answer's content. NotFound for 404, else BackendError with the end of what it said."""
        answer = self.ask(method, path, **more)
        if answer.status_code == 404:
            raise NotFound(f"{self.place}: {_words(answer)}")
        if answer.is_error:
            raise BackendError(f"{self.place} refuses: {answer.status_code} {_words(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise BackendError(f"{self.place} answers {path} with something that is no JSON: is it Ray's?") from error

    def close(self) -> None:
        self._client.close()


def _words(answer: httpx.Response) -> str:
    """What a refusal says: the last line of Ray's traceback, at most 300 characters."""
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else answer.reason_phrase
