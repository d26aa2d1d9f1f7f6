"""Ours on rows: PSI, Jensen-Shannon, exact KS and Wasserstein, chi-square, corrected p-values, named faults."""

from __future__ import annotations

import time

began = time.process_time()
from console.monitoring.drift.compare import compare  # noqa: E402

imported = time.process_time() - began

if __name__ == "__main__":
    from tests.bench.beside.timed import told

    told(imported, compare)
