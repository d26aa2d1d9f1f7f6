"""A registry in git as a backend: models are its tags, everything else is the sidecar's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.login import Login


def open_gto(name: str, url: str, sidecar: Backend, login: Login, options: Mapping[str, str]) -> Backend:
    """The backend of `gto+file:///repo` and its like. Nothing is asked yet: a server that is away is no error before
    that."""
    import msgspec

    from backends.contract import Invalid
    from backends.gto.address import read_address
    from backends.gto.artifacts import GtoArtifacts
    from backends.gto.journal import GtoJournal
    from backends.gto.options import read_options
    from backends.gto.registry import GtoRegistry
    from backends.gto.repository import Repository
    from backends.gto.state import State
    from backends.remote.retention import RegisteredStay

    home = sidecar.home
    if home is None:
        raise Invalid(f"context {name}: a registry in git needs a directory for what git cannot keep", "sidecar")
    chosen = read_options(options)
    repository = Repository(read_address(url), home, login, mirror=chosen.copy)
    state = State(home / "gto.db")
    journal = sidecar.need("journal")
    registry = GtoRegistry(repository, chosen.numbering, state, journal, lambda: artifacts, chosen.max_file)

    registry.settle()  # a file is asked; git only where a process was killed in the middle of a change
    retention = sidecar.retention
    if retention is not None:
        retention = RegisteredStay(retention, registry.registered)
    artifacts = sidecar.artifacts
    if artifacts is not None:
        artifacts = GtoArtifacts(artifacts, repository, home, registry.of_run)

    def changed() -> object:
        return sidecar.changed(), repository.changed()

    def close() -> None:
        if repository.remote is not None:
            repository.remote.close()
        state.close()
        sidecar.close()

    return msgspec.structs.replace(
        sidecar,
        name=name,
        url=url,
        registry=registry,
        artifacts=artifacts,
        journal=GtoJournal(journal, repository, chosen.numbering, state),
        retention=retention,
        changed=changed,
        close=close,
    )
