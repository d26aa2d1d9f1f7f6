"""The version that a monitor scores with: its model, loaded after its digest and types were checked, and its reference.

Only a worker process comes here: loading a model runs code. What was loaded stays until the alias moves.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import msgspec

from backends.contract import Backend, NotFound
from backends.entities import ModelVersion, Monitor
from console.model_meta import ModelMeta, read_meta
from console.monitoring.counted.counts import Layout, layout_of
from console.monitoring.counted.profile import Profile
from console.monitoring.reference import as_ranked_by, read_profile

FEW = 10_000
"""Rows that one thread scores."""


class Champion(msgspec.Struct, frozen=True):
    """A loaded version."""

    version: ModelVersion
    model: Any
    """None where only its reference was read."""
    meta: ModelMeta
    profile: Profile
    layout: Layout


def load_champion(backend: Backend, monitor: Monitor, *, version: str = "") -> Champion:
    """The version that the monitor's alias names (or the one asked for), verified and loaded.

    Raises NotFound where the alias or a file is not there, Refused where the model file is not the registered one.
    """
    from console.training.model_file import load_model

    read = read_champion(backend, monitor, version=version)
    found = read.version
    if found.file.path == "" or found.file.sha256 == "":
        raise NotFound(f"{found.ref} has no model file on record, so nothing can be scored with it; register it again")
    model = load_model(backend.need("artifacts").open(found.run, found.file.path), found.file.sha256)
    return msgspec.structs.replace(read, model=model)


def read_champion(backend: Backend, monitor: Monitor, *, version: str = "") -> Champion:
    """A version with its reference, its model not loaded: for rows that were scored before."""
    found: ModelVersion = backend.need("registry").version(monitor.model, version or f"@{monitor.alias}")
    meta = read_meta(backend, found.run, found.ref)
    profile = as_ranked_by(read_profile(backend, found), monitor)
    return Champion(version=found, model=None, meta=meta, profile=profile, layout=layout_of(profile))


def scores_of(champion: Champion, frame: Any) -> Any:
    """The scores of the rows of a frame, as training scores them: probability (or margin) of the positive class (n,),
    of every class (n, classes), or the prediction (n,)."""
    import numpy as np

    from console.training.scoring import scores_of as scores_of_model

    model, task = champion.model, champion.profile.task
    positive = None
    if task == "binary":
        # meta.json spells the class, the model has it in its own type
        named = {str(value): value for value in model.classes_}
        positive = named[str(champion.meta.positive)]
    # Threads that wait for each other cost more than few rows do, by far on a machine that is busy.
    with one_thread() if len(frame) < FEW else nullcontext():
        return np.asarray(scores_of_model(model, frame, task=task, positive=positive), dtype=np.float64)


@cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController  # looks through all that is loaded: once

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Within it, numeric libraries use one."""
    found: AbstractContextManager[object] = _pools().limit(limits=1)
    return found
