"""Evidently's preset for data drift: one score a column, and the widgets of its report."""

from __future__ import annotations

import time
import warnings

warnings.simplefilter("ignore")
began = time.process_time()
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

imported = time.process_time() - began

if __name__ == "__main__":
    from timed import told

    told(imported, lambda reference, current: Report([DataDriftPreset()]).run(current, reference).dict())
