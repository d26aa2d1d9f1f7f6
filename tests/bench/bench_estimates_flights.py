"""How far performance estimated without labels lies from what came, month by month, on the flights of 2013.

`python -m tests.bench.bench_estimates_flights`: a model of January and February, its held-out rows of these months, and
the ten months after them. Where the gap is more than chance, the words that a person reads of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import load_champion
from console.monitoring.quality.answers import gap_of, gap_words
from tests.integration.test_monitor_flights import month_window, trained
from tests.monitored import WHO

SHOWN = ("auc", "accuracy", "brier", "log_loss")


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        backend, rest, _ = trained(Path(home), seed=0, last=12)
        champion = load_champion(backend, create_monitor(backend, "told", "flights", mutation=WHO))
        sys.stdout.write(f"{'month':8s}" + "".join(f"{name + ' est/true':>22s}" for name in SHOWN) + "   of the AUC\n")
        for month in range(1, 13):
            window = month_window(champion, rest[rest["month"] == month])
            gaps = [gap_of(window, name) for name in SHOWN]
            cells = [f"{gap.estimated.value:.3f} / {gap.realized.value:.3f}" if gap else "" for gap in gaps]
            said = gap_words(gaps[0])[0] if gaps[0] else ""
            sys.stdout.write(f"{month:<8d}" + "".join(f"{cell:>22s}" for cell in cells) + f"   {said}\n")
        backend.close()


if __name__ == "__main__":
    main()
