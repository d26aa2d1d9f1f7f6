"""Ours on rows: PSI, Jensen-Shannon, exact KS and Wasserstein, chi-square, corrected p-values, named faults."""

from __future__ import annotations

from tests.bench.beside.timed import now, since, told

began = now()
from console.monitoring.drift.compare import compare  # noqa: E402

imported = since(began)

if __name__ == "__main__":
    told(imported, compare)
