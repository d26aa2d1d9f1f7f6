"""What a launcher's url says of a Slurm: where its programs are called, and which shared directory is ours."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from backends.contract import Invalid
from backends.entities import Record

DIRECTORY: Final = "~/.mlops-console/slurm"
"""The home directory is what clusters share first of all."""
WANTED: Final = (
    "slurm: or slurm:/shared/directory on a login node, and from elsewhere slurm+ssh://user@login or "
    "slurm+ssh://user@login/shared/directory"
)
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]*")


class SlurmAddress(Record, frozen=True, kw_only=True):
    """Where Slurm's programs are."""

    host: str = ""
    """The login node, as ssh knows it (an alias of its configuration too); empty for this machine."""
    user: str = ""
    port: int = 0
    """0 for what ssh takes by itself."""
    directory: str = DIRECTORY
    """On the file system that login node and machines share; `~/` is the home directory there."""

    @property
    def place(self) -> str:
        """In words for people."""
        if not self.host:
            return "Slurm, from this machine"
        return f"Slurm at {self.user}@{self.host}" if self.user else f"Slurm at {self.host}"


def read_address(url: str) -> SlurmAddress:
    """Invalid says what is wrong with it."""
    scheme, _, rest = url.partition(":")
    if scheme == "slurm":
        if rest.startswith("//"):
            raise Invalid(f"launcher = {url!r}: wanted is {WANTED}", "launcher")
        return SlurmAddress(directory=_directory(unquote(rest), url))
    if scheme != "slurm+ssh":
        raise Invalid(f"launcher = {url!r}: wanted is {WANTED}", "launcher")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise Invalid(f"launcher = {url!r}: {error}; wanted is {WANTED}", "launcher") from None
    if parts.password is not None:
        raise Invalid(
            "launcher: a password does not belong in a url, and ssh is never asked for one; set up a key for ssh",
            "launcher",
        )
    user = unquote(parts.username or "")
    if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)) or parts.query or parts.fragment:
        raise Invalid(f"launcher = {url!r}: wanted is {WANTED}", "launcher")
    path = unquote(parts.path)
    # /~/x is of the home directory, as with git's urls.
    return SlurmAddress(
        host=host, user=user, port=port, directory=_directory(path[1:] if path.startswith("/~") else path, url)
    )


def _directory(path: str, url: str) -> str:
    if path in ("", "/"):
        return DIRECTORY
    if not path.startswith(("/", "~/")):
        raise Invalid(f"launcher = {url!r}: {path!r} is not an absolute path; wanted is {WANTED}", "launcher")
    if any(letter in "%\\" or ord(letter) < 32 for letter in path):
        raise Invalid(
            f"launcher = {url!r}: Slurm reads % and \\ in a path as its own; take another directory", "launcher"
        )
    return path.rstrip("/")
