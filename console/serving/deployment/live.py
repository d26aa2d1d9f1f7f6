"""What a running server says of itself, asked on its admin socket.

Light to import: a console asks every other second.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Refused, Unreachable, Unsupported
from backends.entities import Deployment, Served
from console.serving.deployment.place import targets_of
from console.serving.state import State, TargetState

ASK_S: Final = 6.0
"""How long a server that lives may take to say how it is."""


class _Unix(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: str, method: str, what: str, body: object = None, *, timeout: float = ASK_S) -> bytes:
    """The answer's body. Unreachable where no server listens there, Refused with what it says where it will not,
    Unsupported where it does not know what."""
    connection = _Unix(path, timeout)
    try:
        connection.request(
            method,
            what,
            None if body is None else msgspec.json.encode(body),
            {"Content-Type": "application/json", "Connection": "close"},
        )
        answer = connection.getresponse()
        said = answer.read(64 << 20)
    except (OSError, HTTPException) as error:
        raise Unreachable(f"the server behind {path} does not answer ({error}); look at its log.") from error
    finally:
        connection.close()
    if answer.status == 404:
        raise Unsupported(f"the server behind {path} knows no {method} {what}; stop and start it for this release.")
    if answer.status >= 300:
        raise Refused(f"the server refused {method} {what} ({answer.status}): {_why(said)}")
    return said


def _why(said: bytes) -> str:
    try:
        found: Any = msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said.decode("utf-8", "replace")[:400]
    for name in ("message", "error", "detail", "why"):
        if isinstance(found, dict) and found.get(name):
            return str(found[name])[:400]
    return said.decode("utf-8", "replace")[:400]


class ServerFile(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a deployment's `server.json` that whoever asks the server needs."""

    socket: str = ""


def socket_of(folder: Path) -> str:
    """Where the deployment's server listens for commands, as the agent wrote down; empty for nowhere."""
    try:
        return msgspec.json.decode((folder / "server.json").read_bytes(), type=ServerFile).socket
    except (OSError, msgspec.DecodeError):
        return ""


def state(path: str, *, timeout: float = ASK_S) -> State:
    """How the server is. Unreachable where none answers."""
    said = ask(path, "GET", "/state", timeout=timeout)
    try:
        return msgspec.json.decode(said, type=State)
    except msgspec.DecodeError as error:
        raise Unreachable(
            f"the server behind {path} speaks another version of the program ({error}); stop and start it."
        ) from error


def bring_up(path: str, deployment: Deployment, *, timeout: float) -> State:
    """Have the server take the targets and the number of workers that the deployment has now. Refused with its
    reason where it cannot; then what it served goes on."""
    found = state(path)
    if not same_targets(found, deployment):
        ask(path, "POST", "/targets", targets_of(deployment), timeout=timeout)
    if len(found.workers) != deployment.workers:
        ask(path, "POST", "/workers", deployment.workers, timeout=timeout)
    return state(path)


def warm(path: str, version: str, *, timeout: float) -> None:
    """Have the server load the version beside what it serves. Refused with its reason where it cannot, Unsupported
    where it is of a release that knows no such thing."""
    ask(path, "POST", "/warm", version, timeout=timeout)


def look(path: str, *, timeout: float) -> None:
    """Have the server look at its aliases now, and serve what they name."""
    ask(path, "POST", "/look", timeout=timeout)


def matches(found: State, deployment: Deployment) -> bool:
    """Whether the server was told all that the deployment is now."""
    return same_targets(found, deployment) and len(found.workers) == deployment.workers


def same_targets(found: State, deployment: Deployment) -> bool:
    told = [(each.target, each.share, each.shadow) for each in found.targets]
    return told == [(each.name, each.share, each.shadow) for each in targets_of(deployment)]


def served_of(found: State) -> tuple[Served, ...]:
    """What each target is answered with, and why where it is not what is wanted."""
    return tuple(
        Served(
            target=each.alias or each.target,
            version=each.version,
            digest=each.sha256,
            since=each.loaded_at,
            trouble=_trouble(each),
        )
        for each in found.targets
    )


def trouble_of(found: State) -> str:
    """What is wrong with the server besides its targets."""
    if found.log_trouble:
        return f"predictions are not kept: {found.log_trouble}"
    if found.away:
        return f"the aliases may have moved unseen, what is loaded goes on: {found.away}"
    return ""


def _trouble(target: TargetState) -> str:
    if target.state == "serving":
        return ""
    if target.wanted:
        return f"v{target.wanted} is wanted and not served: {target.why or target.state}"
    return target.why or target.state
