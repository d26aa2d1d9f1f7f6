"""How often 95 % intervals hold the truth, by simulation: `python -m tests.bench.bench_coverage [DRAWS]`.

Realized metrics by rows with a label, and metrics estimated without labels under shifts of the inputs; budget: within
two points of 95 % from 200 rows on (what chance adds in the simulation left aside).
"""

from __future__ import annotations

import sys

import numpy as np

from backends.entities import Estimate
from console.monitoring.counted.counting import confusion_of, count_scores
from console.monitoring.counted.profile import SCORE_CELLS, ScoreCells
from console.monitoring.quality import performance
from console.monitoring.quality.estimated import estimate
from tests.unit import test_monitoring_estimated as simulated

UNIT = ScoreCells(low=0.0, high=1.0, counts=(), groups=())
TOLERANCE = 0.02


def holds(found: Estimate | None, truth: float) -> bool:
    return found is not None and None not in (found.low, found.high) and found.low <= truth <= found.high


def classified(rows: int, rng: np.random.Generator) -> dict[str, Estimate]:
    scores, labels = simulated.drawn(rows, rng)
    targets = labels.astype(float)
    counts, sums = count_scores(scores, targets, UNIT, "binary")
    table = confusion_of(scores, targets, 2, "binary", "probability", 1).reshape(2, 3)
    return performance.measure(counts.reshape(3, SCORE_CELLS).tolist(), sums, "binary", table=table.tolist())


def predicted(rows: int, rng: np.random.Generator) -> dict[str, Estimate]:
    guess = rng.normal(50, 10, rows)
    truth = guess + rng.normal(0.5, 1 + 0.05 * np.abs(guess), rows)
    counts, sums = count_scores(guess, truth, ScoreCells(low=0.0, high=100.0, counts=(), groups=()), "regression")
    return performance.measure(counts.reshape(3, SCORE_CELLS).tolist(), sums, "regression")


def told(name: str, rows: int, hits: dict[str, int], draws: int) -> None:
    for metric, count in hits.items():
        share = count / draws
        chance = 2 * (0.95 * 0.05 / draws) ** 0.5
        verdict = "" if rows < 200 or abs(share - 0.95) <= TOLERANCE + chance else "   out of budget"
        sys.stdout.write(f"{name:18s} {metric:20s} {rows:6d} {share * 100:8.1f} %{verdict}\n")
    sys.stdout.flush()


def main(draws: int = 1000) -> None:
    sys.stdout.write(f"{'':18s} {'metric':20s} {'rows':>6s} {'coverage':>10s}   budget 95 ± {TOLERANCE * 100:.0f} %\n")
    for name, draw in (("classification", classified), ("regression", predicted)):
        truth = {key: each.value for key, each in draw(3_000_000, np.random.default_rng(0)).items()}
        for rows in (50, 200, 2000):
            hits = dict.fromkeys(truth, 0)
            for seed in range(draws):
                found = draw(rows, np.random.default_rng(seed))
                for metric, value in truth.items():
                    hits[metric] += holds(found.get(metric), value)
            told(name, rows, hits, draws)
    for shift in (0.0, 0.8, -0.8):
        hits = dict.fromkeys(simulated.truth(shift), 0)
        for seed in range(draws // 4):
            profile = simulated.reference(100 + seed)
            scores, _ = simulated.drawn(1500, np.random.default_rng(9000 + seed), shift=shift)
            found = estimate(profile, simulated.window_counts(profile, scores))
            for metric, value in simulated.truth(shift).items():
                hits[metric] += holds(found[metric], value)
        told(f"estimated, {shift:+.1f} sd", 1500, hits, draws // 4)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]))
