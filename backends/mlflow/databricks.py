"""Who we are to Databricks, as its own tools are told: environment, or a profile of `~/.databrickscfg`."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from backends.contract import Invalid, Unauthorized, Unreachable
from backends.login import printed_by

_SETTINGS: Final = "__settings__"
_ASKED_S: Final = 15.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One way in: a workspace and how to get a token for it. The secrets are in no `repr`."""

    host: str
    source: str
    """Where it is written, in words."""
    profile: str = ""
    token: str = ""
    client_id: str = ""
    client_secret: str = ""
    auth_type: str = ""

    def __repr__(self) -> str:
        return f"Account({self.host}, {self.source})"


class DatabricksLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A `Login` whose secret is the token that an account gets."""

    account: Account
    username: str = ""

    @property
    def named(self) -> str:
        return self.account.source

    @property
    def there(self) -> bool:
        return True

    def secret(self) -> str:
        """A personal token, or a fresh OAuth one of an hour; Unauthorized where the account gets none."""
        account = self.account
        if account.token:
            return account.token
        if account.client_id and account.client_secret:
            return _machine_token(account)
        if account.auth_type in ("", "databricks-cli"):
            return _cli_token(account)
        raise Unauthorized(
            f"{account.source} signs in by {account.auth_type[:40]}, which only Databricks' own tools do; put a token, "
            "or client_id and client_secret, there, or let the context name a token command"
        )


def find(profile: str = "", host: str = "") -> Account:
    """The account of a named profile, of the environment, of the profile for a host, or the default one.

    Invalid where there is none, and says where was looked.
    """
    env = os.environ
    profile = profile or env.get("DATABRICKS_CONFIG_PROFILE", "")
    sections = _sections()
    if profile:
        if profile not in sections or profile == _SETTINGS:
            listed = ", ".join(sorted(name for name in sections if name != _SETTINGS)) or "none"
            raise Invalid(
                f"there is no Databricks profile {profile[:60]} in {_file()}; there are {listed}. Make it with "
                "databricks auth login, or set DATABRICKS_HOST and DATABRICKS_TOKEN",
                "options.profile",
            )
        return _account(profile, sections[profile])
    if env.get("DATABRICKS_HOST") and (not host or _same(env["DATABRICKS_HOST"], host)):
        return Account(
            host=_https(env["DATABRICKS_HOST"]),
            source="environment variable DATABRICKS_HOST",
            token=env.get("DATABRICKS_TOKEN", ""),
            client_id=env.get("DATABRICKS_CLIENT_ID", ""),
            client_secret=env.get("DATABRICKS_CLIENT_SECRET", ""),
            auth_type=env.get("DATABRICKS_AUTH_TYPE", ""),
        )
    if host:
        for name, section in sections.items():
            if section.get("host") and _same(section["host"], host):
                return _account(name, section)
        raise Invalid(
            f"a token for {host} is wanted: neither DATABRICKS_HOST nor a profile of {_file()} is about it; set them, "
            "or name the token's place (--token-env, --token-file, --token-command)",
            "token_env",
        )
    default = sections.get(_SETTINGS, {}).get("default_profile") or "DEFAULT"
    if default not in sections:
        raise Invalid(
            f"which Databricks? DATABRICKS_HOST is not set, and {_file()} has no default profile; name one as "
            "databricks://PROFILE, or give the workspace's https:// address",
            "url",
        )
    return _account(default, sections[default])


def _account(name: str, section: dict[str, str]) -> Account:
    if not section.get("host"):
        raise Invalid(f"Databricks profile {name} in {_file()} names no host; add host = https://…", "options.profile")
    return Account(
        host=_https(section["host"]),
        source=f"profile {name} of {_file()}",
        profile=name,
        token=section.get("token", ""),
        client_id=section.get("client_id", ""),
        client_secret=section.get("client_secret", ""),
        auth_type=section.get("auth_type", ""),
    )


def _file() -> Path:
    return Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()


def _sections() -> dict[str, dict[str, str]]:
    import configparser

    found = configparser.RawConfigParser(strict=False, default_section="\0")
    try:
        found.read_string(_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error):
        # Without the cause: its message holds the line, and the line may be a secret.
        raise Invalid(f"{_file()} cannot be read; see that it is a file of [profiles] with name = value") from None
    return {name: dict(found.items(name)) for name in found.sections()}


def _https(host: str) -> str:
    host = host.strip().rstrip("/")
    return host if host.startswith(("https://", "http://")) else f"https://{host}"


def _same(one: str, other: str) -> bool:
    return urlsplit(_https(one)).netloc.lower() == urlsplit(_https(other)).netloc.lower()


def _machine_token(account: Account) -> str:
    """Of a service principal: OAuth 2.0 client credentials at the workspace itself.

    Source: Databricks, "Authorize service principal access to Databricks with OAuth".
    """
    import httpx

    try:
        answer = httpx.post(
            f"{account.host}/oidc/v1/token",
            data={"grant_type": "client_credentials", "scope": "all-apis"},
            auth=(account.client_id, account.client_secret),
            timeout=_ASKED_S,
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Unreachable(
            f"{account.host} gives no token: it does not answer; see the network, then try again"
        ) from None
    token = _field(answer.content, "access_token") if answer.status_code == 200 else ""
    if not token:
        raise Unauthorized(
            f"{account.host} gives the service principal of {account.source} no token ({answer.status_code}); see "
            "client_id and client_secret, and that it may use this workspace"
        )
    return token


def _cli_token(account: Account) -> str:
    """Of a person who signed in by `databricks auth login`: its command hands it out, and renews it."""
    databricks = shutil.which("databricks")
    if databricks is None:
        raise Unauthorized(
            f"{account.source} holds no token, and there is no databricks command to ask for one; set "
            "DATABRICKS_TOKEN, write token = … there, or install the command and sign in by databricks auth login"
        )
    which = ["--profile", account.profile] if account.profile else ["--host", account.host]
    token = _field(printed_by(shlex.join([databricks, "auth", "token", *which])).encode(), "access_token")
    if not token:
        raise Unauthorized(f"databricks auth token gave none for {account.source}; sign in by databricks auth login")
    return token


def _field(raw: bytes, name: str) -> str:
    try:
        found: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return str(found.get(name) or "") if isinstance(found, dict) else ""
