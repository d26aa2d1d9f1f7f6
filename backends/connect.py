"""From a context's words to a backend: `local:/path`, or an adapter that a package offers by entry point.

An adapter is an entry point of the group `mlops_console.backends` named as the first word of its urls (`mlflow` for
`mlflow+https://…`): a function `(name, url, sidecar, login, options) -> Backend`. The sidecar is an embedded store:
what the server cannot keep is kept there, and what the adapter leaves None is taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Invalid, MetricSource
from backends.entities import LauncherRef
from backends.login import Login

GROUP: Final = "mlops_console.backends"
REMOTE: Final = "remote.json"
"""In a sidecar: which server it stands beside, so that agent and supervisors find it. It holds no secret."""
_KEPT_BESIDE: Final = (
    "datasets", "definitions", "reports", "journal", "monitors", "deployments", "triggers", "requests",
    "retention",
)  # fmt: skip

Adapter = Callable[[str, str, Backend, Login, Mapping[str, str]], Backend]

METRICS_GROUP: Final = "mlops_console.metrics"
"""Entry points of metrics stores: functions `(url, login, options) -> MetricSource`, named as their urls begin."""


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """What a sidecar's directory says of its server."""

    name: str
    url: str
    login: Login = Login()
    options: dict[str, str] = {}
    keeps_runs: bool = True
    """Else the sidecar keeps them: the server is a registry alone."""


def connect(
    name: str,
    url: str,
    *,
    sidecar: Path | None = None,
    read_only: bool = False,
    login: Login | None = None,
    options: Mapping[str, str] | None = None,
    launcher: LauncherRef | None = None,
) -> Backend:
    """Open a backend. `sidecar` is the directory of the embedded store beside a server; `launcher` the cluster that
    runs are launched on, this machine by default."""
    scheme, colon, rest = url.partition(":")
    if not colon or not rest:
        raise Invalid(f"context {name}: a url like local:/path is wanted, not {url!r}.", "url")
    if scheme == "local":
        from backends.local import open_local

        # A read-only context makes no workspace where there is none.
        backend = open_local(Path(rest), create=not read_only, name=name)
    elif scheme == "workspace":
        backend = open_workspace(Path(rest))
    else:
        _adapter(name, _word(url))  # a wrong url is told before a directory is asked for
        if sidecar is None:
            raise Invalid(f"context {name}: {scheme}: needs a directory for what its server cannot keep.", "sidecar")
        remote = Remote(name=name, url=url, login=login or Login(), options=dict(options or {}))
        backend = _beside(remote, sidecar)
    if launcher is not None:
        from backends.launchers import launching

        backend = launching(backend, launcher)
    if read_only:
        from backends.readonly import read_only as reading

        return reading(backend)
    return backend


def connect_metrics(url: str, *, login: Login | None = None, options: Mapping[str, str] | None = None) -> MetricSource:
    """Open a metrics store such as `prometheus+https://…`. Nothing is asked of it before somebody does; Invalid for a
    wrong address."""
    word = _word(url)
    if word == "prometheus":  # it comes along: the packages need not be looked through
        from backends.prometheus.source import open_prometheus

        return open_prometheus(url, login or Login(), options or {})
    from importlib.metadata import entry_points

    names = entry_points(group=METRICS_GROUP)
    for entry in names:
        if entry.name == word:
            opened: MetricSource = entry.load()(url, login or Login(), options or {})
            return opened
    known = ", ".join(f"{name}+https:" for name in sorted({"prometheus", *names.names}))
    raise Invalid(f"no adapter is installed for metrics of {word[:40]!r}: urls; there are {known}", "url")


def remote_of(directory: Path) -> Remote | None:
    """The server that a workspace directory is the sidecar of, or None."""
    try:
        return msgspec.json.decode((directory / REMOTE).read_bytes(), type=Remote)
    except FileNotFoundError:
        return None


def server_of_runs(directory: Path) -> Remote | None:
    """The server that keeps the runs of a workspace directory; None where the directory keeps them itself."""
    found = remote_of(directory)
    return found if found is not None and found.keeps_runs else None


def place_of(backend: Backend) -> str:
    """A url by which another process of this machine opens the same backend. It holds no secret."""
    if backend.home is None or backend.url.startswith("local:"):
        return backend.url
    return f"workspace:{backend.home}"


def open_workspace(directory: Path) -> Backend:
    """The backend that a workspace directory belongs to: its own store, or the server that it is the sidecar of."""
    from backends.local import open_local

    remote = remote_of(directory)
    return open_local(directory, create=False) if remote is None else _beside(remote, directory)


def _beside(remote: Remote, directory: Path) -> Backend:
    """The server's backend, completed by the sidecar."""
    adapter = _adapter(remote.name, _word(remote.url))
    from backends.local import open_local
    from backends.local.launcher import LocalLauncher

    sidecar = open_local(directory, name=remote.name)
    try:
        backend = adapter(remote.name, remote.url, sidecar, remote.login, remote.options)
        _note_remote(directory, msgspec.structs.replace(remote, keeps_runs=backend.runs is not sidecar.runs))
    except BaseException:
        sidecar.close()
        raise
    kept = {
        capability: getattr(sidecar, capability)
        for capability in _KEPT_BESIDE
        if getattr(backend, capability) is None and capability not in backend.missing
    }
    backend = msgspec.structs.replace(backend, home=sidecar.home, **kept)
    if backend.launcher is None and backend.runs is not None and backend.requests is not None:
        launcher = LocalLauncher(directory, backend.runs, backend.requests, backend.journal)
        backend = msgspec.structs.replace(backend, launcher=launcher)
    if backend.launcher is None and "launcher" not in backend.missing:
        why = "runs that would be launched have no place to be kept in: this server keeps none"
        backend = msgspec.structs.replace(backend, missing=backend.missing | {"launcher": why})
    return backend


def _word(url: str) -> str:
    return re.split(r"[+.:]", url, maxsplit=1)[0]


def _note_remote(directory: Path, remote: Remote) -> None:
    path, said = directory / REMOTE, msgspec.json.encode(remote)
    try:
        if path.read_bytes() == said:
            return
    except FileNotFoundError:
        pass
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(said)
    fresh.replace(path)


def _adapter(name: str, word: str) -> Adapter:
    from importlib.metadata import entry_points  # 20 ms: only for remote contexts

    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == word:
            loaded: Adapter = entry.load()
            return loaded
    known = ", ".join(sorted({"local", *found.names}))
    raise Invalid(f"context {name}: no adapter is installed for {word}: urls; there are {known}.", "url")
