"""Ours against the saved profile: the current rows are counted and judged; the reference was counted at training."""

from __future__ import annotations

from typing import Any

from tests.bench.beside.timed import now, since, told

began = now()
from console.monitoring.counted.columns import count_features  # noqa: E402
from console.monitoring.counted.counts import layout_of  # noqa: E402
from console.monitoring.counted.profile import Profile, build_profile  # noqa: E402
from console.monitoring.counted.windows import make_window  # noqa: E402

imported = since(began)


def profiled(reference: Any) -> Profile:
    import numpy as np

    rng = np.random.default_rng(0)
    scores = rng.random(1000)
    labels = (rng.random(1000) < scores).astype(int)
    return build_profile(reference, scores, labels, task="classification", positive=1, classes=[0, 1])


def work(profile: Profile, current: Any) -> object:
    layout = layout_of(profile)
    counts = count_features(current, profile, layout)
    return make_window("m", profile, layout, counts, start=0, end=3_600_000, version="1")


if __name__ == "__main__":
    told(imported, work, profiled)
