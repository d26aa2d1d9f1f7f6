"""How often quiet answers, quiet labels and quiet columns of many segments are called odd: counts are drawn, not rows.

Each draw has a reference of its own, whose cells are cut at its own quantiles, as in life.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from backends.entities import AlertState, ColumnScore, Monitor, MonitorState, Window
from console.monitoring.alarms.alerts import evaluate
from console.monitoring.alarms.judging import corrected_over
from console.monitoring.counted import thresholds
from console.monitoring.counted.distances import two_sample_p
from console.monitoring.counted.profile import (
    ALPHA,
    SCORE_CELLS,
    CategoricalColumn,
    NumericColumn,
    Profile,
    ReferenceColumn,
    ScoreCells,
    group_starts,
)
from console.monitoring.counted.windows import FALSE_DISCOVERIES, score_label, score_prediction
from tests.unit.test_monitoring_false_alarms import REFERENCE, SIZES, slack

DRAWS = 600
BARE = ScoreCells(low=0.0, high=1.0, counts=(), groups=())


def profile_of(*, score: ScoreCells = BARE, label: ReferenceColumn | None = None, **more: object) -> Profile:
    whole = Profile(
        task="binary", rows=REFERENCE, score_rows=REFERENCE, columns=(), score=score, metrics={}, label=label,
        # Without a least effect, so that what is held against nominal is the test itself.
        min_psi=0.0,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **more)


def in_time(found: list[ColumnScore]) -> None:
    """The limit's rate is at most nominal and not idle; p-values are what they say."""
    odd = np.mean([each.state is not MonitorState.OK for each in found])
    assert 0.1 * ALPHA < odd <= ALPHA + slack(ALPHA, len(found)), odd
    values = np.array([each.p_value for each in found], dtype=float)
    for level in (0.05, 0.01):
        assert abs((values <= level).mean() - level) <= slack(level, len(found)), (level, (values <= level).mean())


@pytest.mark.parametrize("rows", SIZES)
def test_quiet_answers_are_called_far_as_rarely_as_asked(rows: int) -> None:
    rng = np.random.default_rng(rows)
    shares = np.diff(stats.beta.cdf(np.linspace(0, 1, SCORE_CELLS + 1), 2, 5))
    empty = [0] * SCORE_CELLS

    def score(counts: list[int]) -> ScoreCells:
        groups = group_starts(counts, 10)
        return ScoreCells(low=0.0, high=1.0, counts=(*counts, *empty, *empty), groups=groups)

    references = rng.multinomial(REFERENCE, shares / shares.sum(), size=DRAWS).tolist()
    limits = thresholds.resample_score(score(references[0]), rng)
    found = []
    for before, now in zip(references, rng.multinomial(rows, shares / shares.sum(), size=DRAWS).tolist(), strict=True):
        profile = profile_of(score=msgspec.structs.replace(score(before), limits=limits))
        found.append(score_prediction(profile, [*empty, *empty, *now]))
    in_time(found)


LABELS = {
    "two classes": np.array([0.8, 0.2]),
    "one class in fifty": np.array([0.98, 0.02]),
    "five classes": np.array([0.4, 0.25, 0.2, 0.1, 0.05]),
}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("shape", LABELS)
def test_quiet_labels_are_called_far_as_rarely_as_asked(rows: int, shape: str) -> None:
    rng, shares = np.random.default_rng(rows), LABELS[shape]
    names = tuple(f"l{n}" for n in range(len(shares)))
    blank = CategoricalColumn(
        name="label", levels=names, counts=(0,) * (len(names) + 3), groups=tuple(range(len(names)))
    )

    def label(counts: list[int]) -> CategoricalColumn:
        return msgspec.structs.replace(blank, counts=(*counts, 0, 0, 0))

    references = rng.multinomial(REFERENCE, shares, size=DRAWS).tolist()
    expected = label([round(REFERENCE * share) for share in shares])
    limits = thresholds.resample(expected.counts, expected, rng)
    found = []
    for before, now in zip(references, rng.multinomial(rows, shares, size=DRAWS).tolist(), strict=True):
        profile = profile_of(label=msgspec.structs.replace(label(before), limits=limits))
        told = score_label(profile, [*now, 0, 0, 0])
        assert told is not None
        found.append(told)
    odd = np.mean([each.state is not MonitorState.OK for each in found])
    assert odd <= ALPHA + slack(ALPHA, DRAWS), odd
    values = np.array([each.p_value for each in found], dtype=float)
    for level in (0.05, 0.01):
        # Few rows of a rare class have few values that their p-value can take: it is never too small.
        assert (values <= level).mean() <= level + slack(level, DRAWS), (values <= level).mean()


