"""`dataset check` as CI runs it: exit codes, JSON, files, suggestions, hostile values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli.main import main


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_WORKSPACE", str(tmp_path / "w"))
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{i},{'AB'[i % 2]},{i * 1.5}\n" for i in range(300))
    (tmp_path / "t.csv").write_text("id,code,x\n" + rows)
    assert main(["dataset", "import", "t.csv", "t"]) == 0
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(args))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_no_checks_yet_is_told_with_the_way_to_some(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "dataset", "check", "t")
    assert code == 2
    assert "--suggest" in err


def test_exit_1_when_a_check_fails_and_0_when_it_only_warns(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.toml").write_text("[columns.id]\nmax = 100\n")
    code, out, err = said(capsys, "dataset", "check", "t", "--file", "c.toml")
    assert code == 1
    assert "199 of 300 rows fail" in out
    assert "row 101: 101" in out
    assert "t@1: fail. 1 check: 1 fail" in err
    (place / "c.toml").write_text('severity = "warn"\n[columns.id]\nmax = 100\n')
    code, out, _ = said(capsys, "dataset", "check", "t@1", "--file", "c.toml", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["status"], report["results"][0]["failing"]) == ("warn", 199)
    assert report["definition"].startswith("c.toml sha256:")


def test_suggest_write_keep_run_show(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "dataset", "check", "t", "--suggest", "--write", "c.toml")
    assert (code, out) == (0, "")
    assert "written to c.toml" in err
    assert said(capsys, "dataset", "check", "t", "--suggest", "--write", "c.toml")[0] == 2
    code, _, err = said(capsys, "dataset", "check", "t", "--file", "c.toml", "--keep")
    assert code == 0
    assert "kept as checks t@1" in err
    assert said(capsys, "dataset", "check", "t")[0] == 0
    assert said(capsys, "dataset", "check", "t", "--use", "t@1")[0] == 0
    code, out, _ = said(capsys, "dataset", "check", "t", "--show")
    assert (code, out.rstrip()) == (0, (place / "c.toml").read_text().rstrip())
    assert said(capsys, "dataset", "check", "t", "--show", "--report")[0] == 0


def test_a_mistake_in_the_file_names_its_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.toml").write_text("[columns.id]\n\nmxa = 100\n")
    code, _, err = said(capsys, "dataset", "check", "t", "--file", "c.toml")
    assert code == 2
    assert "c.toml:3: columns.id.mxa" in err
    assert "did you mean max?" in err


def test_read_only_runs_and_keeps_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.toml").write_text("[columns.id]\nmax = 100\n")
    code, _, err = said(capsys, "dataset", "check", "t", "--file", "c.toml", "--read-only")
    assert code == 1
    assert "not kept" in err
    assert said(capsys, "dataset", "check", "t", "--show", "--report")[0] == 2


def test_values_from_outside_are_not_obeyed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "h.csv").write_text('a,b\n"\x1b]0;owned\x07[red]x",1\nplain,2\n')
    assert main(["dataset", "import", "h.csv", "h"]) == 0
    (place / "h.toml").write_text('[columns.a]\nvalues = ["plain"]\n')
    code, out, _ = said(capsys, "dataset", "check", "h", "--file", "h.toml")
    assert code == 1
    assert "\x1b" not in out
    assert "row 0: " in out


def test_training_is_refused_from_the_command_line_until_a_reason_is_given(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "c.toml").write_text("[columns.id]\nmax = 100\n")
    said(capsys, "dataset", "check", "t", "--file", "c.toml", "--keep")
    (place / "r.toml").write_text(
        'dataset = "t"\ntarget = "code"\ntask = "classification"\n'
        '[estimator]\nclass = "sklearn.dummy.DummyClassifier"\n'
    )
    code, _, err = said(capsys, "run", "start", "r.toml")
    assert code == 1
    assert "range id" in err
    assert "--override-checks" in err
    assert said(capsys, "run", "start", "r.toml", "--override-checks")[0] == 2


def test_every_kind_is_told_with_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "dataset", "check", "--kinds")
    assert code == 0
    assert "range           column [min] [max] [tolerance]: Numbers, dates or times lie within bounds" in out
