"""Look at the newest rows of a monitor, all columns together, and note it with the newest window."""

from __future__ import annotations

import msgspec
import pandas as pd

from backends.contract import Backend, Invalid, NotFound
from backends.entities import ModelVersion, Monitor, Window
from console.monitoring.counted.profile import REFERENCE_SAMPLE
from console.monitoring.drift.multivariate import FEWEST, MOST, Together, together
from console.monitoring.feeds.sample import read_sample
from console.monitoring.folder import locked, monitor_folder
from console.monitoring.reference import read_profile

MOST_WINDOWS = 60
"""The newest windows are put together until there are rows enough, so many at most."""


def review_together(backend: Backend, name: str) -> Together:
    """What the newest sampled rows say; kept in `Window.multivariate` of the newest window.

    Raises NotFound where the version kept no sample, Invalid with too few rows.
    """
    store = backend.need("monitors")
    monitor: Monitor = store.get(name)
    windows: tuple[Window, ...] = store.windows(name, limit=MOST_WINDOWS)
    if not windows:
        raise Invalid(f"monitor {name} has counted nothing yet", "monitor")
    newest = windows[-1]
    version: ModelVersion = backend.need("registry").version(monitor.model, newest.model_version)
    profile, reference = read_profile(backend, version), reference_sample(backend, version)
    folder = monitor_folder(backend, name)
    rows = pd.DataFrame()
    for window in reversed([each for each in windows if each.model_version == newest.model_version]):
        rows = read_sample(folder, since=window.start, version=newest.model_version, limit=MOST)
        if len(rows) >= MOST:
            break
    if len(rows) < FEWEST:
        raise Invalid(f"monitor {name} has {len(rows)} sampled rows of {version.ref}; {FEWEST} are needed", "rows")
    found = together(profile, reference, rows)
    with locked(folder):  # a scorer that adds to the same window meanwhile must not be written over
        current = next((each for each in store.windows(name, limit=5) if each.start == newest.start), None)
        if current is not None:
            kept = {"reconstruction": found.reconstruction, "domain": found.domain}
            store.add_window(msgspec.structs.replace(current, multivariate=kept))
    return found


def reference_sample(backend: Backend, version: ModelVersion) -> pd.DataFrame:
    """Held-out rows that are kept with a version. Raises NotFound where it has none."""
    try:
        path = backend.need("artifacts").open(version.run, REFERENCE_SAMPLE)
    except NotFound as error:
        raise NotFound(
            f"{version.ref} kept no rows to hold others against ({REFERENCE_SAMPLE}); train it again with this console"
        ) from error
    return pd.read_parquet(path)
