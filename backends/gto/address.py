"""`gto+file:///repo`, `gto+ssh://git@host/team/models.git`, `gto+https://…`: where the repository is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from backends.contract import Invalid
from backends.server_address import plain_address

_LIKE: Final = (
    "a registry in git has an address like gto+file:///srv/models, gto+ssh://git@host/team/models.git or "
    "gto+https://host/team/models.git"
)


class Address(NamedTuple):
    """`folder` where the repository lies on this machine, `remote` where git has to ask for it."""

    folder: Path | None
    remote: str

    @property
    def where(self) -> str:
        return str(self.folder) if self.folder is not None else self.remote


def read_address(url: str) -> Address:
    """Invalid for another form, and for one that holds a secret."""
    plain = url.removeprefix("gto+")
    scheme = plain.partition(":")[0]
    if scheme in ("http", "https"):
        return Address(None, plain_address(url, "gto", what="the address", like=_LIKE))
    try:
        parts = urlsplit(plain)
        port = parts.port
    except ValueError:
        raise Invalid(f"{_LIKE}, and this is none", "url") from None
    if not plain.isprintable() or parts.query or parts.fragment:
        raise Invalid(f"{_LIKE}; a question mark, a # or a control character has no place in it", "url")
    if scheme == "file":
        path = Path(unquote(parts.path))
        if parts.netloc not in ("", "localhost") or not path.is_absolute() or len(path.parts) < 2:
            raise Invalid(f"{_LIKE}: file wants three slashes and a whole path, and {plain[:120]!r} has not", "url")
        return Address(path, "")
    if scheme == "ssh":
        host, user = parts.hostname or "", parts.username or ""
        if parts.password is not None:
            raise Invalid("the address holds a password; ssh asks for keys, which it finds itself", "url")
        if port == 0 or not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]*|[0-9a-fA-F:]+", host) or len(parts.path) < 2:
            raise Invalid(f"{_LIKE}, and this is none", "url")
        if user and not re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]*", user):
            raise Invalid(f"{_LIKE}, and {user[:40]!r} is no name of a user", "url")
        return Address(None, plain)
    raise Invalid(f"{_LIKE}, and {scheme[:40]!r} is no way to a repository", "url")
