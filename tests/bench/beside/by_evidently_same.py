"""Evidently's preset with the tests that all have: Kolmogorov-Smirnov for numbers, chi-square for categories."""

from __future__ import annotations

import warnings

warnings.simplefilter("ignore")
from timed import now, since, told  # noqa: E402

began = now()
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

imported = since(began)


def work(reference: object, current: object) -> object:
    preset = DataDriftPreset(num_method="ks", cat_method="chisquare")
    return Report([preset]).run(current, reference).dict()


if __name__ == "__main__":
    told(imported, work)
