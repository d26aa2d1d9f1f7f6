"""What is known of a version's columns, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli.main import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_WORKSPACE", str(tmp_path / "w"))
    rows = [f"{n % 7},{n * 1.5},{'AA' if n % 3 else 'UA'}" for n in range(200)]
    (tmp_path / "trips.csv").write_text("day,dep.delay,carrier\n" + "\n".join(rows) + "\n")
    assert main(["dataset", "import", str(tmp_path / "trips.csv"), "my.trips"]) == 0
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_a_column_is_told_in_full_with_its_unit(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "dataset", "column", "my.trips.dep.delay", "--unit", "min", "--note", "how late it left", "-m", "docs")
    found = said(capsys, "dataset", "profile", "my.trips", "dep.delay")
    assert "how late it left" in found
    assert "298.5 min" in found
    shown = json.loads(said(capsys, "dataset", "show", "my.trips", "--json"))
    assert (shown["columns"][1]["unit"], shown["columns"][1]["note"]) == ("min", "how late it left")
    entry = json.loads(said(capsys, "journal", "list", "action = dataset.column", "--json"))["items"][0]
    assert (entry["target"], entry["reason"], entry["after"]["unit"]) == ("my.trips.dep.delay", "docs", "min")


def test_the_profile_as_json_has_every_figure(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "dataset", "profile", "my.trips@1", "--json"))
    day = found["columns"][0]
    assert (day["distinct"], day["missing"], day["minimum"], day["exact"]) == (7, 0, 0.0, True)
    assert len(day["samples"]) == 8


def test_an_unknown_column_is_told_with_the_nearest(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "profile", "my.trips", "carier"]) == 2
    assert "did you mean carrier?" in capsys.readouterr().err
    assert main(["dataset", "column", "my.trips.nothing", "--unit", "km"]) == 2
    assert main(["dataset", "column", "my.trips.day"]) == 2


def test_the_difference_of_two_versions_is_told_and_given_as_json(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{n % 7},{n * 1.5 + 900},{'WN' if n % 3 else 'UA'},1" for n in range(150)]
    (workspace / "next.csv").write_text("day,dep.delay,carrier,extra\n" + "\n".join(rows) + "\n")
    said(capsys, "dataset", "import", str(workspace / "next.csv"), "my.trips")
    found = json.loads(said(capsys, "dataset", "diff", "my.trips@1", "my.trips@2", "--json"))
    assert (found["rows"], found["added"], found["rows_added"], found["rows_removed"]) == (
        [200, 150],
        ["extra"],
        150,
        200,
    )
    assert found["moved"][0]["name"] in ("dep.delay", "carrier")
    carrier = next(move for move in found["moved"] if move["name"] == "carrier")
    assert (carrier["new"], carrier["lost"]) == (["WN"], ["AA"])
    told = said(capsys, "dataset", "diff", "my.trips@1", "my.trips")
    assert "moved far" in told
    assert main(["dataset", "diff", "my.trips@1", "my.trips@9"]) == 2


def test_rows_are_found_on_the_command_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dataset", "rows", "my.trips", "--find", "day == 3 and carrier == 'UA'", "--limit", "2", "--json"]
    first = json.loads(said(capsys, *words))
    assert first["numbers"] == [3, 24]
    onward = json.loads(said(capsys, *words, "--offset", str(first["next"])))
    assert onward["numbers"][0] == 45
    assert main(["dataset", "rows", "my.trips", "--find", "day >"]) == 2
