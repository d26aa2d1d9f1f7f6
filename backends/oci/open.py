"""An OCI registry as a backend: models are there, everything else is in the embedded store beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.login import Login


def open_oci(name: str, url: str, sidecar: Backend, login: Login, options: Mapping[str, str]) -> Backend:
    """The backend of `oci+https://…`. Nothing is asked yet: a server that is away is no error before that."""
    import threading

    import msgspec

    from backends.contract import BackendError, Invalid
    from backends.oci.artifacts import OciArtifacts
    from backends.oci.distribution import Distribution
    from backends.oci.registry import OciRegistry
    from backends.oci.room import Room
    from backends.remote.retention import RegisteredStay
    from backends.remote.state import State

    home = sidecar.home
    if home is None:
        raise Invalid(f"context {name}: a registry needs a directory for what it cannot keep", "sidecar")
    registry = Distribution(url, login=login, options=options, cache=home / "oci-cache.db")
    state = State(home / "oci.db")
    room = Room(registry, sidecar, state)
    artifacts = OciArtifacts(room, sidecar.need("artifacts"), home / "oci")
    models = OciRegistry(room, artifacts, dict(options))

    entries = models.aliases.half_done()

    def settle() -> None:
        try:
            models.aliases.settle(models.get, entries)
        except BackendError:
            pass  # the registry is away: at the next opening then

    settling = threading.Thread(target=settle, name="reconcile", daemon=True)
    if entries:
        settling.start()

    def close() -> None:
        if settling.is_alive():
            settling.join()  # each of its questions ends by the time limit
        registry.close()
        state.close()
        sidecar.close()

    kept = sidecar.retention
    return msgspec.structs.replace(
        sidecar,
        name=name,
        url=registry.address.shown,
        features=msgspec.structs.replace(sidecar.features, compare_and_set=room.comparing),
        artifacts=artifacts,
        registry=models,
        # A run of this machine that became a version stays: the store beside knows of no versions.
        retention=RegisteredStay(kept, state.registered) if kept is not None else None,
        changed=room.changed,
        close=close,
    )
