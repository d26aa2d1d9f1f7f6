"""What does not fit on a line says so: an ellipsis where it was cut, more lines where it must be read whole."""

from __future__ import annotations

import pytest

from backends.entities import DatasetInput, GateResult, GateStatus, Model, ModelFile, ModelVersion, Signature
from console.promotion.promote import Case
from console.safe import cell_length
from console.tui import ink
from console.tui.case_lines import ROOM, case_lines
from console.tui.model_columns import version_columns
from console.tui.model_lines import model_lines, version_lines


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([("abcdefgh", "")], "abcdefgh"),
        ([("abcdefghi", "")], "abcdefg…"),
        ([("abcd", ""), ("efgh", "dim")], "abcdefgh"),
        ([("abcdefgh", ""), (" (wanted", "dim")], "abcdefg…"),
        ([("abcd", ""), ("efgh", "dim"), ("", ""), ("i", "")], "abcdefg…"),
        ([("abcdefgh", ""), ("   ", "dim"), ("", "")], "abcdefgh"),
        ([("abc中中", ""), ("x", "")], "abc中中x"),
        ([("abcd中中", ""), ("x", "")], "abcd中…"),
    ],
)
def test_a_line_that_goes_on_beyond_its_end_is_seen_to(spans: list[ink.Span], shown: str) -> None:
    strip = ink.Ink().strip(spans, 8)
    assert "".join(segment.text for segment in strip).rstrip() == shown
    assert strip.cell_length == 8


def version(number: str, **more: object) -> ModelVersion:
    return ModelVersion(
        model="churn", version=number, created_at=0, created_by="", run="r", file=ModelFile(), signature=Signature(),
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_gate_is_read_whole_in_eighty_columns() -> None:
    gates = (
        GateResult(gate="holder", status=GateStatus.FAIL, value="auc 0.7093 against 0.7579 of v0.0.1",
                   rule="at most 0.5% worse than the holder on the same rows, all of its intervals counted"),
        GateResult(gate="audit", status=GateStatus.WARN, value="6 of 7 tests passed", rule="no test failed",
                   detail="calibration: expected calibration error 0.108"),
        *(GateResult(gate=name, status=GateStatus.PASS, value="auc 0.7579 against 0.7093 of v2") for name in "abc"),
    )  # fmt: skip
    case = Case(
        model="churn", alias="champion", candidate=version("2"), holder=None, gates=gates, measures=(), primary="auc",
        same_test=True,
    )  # fmt: skip
    lines = [ink.plain(line.spans).rstrip() for line in case_lines(case)]
    assert max(cell_length(line) for line in lines) <= ROOM
    text = " ".join(" ".join(lines).split())
    for gate in gates:
        assert gate.value in text
    assert f"(wanted {gates[0].rule})" in text
    assert "6 of 7 tests passed (wanted no test failed)" in "\n".join(lines), "what has room stays on one line"
    assert "…" not in text


def test_the_champion_comes_first_and_nothing_is_said_twice_or_left_hanging() -> None:
    held = version(
        "400", aliases=("challenger", "champion"),
        inputs=(DatasetInput(dataset="churn", version="1f0e3dad", digest="1f0e3dad"),),
    )  # fmt: skip
    (alias,) = (each for each in version_columns((), ()) if each.key == "aliases")
    assert alias.cell(held).startswith("champion")
    said = "\n".join(ink.plain(line.spans) for line in version_lines(held, (), 80))
    assert said.splitlines()[0].split()[2:] == ["champion", "challenger"]
    assert "churn@1f0e3dad\n" in said + "\n"
    assert " by" not in said
    model = Model(name="churn", created_at=0, versions=1, aliases={"challenger": "2", "champion": "1"})
    lines = [ink.plain(line.spans) for line in model_lines(model, None, 80)]
    assert [line.split()[0] for line in lines[1:3]] == ["champion", "challenger"]
    assert not any(line.rstrip().endswith(" by") for line in lines)
