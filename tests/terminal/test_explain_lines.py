"""Explanations as lines: bars and curves on any width, hostile names inert."""

from __future__ import annotations

import msgspec
import pytest

from backends.entities import GateStatus, Report
from console.safe import cell_length
from console.training.explain.figures import Curve, Explanation, Importance, Moved, PredictionExplained
from console.training.held_out_report import WorseSlice
from console.tui import ink
from console.tui.explain_lines import explain_lines

HOSTILE = "[/red]m\x1b]52;c;aGk=\x07模型"


def shown(kind: str, figures: Explanation | PredictionExplained, width: int) -> str:
    report = Report(
        kind=kind, subject="m@1", status=GateStatus.PASS, at=1, figures=msgspec.to_builtins(figures)
    )  # fmt: skip
    rows = [ink.plain(line.spans) for line in explain_lines(report, width)]
    assert all(cell_length(row) <= width for row in rows)
    return "\n".join(rows)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_version_as_bars_and_curves(width: int) -> None:
    found = Explanation(
        metric="auc", whole=0.8, rows=500, repeats=10,
        importance=(
            Importance(column="debt", fall=0.1, spread=0.01), Importance(column=HOSTILE, fall=-0.001, spread=0.01),
        ),
        curves=(
            Curve(column="debt", values=(0.0, 1.0, 2.0), means=(0.1, 0.5, 0.9)),
            Curve(column=HOSTILE, levels=(HOSTILE, "b"), means=(-0.5, 1.0)),
        ),
        score="probability of late = 1", slices=(WorseSlice(where=HOSTILE, rows=120, ratio=2.0),),
    )  # fmt: skip
    text = shown("explain", found, width)
    assert "\x1b" not in text
    assert "[/red]m" in text
    lines = text.splitlines()
    debt, other = (next(line for line in lines if word in line and "±" in line) for word in ("debt", "red"))
    assert debt.count("█") > 10
    assert "█" not in other  # a column that only harms has no bar
    plot = [line for line in lines if "│" in line]
    marked = ["".join(plot[at].partition("│")[2]).rstrip() for at in range(len(plot))]
    firsts = [len(row) - len(row.lstrip()) for row in marked if row.strip()]
    assert firsts == sorted(firsts, reverse=True)  # it rises to the right: the top row begins furthest right


@pytest.mark.parametrize("width", [80, 120])
def test_a_prediction_as_bars_to_both_sides(width: int) -> None:
    found = PredictionExplained(
        of="probability of late = 1", row="row 3", base=0.4, score=0.7, background=64, orders=None, truth="1",
        moved=(
            Moved(column="debt", value="3.2", by=0.5, spread=0.0),
            Moved(column=HOSTILE, value=HOSTILE, by=-0.2, spread=0.0),
        ),
    )  # fmt: skip
    text = shown("prediction", found, width)
    assert "\x1b" not in text
    up, down = (next(line for line in text.splitlines() if word in line and "│" in line) for word in ("debt", "red"))
    assert "█" in up.partition("│")[2]
    assert "█" not in up.partition("│")[0]
    assert "█" in down.partition("│")[0]
