"""Before an alias moves, each server that follows it loads the version it will have to serve, beside the one it serves.

So the first answer after the move comes from the new version, and a version that does not load is known before anybody
relies on it. A server that does not answer is no reason to wait: it loads what the alias names once it lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from backends.contract import Backend, Refused, Unreachable, Unsupported
from backends.entities import AliasChange, Deployment, DeploymentState, GateResult, GateStatus, Record
from console.promotion.result import result

GATE: Final = "loads"
RULE: Final = "each server that follows loads it, and it answers a plain row"
_LOAD_S: Final = 330.0
"""A server gives up loading earlier by itself."""
_SWITCH_S: Final = 5.0


class Follower(Record, frozen=True, kw_only=True):
    """A deployment whose server will serve the version once the alias has moved."""

    deployment: Deployment
    alias: str
    version: str


class Warmed(Record, frozen=True, kw_only=True):
    """What became of one."""

    follower: Follower
    gate: GateResult
    socket: str = ""
    """Where its server takes commands; empty where it is not ready."""


def followers(backend: Backend, model: str, changes: Sequence[AliasChange]) -> tuple[Follower, ...]:
    """Whoever follows one of the aliases and is wanted to serve."""
    from console.serving.deployment.change import following

    return tuple(
        Follower(deployment=deployment, alias=change.alias, version=change.version)
        for change in changes
        if change.version is not None
        for deployment in following(backend, model, change.alias)
    )


def warm(backend: Backend, those: Sequence[Follower], tell: Callable[[str], object]) -> tuple[Warmed, ...]:
    """Each asked in turn to load its version and try it; a gate says what became of it."""
    return tuple(_warm(backend, follower, tell) for follower in those)


def _warm(backend: Backend, follower: Follower, tell: Callable[[str], object]) -> Warmed:
    from console.serving.deployment import live
    from console.serving.deployment.place import folder_of

    name, version = follower.deployment.name, follower.version
    where = f"v{version} in {name}"
    if follower.deployment.status.state not in (DeploymentState.SERVING, DeploymentState.STARTING):
        why = f"its server is {follower.deployment.status.state}"
        return _not_ready(follower, f"{why}; it loads v{version} when it serves again", tell)
    socket = live.socket_of(folder_of(backend.home, name)) if backend.home is not None else ""
    if not socket:
        return _not_ready(follower, f"its server is not of this machine; it loads v{version} after the move", tell)
    began = time.monotonic()
    try:
        live.state(socket)  # one that hangs is known sooner than a load ends
        tell(f"{name}: loading v{version} beside what is served …")
        live.warm(socket, version, timeout=_LOAD_S)
    except (Unreachable, Unsupported) as error:
        return _not_ready(follower, f"{error} It loads v{version} after the move", tell)
    except Refused as error:
        tell(f"{name}: v{version} does not load")
        return Warmed(follower=follower, gate=result(GATE, GateStatus.FAIL, where, RULE, str(error)))
    took = f"loaded in {(time.monotonic() - began) * 1000:.0f} ms"
    tell(f"{name}: v{version} {took}")
    return Warmed(follower=follower, gate=result(GATE, GateStatus.PASS, where, RULE, took), socket=socket)


def _not_ready(follower: Follower, why: str, tell: Callable[[str], object]) -> Warmed:
    tell(f"{follower.deployment.name}: {why}")
    where = f"v{follower.version} in {follower.deployment.name}"
    return Warmed(follower=follower, gate=result(GATE, GateStatus.WARN, where, RULE, why))


def switch(those: Sequence[Warmed]) -> None:
    """Have each server look at its aliases now. One that does not answer looks by itself before long."""
    from console.serving.deployment import live

    for socket in dict.fromkeys(each.socket for each in those if each.socket):
        try:
            live.look(socket, timeout=_SWITCH_S)
        except (Unreachable, Refused):
            pass
