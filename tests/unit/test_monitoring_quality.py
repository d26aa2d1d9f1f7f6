"""How the quality of a window is told: measured, against the reference, expected without labels, and the gap."""

from __future__ import annotations

from backends.entities import Estimate, Window
from console.monitoring.quality.answers import gap_of, quality_parts


def window(realized: tuple[float, float, float] | None, expected: tuple[float, float, float] | None) -> Window:
    def told(found: tuple[float, float, float] | None, metric: str = "auc") -> dict[str, Estimate]:
        return {} if found is None else {metric: Estimate(value=found[0], low=found[1], high=found[2], n=900)}

    return Window(
        monitor="m",
        start=0,
        end=1,
        model_version="1",
        rows=1000,
        labelled=900 if realized else 0,
        label_lag=7200,
        performance=told(realized),
        estimated=told(expected),
        reference={"auc": 0.749},
    )


def said(found: Window) -> str:
    return " · ".join(text for text, _ in quality_parts(found, "auc"))


def test_concept_drift_is_named_where_the_intervals_do_not_meet() -> None:
    text = said(window((0.64, 0.61, 0.67), (0.738, 0.72, 0.755)))
    assert "AUC 0.640 [0.610, 0.670] · 0.109 worse than the reference 0.749" in text
    assert "labels 90 % · 2 h late · estimated without labels 0.738" in text
    assert "gap 0.098: the estimate cannot see this" in text
    assert "concept drift" in text


def test_a_gap_within_the_intervals_is_chance() -> None:
    found = window((0.72, 0.69, 0.75), (0.738, 0.72, 0.755))
    assert said(found).endswith("gap 0.018, within chance")
    gap = gap_of(found, "auc")
    assert gap is not None
    assert gap.optimistic


def test_without_labels_only_the_estimate_is_told() -> None:
    text = said(window(None, (0.738, 0.72, 0.755)))
    assert text.startswith("AUC not known: no labels yet")
    assert "estimated without labels 0.738 [0.720, 0.755]" in text
    assert "gap" not in text


def test_better_than_expected_is_no_warning() -> None:
    parts = quality_parts(window((0.9, 0.88, 0.92), (0.7, 0.68, 0.72)), "auc")
    assert parts[-1] == ("gap 0.200: better than the scores say", "")
