"""Who we say we are: nothing, a user and a password, or a token that a third party gives for one purpose.

A registry that wants a login says how in `WWW-Authenticate`. `Basic` is answered with user and password; `Bearer` names
a place (`realm`) that gives a token for a `service` and a `scope`, kept until it ends. No error holds a secret.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from backends.contract import Unauthorized, Unreachable
from backends.login import Login, authorization

_SHORTEST_S: Final = 60.0
"""How long a token is good where the server does not say."""
_MARGIN_S: Final = 5.0
_PAIR: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

Fetch = Callable[[str, dict[str, str], dict[str, str]], bytes]
"""GET of (address, parameters, headers) → the answer's body; errors in the contract's words."""


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float | None = None


class Identity:
    """What goes into the header Authorization, by purpose. Safe to use from several threads."""

    def __init__(self, login: Login, where: str) -> None:
        self._login = login
        self._where = where
        self._lock = threading.Lock()
        self._secret: str | None = None
        self._basic = False
        self._tokens: dict[str, tuple[float, str]] = {}
        """purpose → (good until, token)."""

    def header(self, purpose: str) -> str:
        """What is known to work for the purpose (`pull team/churn`); empty where nothing is known yet."""
        with self._lock:
            until, token = self._tokens.get(purpose, (0.0, ""))
            if token and time.monotonic() < until:
                return f"Bearer {token}"
            if self._login.there and (self._basic or not self._login.username):
                return authorization(self._login, self._known())
            return ""

    def answer(self, challenge: str, purpose: str, sent: str, fetch: Fetch) -> bool:
        """Do what the server asks for; whether it is worth asking again. Unauthorized where we cannot."""
        kind, pairs = parse(challenge)
        if kind == "bearer" and not (sent.startswith("Bearer ") and not self._login.username and self._login.there):
            self._fetch_token(pairs, purpose, sent, fetch)
            return True
        with self._lock:
            fresh = self._secret
            if sent:
                self._secret = None  # it may have been renewed where it is kept
            if not self._login.there:
                return False
            if kind == "basic":
                if not self._login.username:
                    raise Unauthorized(
                        f"the registry at {self._where} wants a user and a password, and the context names no "
                        "username; give it beside the place of the secret"
                    )
                first, self._basic = not self._basic, True
                return first or self._known() != fresh
            return bool(sent) and self._known() != fresh

    def _known(self) -> str:
        if self._secret is None:
            self._secret = self._login.secret() if self._login.there else ""
        return self._secret

    def _fetch_token(self, pairs: dict[str, str], purpose: str, sent: str, fetch: Fetch) -> None:
        realm = pairs.get("realm", "")
        params = {key: pairs[key] for key in ("service", "scope") if pairs.get(key)}
        headers: dict[str, str] = {}
        _check_realm(realm, self._where)
        with self._lock:
            if sent:
                self._secret = None
            if self._login.there:
                secret = self._known()
                if self._login.username:
                    params["account"] = self._login.username
                headers["Authorization"] = authorization(self._login, secret)
        try:
            said = msgspec.json.decode(fetch(realm, params, headers), type=_Token)
        except Unauthorized:
            with self._lock:
                self._secret = None  # it may be mended where it is kept
            raise
        except msgspec.DecodeError:
            raise Unreachable(
                f"{_host(realm)}, which gives tokens for {self._where}, answered something else than a token; see the "
                "address in the context"
            ) from None
        token = said.token or said.access_token
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorized(
                f"{_host(realm)} gave no token for {self._where}; see the context's login and its rights"
            )
        good = max(_MARGIN_S, (said.expires_in or _SHORTEST_S) - _MARGIN_S)
        with self._lock:
            self._tokens[purpose] = (time.monotonic() + good, token)
            if len(self._tokens) > 1_000:
                self._tokens.pop(next(iter(self._tokens)))


def parse(challenge: str) -> tuple[str, dict[str, str]]:
    """(`basic` or `bearer` or empty, its parameters) of a header WWW-Authenticate; a Bearer is taken before a Basic."""
    found = {
        each[1].lower(): each.end()
        for each in re.finditer(r"(?:^|,)\s*(Basic|Bearer)(?=\s|$)", challenge[:4_000], re.IGNORECASE)
    }
    kind = "bearer" if "bearer" in found else "basic" if "basic" in found else ""
    if not kind:
        return "", {}
    after = [end for other, end in found.items() if other != kind and end > found[kind]]
    text = challenge[found[kind] : min(after) if after else 4_000]
    return kind, {each[1].lower(): each[2] if each[2] is not None else each[3] for each in _PAIR.finditer(text)}


def _check_realm(realm: str, where: str) -> None:
    """A password goes to no place that could be read on the way."""
    try:
        parts = urlsplit(realm)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if not host or parts.username or parts.password or not realm.isprintable():
        raise Unauthorized(f"the registry at {where} names no usable place for tokens; ask its admin")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise Unauthorized(
            f"the registry at {where} has tokens given at {host} without TLS, where the password could be read on the "
            "way; ask its admin to mend that"
        )


def _host(realm: str) -> str:
    try:
        return urlsplit(realm).hostname or "the place of tokens"
    except ValueError:
        return "the place of tokens"
