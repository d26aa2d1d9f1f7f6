"""The git program: started by list, with no terminal to ask at, in bounded time, its complaints in our words."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from backends.contract import BackendError, NotFound, Refused, Unauthorized, Unreachable, Unsupported
from backends.login import Login

HERE_S: Final = 60.0
"""For what needs no network."""
AWAY_S: Final = 90.0
_SSH: Final = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"
_ALWAYS: Final = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "log.showSignature=false",
)
_INHERITED: Final = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES", "GIT_TRACE", "GIT_TRACE_CURL",
    "GIT_CURL_VERBOSE",
)  # fmt: skip
_ASKPASS: Final = """#!/bin/sh
case "$1" in
Username*) printf '%s' "$MLOPS_GIT_USERNAME" ;;
*) printf '%s' "$MLOPS_GIT_SECRET" ;;
esac
"""


class Done(NamedTuple):
    """How a call ended."""

    code: int
    out: bytes
    err: str


class Git:
    """git on one repository. `where` names it in errors; it holds no secret."""

    def __init__(self, folder: Path, where: str, *, login: Login, home: Path) -> None:
        found = shutil.which("git")
        if found is None:
            raise Unsupported("a registry in git needs the git program, and there is none on the PATH; install git")
        self._program = found
        self.folder = folder
        self.where = where
        self._login = login
        self._home = home
        self._secret: str | None = None

    def run(
        self,
        *words: str,
        given: bytes = b"",
        also: Mapping[str, str] | None = None,
        within: float = HERE_S,
        bare: bool = False,
        holding: int | None = None,
    ) -> Done:
        """One call. `bare` leaves the repository unnamed, for what makes it; `holding` is a lock's descriptor, which
        git keeps locked until its own end, whatever becomes of us."""
        env = {name: value for name, value in os.environ.items() if name not in _INHERITED}
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_ASKPASS": "true"}
        env.setdefault("GIT_SSH_COMMAND", _SSH)
        options = list(_ALWAYS)
        if within > HERE_S and self._login.there:
            env |= self._secrets()
            options += ["-c", "credential.helper="]  # what we are given is not for other programs to keep
        env |= also or {}
        place = [] if bare else [f"--git-dir={self.folder}"]
        command = [self._program, *options, *place, *words]
        try:
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                start_new_session=True, cwd="/", pass_fds=() if holding is None else (holding,),
            ) as process:  # fmt: skip
                try:
                    out, err = process.communicate(given, timeout=within)
                except subprocess.TimeoutExpired:
                    self._end(process)
                    raise Unreachable(
                        f"{self.where}: git {words[0]} gave no answer within {within:.0f} s; nothing more is known of "
                        "it. Look whether the server and the network are well, and repeat."
                    ) from None
                except BaseException:
                    self._end(process)
                    raise
        except OSError as error:
            raise Unreachable(f"{self.where}: git cannot be started: {error.strerror}") from error
        return Done(process.returncode, out, err.decode("utf-8", "replace").strip())

    def ask(self, *words: str, given: bytes = b"", also: Mapping[str, str] | None = None) -> bytes:
        """What it prints. A BackendError in our words where it fails."""
        done = self.run(*words, given=given, also=also)
        if done.code:
            raise trouble(self.where, words[0], done)
        return done.out

    def line(self, *words: str, given: bytes = b"", also: Mapping[str, str] | None = None) -> str:
        return self.ask(*words, given=given, also=also).decode("utf-8", "surrogateescape").strip()

    def save(self, name: str, path: Path) -> None:
        """An object's content as a file, however large it is."""
        with path.open("xb") as target:
            done = subprocess.run(
                [self._program, *_ALWAYS, f"--git-dir={self.folder}", "cat-file", "blob", name],
                stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.PIPE, check=False, timeout=AWAY_S,
            )  # fmt: skip
            target.flush()
            os.fsync(target.fileno())
        if done.returncode:
            err = done.stderr.decode("utf-8", "replace").strip()
            raise trouble(self.where, "cat-file", Done(done.returncode, b"", err))

    def forget_secret(self) -> None:
        """So that the next call fetches it anew: it may have been renewed."""
        self._secret = None

    def _secrets(self) -> dict[str, str]:
        """By the environment alone: arguments are seen by everybody on the machine."""
        if self._secret is None:
            self._secret = self._login.secret()
        script = self._home / "git-askpass"
        if not script.is_file() or script.read_text() != _ASKPASS:
            fresh = script.with_name(f"{script.name}.{os.getpid()}")
            fresh.touch(mode=0o700)
            fresh.write_text(_ASKPASS)
            fresh.replace(script)
        return {
            "GIT_ASKPASS": str(script),
            "MLOPS_GIT_USERNAME": self._login.username or "token",
            "MLOPS_GIT_SECRET": self._secret,
        }

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """With what it started for the network."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


_SAYS: Final[Sequence[tuple[tuple[str, ...], type[BackendError], str]]] = (
    (
        ("authentication failed", "could not read username", "could not read password", "permission denied (publickey",
         "invalid username or", "http basic: access denied", "returned error: 401", "host key verification failed"),
        Unauthorized,
        "does not accept who we are. Give the context a token (token_env, token_file or token_command, with username), "
        "or for ssh a key that the server knows",
    ),
    (
        ("returned error: 403", "write access to repository not granted", "you are not allowed", "protected"),
        Refused,
        "does not let us do that. Ask whoever owns the repository for the right to it",
    ),
    (
        ("dubious ownership",),
        Refused,
        "belongs to somebody else, and git does not open it. If you trust it: "
        "git config --global --add safe.directory with its path",
    ),
    (
        ("permission denied", "read-only file system", "insufficient permission"),
        Refused,
        "may not be written by you. Ask whoever owns the repository for the right to it",
    ),
    (
        ("not a git repository", "does not appear to be a git repository", "repository not found",
         "returned error: 404", "does not exist"),
        NotFound,
        "is no git repository that we can see. Correct the address, or make the repository first",
    ),
    (
        ("no space left", "disk quota"),
        Unreachable,
        "cannot be written: the disk is full. Make room, and repeat",
    ),
    (
        ("certificate",),
        Unreachable,
        "shows a certificate that this machine does not trust. Tell git whose it is: git config --global "
        "http.sslCAInfo with the file of the authority",
    ),
    (
        ("could not resolve host", "connection refused", "connection timed out", "could not connect",
         "network is unreachable", "couldn't connect", "failed to connect", "connection reset", "early eof", "hung up",
         "could not read from remote", "broken pipe", "returned error: 5", "operation timed out", "connection closed"),
        Unreachable,
        "does not answer. Look whether the server and the network are well, and repeat",
    ),
)  # fmt: skip


def trouble(where: str, verb: str, done: Done) -> BackendError:
    """What git complains of, as one of our errors; its last words come along."""
    said = done.err.lower()
    words = last_words(done.err)
    for marks, kind, sentence in _SAYS:
        if any(mark in said for mark in marks):
            return kind(f"{where} {sentence}. (git {verb}: {words})")
    return Unreachable(f"{where}: git {verb} failed: {words}")


def last_words(err: str) -> str:
    """The telling line of what git wrote."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    reasons = [
        line for line in lines if line.lower().startswith(("ssh:", "remote:", "git@")) or ": permission denied" in line
    ]
    telling = [line for line in lines if line.lower().startswith(("fatal:", "error:"))]
    return ((reasons or telling or lines)[-1] if lines else "it said nothing")[:300]
