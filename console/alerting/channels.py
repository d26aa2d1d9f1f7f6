"""Where alerts go: the `[[notify]]` tables of `config.toml`. A channel names where a secret lies and never holds one.

[[notify]]
name = "oncall"
kind = "webhook"                      # Slack-compatible JSON
url_file = "~/.config/hooks/oncall"   # or url, url_env, url_command
secret_env = "ONCALL_SECRET"          # signs each message; or secret_file, secret_command
severities = ["critical"]
monitors = ["flights-*"]

[[notify]]
name = "mail"
kind = "email"
to = ["team@example.org"]
from = "console@example.org"
smtp = "mail.example.org:587"         # without it sendmail; STARTTLS unless starttls = false, TLS at once on 465
username = "console"
secret_command = "pass show mail/console"

[[notify]]
name = "page"
kind = "command"
command = "/usr/local/bin/page --queue ml"   # no shell; JSON on its standard input

[[notify]]
name = "screen"
kind = "console"                      # open consoles; there is always one, this changes it
bell = ["critical"]
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from backends.contract import Invalid, NotFound
from backends.entities import SEVERITIES, AlertEvent, Happening
from backends.login import Login

KINDS = ("webhook", "command", "email", "console")
EVENTS = tuple(str(event) for event in AlertEvent if event is not AlertEvent.TEST)
_ONLY: Mapping[str, tuple[str, ...]] = {
    "webhook": ("url", "url_env", "url_file", "url_command"),
    "command": ("command",),
    "email": ("to", "from", "smtp", "sendmail", "starttls", "username"),
    "console": ("bell",),
}
"""Keys that belong to one kind."""
_SECRET = ("secret_env", "secret_file", "secret_command")


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to a person, and what goes along it."""

    name: str
    kind: str
    severities: tuple[str, ...] = ("warn", "critical")
    monitors: tuple[str, ...] = ("*",)
    """Names, or patterns with `*`."""
    events: tuple[str, ...] = EVENTS
    attempts: int = 10
    """Tries until it is given up."""
    wait: float = 5.0
    """Seconds from the first try to the second; each further wait is twice as long, to a quarter of an hour."""
    timeout: float = 10.0
    """Seconds that one try may take."""
    url: str = ""
    url_env: str = ""
    url_file: str = ""
    url_command: str = ""
    secret_env: str = ""
    secret_file: str = ""
    secret_command: str = ""
    """Signs a webhook; the password of a mail server."""
    command: str | tuple[str, ...] = ""
    to: tuple[str, ...] = ()
    sender: str = msgspec.field(default="", name="from")
    smtp: str = ""
    starttls: bool = True
    sendmail: str = "/usr/sbin/sendmail"
    username: str = ""
    bell: tuple[str, ...] = ("critical",)
    """Severities that ring a console's bell."""

    @property
    def secret(self) -> Login:
        return Login(env=self.secret_env, file=self.secret_file, command=self.secret_command)

    @property
    def address(self) -> Login:
        """Where the URL lies, if not in the configuration itself."""
        return Login(env=self.url_env, file=self.url_file, command=self.url_command)

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(shlex.split(self.command)) if isinstance(self.command, str) else self.command

    @property
    def smtp_place(self) -> tuple[str, int]:
        """Host and port of the mail server. ValueError where it is none."""
        parts = urlsplit(f"//{self.smtp}")
        if not parts.hostname or parts.path or parts.username:
            raise ValueError(self.smtp)
        return parts.hostname, parts.port or 587

    @property
    def target(self) -> str:
        """Where it goes, in words that hold no secret: of a URL only the host, for its path often is one."""
        match self.kind:
            case "webhook":
                return redacted(self.url) if self.url else f"URL in {self.address.named}"
            case "command":
                return self.argv[0]
            case "email":
                return f"{', '.join(self.to)} by {self.smtp or self.sendmail}"
            case _:
                return "open consoles"

    def takes(self, happening: Happening) -> bool:
        """Whether it is to carry this event."""
        alert = happening.alert
        return (
            happening.event in self.events
            and alert.severity in self.severities
            and any(fnmatchcase(alert.monitor, pattern) for pattern in self.monitors)
        )


SCREEN = Channel(name="console", kind="console")
"""What open consoles do without a word in the configuration: a toast, and the bell for what is critical."""