@pytest.mark.parametrize("rows", [50, 250, 5000, 1_000_000])
def test_quiet_labels_of_a_regression_are_called_far_as_rarely_as_asked(rows: int) -> None:
    rng = np.random.default_rng(rows)
    found, limits = [], None
    drawn = np.sort(rng.normal(size=(DRAWS, REFERENCE)), axis=1)
    ranks = np.clip(np.ceil(np.linspace(0, 1, 65) * REFERENCE - 1), 0, REFERENCE - 1).astype(int)
    for edges in drawn[:, ranks]:
        cells = np.diff(ranks).tolist()
        cells[-1] += 1
        label = NumericColumn(
            name="label", edges=tuple(edges.tolist()), counts=(*cells, 0, 0, 0, 0), groups=group_starts(cells, 10)
        )
        limits = limits or thresholds.resample(label.counts, label, rng)
        now = rng.multinomial(rows, np.diff([0.0, *stats.norm.cdf(edges), 1.0])).tolist()
        profile = profile_of(label=msgspec.structs.replace(label, limits=limits))
        told = score_label(profile, [*now[1:-1], now[0], now[-1], 0, 0])
        assert told is not None
        found.append(told)
    in_time(found)


# ---------------------------------------------------------------- columns times segments

COLUMNS, SEGMENTS = 20, 5
RULE = """\
[[rule]]
name = "columns"
metric = "drift.*.psi"
above = 0.0
segments = ["*"]
fdr = 0.05
"""


def split(rows: int, moved: set[tuple[int, int]], rng: np.random.Generator) -> dict[str, list[Window]]:
    """A window of all rows and one of each segment, of which some columns are moved."""
    shares = np.full(10, 0.1)
    far = np.array([0.16, 0.14, 0.12, 0.1, 0.1, 0.1, 0.1, 0.08, 0.06, 0.04])
    before = rng.multinomial(REFERENCE, shares, size=COLUMNS)
    parts = np.array(
        [
            [rng.multinomial(rows, far if (segment, column) in moved else shares) for column in range(COLUMNS)]
            for segment in range(SEGMENTS)
        ]
    )
    whole = {"": parts.sum(axis=0), **{f"s{segment}": parts[segment] for segment in range(SEGMENTS)}}
    found = {}
    for name, counts in whole.items():
        scores = tuple(
            ColumnScore(column=f"x{n}", state=MonitorState.OK, psi=0.3, p_value=two_sample_p(old, new))
            for n, (old, new) in enumerate(zip(before.tolist(), counts.tolist(), strict=True))
        )
        found[name] = [
            Window(
                monitor="m", start=0, end=3_600_000, model_version="1", rows=rows, columns=scores, segment=name,
                state=MonitorState.OK,
            )
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("rows", [50, 250, 1000, 10_000, 1_000_000])
def test_columns_times_segments_cry_wolf_no_oftener_than_the_rule_asks(rows: int) -> None:
    """Segments are part of the whole, so their p-values hang together: the correction holds all the same."""
    rng, draws = np.random.default_rng(rows), 100
    monitor = Monitor(name="m", model="m", rules=RULE)
    fired = 0
    for _ in range(draws):
        parts = split(rows, set(), rng)
        windows = parts.pop("")
        alerts = evaluate(monitor, profile_of(), windows, [], segments=parts)
        fired += any(alert.state is AlertState.FIRING for alert in alerts)
    assert fired / draws <= FALSE_DISCOVERIES + slack(FALSE_DISCOVERIES, draws), fired / draws


@pytest.mark.parametrize("rows", [1000, 10_000])
def test_of_what_is_called_far_among_many_one_in_twenty_is_not(rows: int) -> None:
    rng, draws = np.random.default_rng(rows), 40
    moved = {(segment, column) for segment in (0, 1) for column in range(5)}
    false = []
    right = 0
    for _ in range(draws):
        called = [
            (segment, column)
            for (_, segment, column), q in corrected_over(split(rows, moved, rng)).items()
            if q <= 0.05
        ]
        # The whole holds the moved segments too, so a column that one of them moved is far there as well.
        true = {(f"s{segment}", f"x{column}") for segment, column in moved} | {
            ("", f"x{column}") for column in range(5)
        }
        false.append(sum(each not in true for each in called) / max(1, len(called)))
        right += sum(each in true for each in called)
    assert np.mean(false) <= 0.05 + 0.015 + 2.5 * np.std(false) / np.sqrt(draws)
    assert right / draws >= (8 if rows == 1000 else 14), "what did move is found"
