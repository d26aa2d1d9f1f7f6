"""How one says to a server who one is. A login names where the secret lies; it never holds it."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Final, Protocol

import msgspec

from backends.contract import Invalid, Unauthorized

COMMAND_S: Final = 30.0
"""How long a command may take to print a secret: it may ask a key ring or a cloud."""


class Caller(Protocol):
    """Who asks, as far as a header needs to know."""

    @property
    def username(self) -> str: ...

    @property
    def named(self) -> str: ...


def authorization(caller: Caller, secret: str) -> str:
    """What the header Authorization says with this secret. Unauthorized for a token that no header can hold; no
    message holds it."""
    if caller.username:
        import base64

        return f"Basic {base64.b64encode(f'{caller.username}:{secret}'.encode()).decode()}"
    if not secret.isascii():
        raise Unauthorized(
            f"the {caller.named} gave a token with letters that no token has (beyond ASCII); see what is there, or "
            "give a username if it is a password"
        )
    return f"Bearer {secret}"


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the secret is: at most one of `env`, `file` and `command`. With a `username` it is that user's password,
    without one a bearer token."""

    username: str = ""
    env: str = ""
    """Environment variable that holds it."""
    file: str = ""
    """File that holds it, readable by its owner alone."""
    command: str = ""
    """Command that prints it, e.g. `pass show mlflow`; split like a shell does, run without one."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.env, self.file, self.command))) > 1:
            raise ValueError("a secret comes from one place: an environment variable, a file, or a command")

    @property
    def named(self) -> str:
        """Where the secret is, in words for a person; it says nothing of the secret."""
        if self.env:
            return f"environment variable {self.env}"
        if self.file:
            return f"file {self.file}"
        return f"command {shlex.split(self.command)[0]}" if self.command else "nowhere"

    @property
    def there(self) -> bool:
        return bool(self.env or self.file or self.command)

    def secret(self) -> str:
        """Fetch it. Unauthorized where it is not there, Invalid where the place is wrong; no message holds it."""
        if self.env:
            found = os.environ.get(self.env, "")
            if not found:
                raise Unauthorized(
                    f"the token is wanted from the environment variable {self.env}, which is not set here; set it, or "
                    "let the context name a file or a command"
                )
        elif self.file:
            found = _from_file(Path(self.file).expanduser())
        elif self.command:
            found = printed_by(self.command)
        else:
            return ""
        found = found.strip()
        if not found or any(ord(letter) < 32 or ord(letter) == 127 for letter in found):
            raise Unauthorized(f"the {self.named} gave no token: it is empty, or holds control characters")
        return found


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Invalid(f"token file {path} may be read by others (mode {mode:04o}); chmod 600 it first", "file")
            return file.read(65_536).decode("utf-8")
    except OSError as error:
        raise Unauthorized(f"token file {path}: {error.strerror}; make it, with mode 0600") from error
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes.
        raise Unauthorized(f"token file {path} is not UTF-8 text") from None


def printed_by(command: str) -> str:
    """What the command prints. Unauthorized where it cannot be run, fails or is too slow; no error holds its output."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"the token command cannot be read: {error}", "command") from error
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except OSError as error:
        raise Unauthorized(f"the token command {words[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise Unauthorized(f"the token command {words[0]} took longer than {COMMAND_S:.0f} s") from None
    if done.returncode:
        # What it wrote is not repeated: a command may print half a secret before it fails.
        raise Unauthorized(
            f"the token command {words[0]} ended with exit code {done.returncode}; run it by hand to see"
        )
    return done.stdout.decode("utf-8", "replace")
