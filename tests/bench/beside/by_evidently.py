"""Evidently's preset for data drift: one score a column, and the widgets of its report."""

from __future__ import annotations

import warnings

warnings.simplefilter("ignore")
from timed import now, since, told  # noqa: E402

began = now()
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

imported = since(began)

if __name__ == "__main__":
    told(imported, lambda reference, current: Report([DataDriftPreset()]).run(current, reference).dict())
