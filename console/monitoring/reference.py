"""The reference of a version: the profile that was saved with it, which its windows are held against. Plain Python."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Invalid, NotFound
from backends.entities import ModelVersion, Monitor
from console.monitoring.counted.profile import Profile, load_profile
from console.monitoring.quality.ranking import OF_ALL

REFERENCE = "model/reference.json"


def read_profile(backend: Backend, version: ModelVersion) -> Profile:
    """The reference profile of a version, without loading its model."""
    try:
        path = backend.need("artifacts").open(version.run, REFERENCE)
    except NotFound as error:
        raise NotFound(
            f"{version.ref} has no reference profile ({REFERENCE} of run {version.run[:8]}), so there is nothing to "
            "hold windows against; train it again with this console"
        ) from error
    try:
        return load_profile(path)
    except ValueError as error:
        raise Invalid(f"{version.ref}: {error}", "reference") from error


def as_ranked_by(profile: Profile, monitor: Monitor) -> Profile:
    """The reference as the monitor ranks: over as many ranks, where the held-out rows were measured over those too
    (what looks at all ranks holds for any), and without its ranking where the rows are ranked within other groups."""
    if monitor.top == profile.top and (not profile.ranking or profile.query == monitor.group_column):
        return profile
    ranking = profile.ranking if monitor.top == profile.top else profile.rankings.get(monitor.top)
    if ranking is None:
        ranking = {name: value for name, value in profile.ranking.items() if name in OF_ALL}
    if profile.query != monitor.group_column:
        ranking = {}
    return msgspec.structs.replace(profile, ranking=ranking, top=monitor.top)
