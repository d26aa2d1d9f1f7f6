"""From a context's `launcher = "…"` to the engine that its runs are launched on.

An engine is an entry point of the group `mlops_console.launchers`, named as the first word of its urls (`ray` for
`ray+https://…`): a function `(LauncherRef) -> Engine` that asks nothing yet. Without one runs are launched on this
machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from backends.contract import Backend, Engine, Invalid
from backends.entities import LauncherRef
from backends.login import Login

GROUP: Final = "mlops_console.launchers"
LOCAL: Final = "local"

Opener = Callable[[LauncherRef], Engine]


def engine_of(url: str) -> str:
    """The name of the engine that a launcher's url asks for; `local` for an empty one."""
    return re.split(r"[+.:]", url, maxsplit=1)[0] if url else LOCAL


def login_of(ref: LauncherRef) -> Login:
    """Where the engine's token is."""
    return Login(username=ref.username, env=ref.token_env, file=ref.token_file, command=ref.token_command)


def installed() -> tuple[str, ...]:
    """The names of all engines, `local` first."""
    from importlib.metadata import entry_points  # 20 ms

    return (LOCAL, *sorted(entry_points(group=GROUP).names))


def open_engine(ref: LauncherRef) -> Engine:
    """The engine of a launcher's url. Nothing is asked of it yet. Invalid where none is installed for it."""
    from importlib.metadata import entry_points  # 20 ms: only where runs go to a cluster

    word = engine_of(ref.url)
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == word:
            opener: Opener = entry.load()
            return opener(ref)
    known = ", ".join(sorted({LOCAL, *found.names}))
    raise Invalid(f"launcher = {ref.url!r}: no launcher is installed for {word}: urls; there are {known}.", "launcher")


def launching(backend: Backend, ref: LauncherRef | None) -> Backend:
    """The same backend, its runs launched on the engine; on this machine where none is named."""
    if ref is None or engine_of(ref.url) == LOCAL or backend.home is None or backend.launcher is None:
        return backend
    from backends.local.cluster_launcher import ClusterLauncher

    launcher = ClusterLauncher(
        backend.home, ref, open_engine(ref), backend.launcher, backend.need("runs"), backend.need("requests"),
        backend.journal,
    )  # fmt: skip
    return msgspec.structs.replace(backend, launcher=launcher, launches_on=ref)