def redacted(url: str) -> str:
    """Scheme and host alone."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "…"
    return f"{parts.scheme}://{host}/…"


def read_channels(tables: object, source: Path) -> tuple[Channel, ...]:
    """The channels of a configuration. Invalid names the file, the channel and the key."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise Invalid(f"{source}: notify must be tables, each under [[notify]]", "notify")
    found: list[Channel] = []
    for place, table in enumerate(tables, 1):
        channel = _channel(table, source, place)
        if any(channel.name == other.name for other in found):
            raise Invalid(f"{source}: notify {channel.name}: there are two with this name; rename one", "notify.name")
        found.append(channel)
    return tuple(found)


def named(channels: Sequence[Channel], name: str) -> Channel:
    """NotFound, with the names there are."""
    for channel in channels:
        if channel.name == name:
            return channel
    known = ", ".join(channel.name for channel in channels)
    raise NotFound(
        f"channel {name}: not in the configuration; "
        + (f"it has {known}" if known else "add a [[notify]] table to config.toml")
    )


def _channel(table: dict[str, Any], source: Path, place: int) -> Channel:
    from console.config import nearest

    where = f"{source}: notify {table.get('name') or place}"
    known = [field.encode_name for field in msgspec.structs.fields(Channel)]
    for key in table:
        if key not in known:
            raise Invalid(f"{where}: unknown key {key}{nearest(key, known)}; valid are {', '.join(known)}", key)
    try:
        channel = msgspec.convert(table, Channel)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: {error}", "notify") from error
    _one_of(where, "kind", [channel.kind], KINDS)
    _one_of(where, "severities", channel.severities, SEVERITIES)
    _one_of(where, "bell", channel.bell, SEVERITIES)
    _one_of(where, "events", channel.events, EVENTS)
    for kind, keys in _ONLY.items():
        strange = [key for key in keys if key in table and kind != channel.kind]
        if strange:
            raise Invalid(f"{where}: {strange[0]} is for kind {kind}, and this one is {channel.kind}", strange[0])
    _wanted(channel, table, where)
    return channel


def _wanted(channel: Channel, table: dict[str, Any], where: str) -> None:
    if not channel.name or not all(letter.isalnum() or letter in "-_." for letter in channel.name):
        raise Invalid(f"{where}: a name of letters, digits, - _ and . is wanted", "name")
    for key in ("attempts", "wait", "timeout"):
        if not 0 < getattr(channel, key) <= 3600:
            raise Invalid(f"{where}: {key} = {getattr(channel, key)}: more than 0 and at most 3600 is wanted", key)
    for keys in (_ONLY["webhook"], _SECRET):
        given = [key for key in keys if key in table]
        if len(given) > 1:
            raise Invalid(f"{where}: {' and '.join(given)} name the same thing; give one of them", given[1])
    if channel.kind == "webhook":
        if not channel.url and not channel.address.there:
            raise Invalid(f"{where}: a webhook wants its url, or url_env, url_file or url_command", "url")
        if channel.url and urlsplit(channel.url).scheme not in ("http", "https"):
            raise Invalid(f"{where}: url must begin with https:// or http://", "url")
    if channel.kind == "command":
        try:
            words = channel.argv
        except ValueError as error:
            raise Invalid(f"{where}: command cannot be read: {error}", "command") from error
        if not words:
            raise Invalid(f"{where}: a command is wanted", "command")
    if channel.kind == "email":
        if not channel.to or not channel.sender:
            raise Invalid(f'{where}: an email wants to = ["…"] and from = "…"', "to")
        if any(letter in text for text in (*channel.to, channel.sender) for letter in "\r\n"):
            raise Invalid(f"{where}: an address is one line", "to")
        if channel.smtp:
            try:
                channel.smtp_place  # noqa: B018
            except ValueError as error:
                said = f"{where}: smtp {channel.smtp!r}: HOST or HOST:PORT is wanted, such as mail.example.org:587"
                raise Invalid(said, "smtp") from error
        if channel.username and not channel.secret.there:
            raise Invalid(f"{where}: username wants its password, by {', '.join(_SECRET)}", "username")
        if channel.username and not channel.starttls:
            raise Invalid(f"{where}: a password goes over STARTTLS only; drop starttls = false or username", "starttls")


def _one_of(where: str, key: str, given: Sequence[str], valid: Sequence[str]) -> None:
    from console.config import nearest

    for word in given:
        if word not in valid:
            raise Invalid(
                f"{where}: {key} {word!r} is unknown{nearest(word, valid)}; known are {', '.join(valid)}", key
            )
