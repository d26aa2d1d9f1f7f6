"""The machine from which Slurm's programs are called, by the same shell lines: this one, or one behind ssh."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final, NamedTuple

from backends.contract import BackendError, Invalid, Refused, Unauthorized, Unreachable
from backends.slurm.address import SlurmAddress

ANSWER_S: Final = 60.0
"""How long Slurm may take to answer: a busy controller keeps its clients waiting."""
LONGEST: Final = 90_000
"""Characters of a script in its outer form: what one argument of a program may have is 128 kB on Linux."""
SSH_FAILED: Final = 255
_DOWN: Final = (
    "Unable to contact slurm controller", "Socket timed out", "Connection refused", "Zero Bytes",
    "Slurm backup controller in standby", "Transport endpoint", "Munge", "munge", "Communication connection",
    "temporarily unable to accept job", "Resource temporarily unavailable",
)  # fmt: skip
"""In what Slurm's programs say when it is the controller that is away."""
KEPT: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|XDG_RUNTIME_DIR|SSH_AUTH_SOCK|SLURM_CONF|SLURM_CLUSTERS|"
    r"SLURM_CONF_SERVER|SBATCH_\w+|SQUEUE_\w+|SINFO_\w+|LD_LIBRARY_PATH|KRB5CCNAME|MUNGE_\w+"
)
"""Of our own variables these alone reach Slurm's programs, and by sbatch the job: any other may hold a secret."""


class ControllerAway(Unreachable):
    """The login node answers, Slurm's controller does not. Jobs go on meanwhile, and so do their files."""


class Answer(NamedTuple):
    """What a script gave."""

    code: int
    out: bytes
    said: str
    """Its stderr."""


class LoginNode:
    """Runs shell scripts where Slurm is; over ssh by one connection that is kept for two minutes."""

    def __init__(self, address: SlurmAddress, options: Mapping[str, str]) -> None:
        self.address = address
        self._base = directory_word(address.directory)
        self._ssh = shlex.split(options.get("ssh", "ssh"))
        self._sockets: tempfile.TemporaryDirectory[str] | None = None

    @property
    def local(self) -> bool:
        return not self.address.host

    def run(self, script: str, feed: bytes | Callable[[IO[bytes]], None] = b"", *, timeout: float = ANSWER_S) -> Answer:
        """Run a script by sh, with `$B` as our directory there, and `feed` on its stdin.

        Unreachable where nobody answers in time; Unauthorized where ssh is not let in. Its own failure is its code.
        """
        whole = f"B={self._base}\n{script}"
        command = ["/bin/sh", "-c", whole] if self.local else self._over_ssh(whole)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said, _stdin(feed) as source:
            try:
                # Of its own session: a signal to whoever started us must not cut a submission in half.
                done = subprocess.run(
                    command, stdin=source, stdout=out, stderr=said, env=_environment(), timeout=timeout, check=False,
                    start_new_session=True,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise Unreachable(
                    f"{self.address.place} did not answer within {timeout:.0f} s; it is asked again"
                ) from None
            except OSError as error:
                raise Unreachable(
                    f"{command[0]} cannot be run here: {error.strerror}; install it, or name it"
                ) from error
            out.seek(0)
            said.seek(0)
            answer = Answer(done.returncode, out.read(), said.read().decode("utf-8", "replace").strip())
        if not self.local and answer.code == SSH_FAILED:
            raise _not_let_in(self.address, answer.said)
        return answer

    def ask(self, script: str, feed: bytes = b"") -> Answer:
        """The answer of a script that has to succeed: Refused with what Slurm says against it, Unreachable where it is
        not up."""
        answer = self.run(script, feed)
        if answer.code:
            raise self.trouble(answer)
        return answer

    def away(self, answer: Answer) -> bool:
        """Whether it failed because the controller does not answer."""
        return bool(answer.code) and any(word in answer.said for word in _DOWN)

    def trouble(self, answer: Answer) -> BackendError:
        """Why a script failed, as an error."""
        lines = [each for each in answer.said.splitlines() if each.strip()]
        said = (
            "; ".join(line.partition("error: ")[2] or line for line in lines[-3:])[:500] or f"exit code {answer.code}"
        )
        if answer.code == 127 or "not found" in answer.said:
            return Unreachable(f"Slurm's programs are not there: {said}; {self.address.place} has to be a login node")
        if self.away(answer):
            return ControllerAway(f"{self.address.place} does not answer: {said}")
        return Refused(f"{self.address.place} says: {said}")

    def _over_ssh(self, script: str) -> list[str]:
        # Whatever shell the login has, it has to understand this much: no newline, no quote, no exclamation mark.
        wrapped = base64.b64encode(script.encode()).decode()
        if len(wrapped) > LONGEST:
            raise Invalid(f"a script of {len(wrapped)} characters is too long for ssh; what is long goes on its stdin")
        words = [*self._ssh, "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]
        words += ["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"]
        words += ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._socket()}", "-o", "ControlPersist=120"]
        words += ["-p", str(self.address.port)] if self.address.port else []
        words += ["-l", self.address.user] if self.address.user else []
        return [*words, "--", self.address.host, f"exec /bin/sh -c 'eval \"$(echo {wrapped} | base64 -d)\"'"]

    def _socket(self) -> str:
        """Where ssh keeps its connection: of our own, in a short path, since a socket's may have 108 bytes."""
        if self._sockets is None:
            self._sockets = tempfile.TemporaryDirectory(prefix="mc", dir="/tmp", ignore_cleanup_errors=True)
        return f"{self._sockets.name}/%C"

    def close(self) -> None:
        """End the kept connection."""
        if self._sockets is None:
            return
        for each in Path(self._sockets.name).iterdir():
            subprocess.run(
                [*self._ssh, "-o", f"ControlPath={each}", "-O", "exit", "--", self.address.host],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False,
            )  # fmt: skip
        self._sockets.cleanup()
        self._sockets = None


def directory_word(directory: str) -> str:
    """The directory as a word of sh; `~/` is left to the home directory over there."""
    if directory.startswith("~/"):
        return f'"$HOME"/{shlex.quote(directory[2:])}'
    return shlex.quote(directory)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}


class _stdin:  # noqa: N801 used as a function
    """A file that holds what is to be fed: a pipe could be waited for by both ends at once."""

    def __init__(self, feed: bytes | Callable[[IO[bytes]], None]) -> None:
        self._feed = feed

    def __enter__(self) -> IO[bytes]:
        self._file = tempfile.TemporaryFile()
        if callable(self._feed):
            self._feed(self._file)
        else:
            self._file.write(self._feed)
        self._file.flush()
        self._file.seek(0)
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _not_let_in(address: SlurmAddress, said: str) -> Exception:
    last = said.splitlines()[-1] if said else "ssh said nothing"
    if "Permission denied" in said or "Too many authentication failures" in said:
        return Unauthorized(
            f"ssh is not let in at {address.host}: {last}; it is run with BatchMode and never asks for a password: add "
            "the key to ssh-agent, or name it in ~/.ssh/config"
        )
    if "Host key verification failed" in said or "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return Unauthorized(
            f"ssh does not know the key of {address.host}: {last}; connect once by hand: ssh {address.host}"
        )
    return Unreachable(f"{address.place} cannot be reached: {last}")
