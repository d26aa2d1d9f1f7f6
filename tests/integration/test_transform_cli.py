"""`dataset transform` from a shell: fit, use, preview, what is told when it cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
name = "prepare"
[[step]]
do = "split"
key = ["id"]
[[step]]
do = "standardise"
columns = ["x"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text("id,x\n" + "".join(f"{n},{n * n}\n" for n in range(200)))
    (tmp_path / "prepare.toml").write_text(RECIPE)
    assert run(tmp_path, "import", "table.csv")[0] == 0
    return tmp_path


def run(place: Path, *words: str) -> tuple[int, str, str]:
    line = [sys.executable, "-m", "console.launch", "--workspace", str(place / "w"), "dataset", *words]
    done = subprocess.run(line, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_fit_use_and_look_at_what_was_learned(place: Path) -> None:
    code, out, err = run(place, "transform", "table", "--recipe", "prepare.toml", "--json")
    assert code == 0, err
    made = json.loads(out)
    assert [part["version"]["dataset"] for part in made["parts"]] == ["table-prepare-train", "table-prepare-test"]
    code, out, err = run(place, "transform", "table", "--use", "prepare@1", "--name", "again", "--json")
    assert code == 0, err
    assert json.loads(out)["parts"][0]["version"]["made_by"] == "transform:prepare@1"
    code, out, _ = run(place, "transforms", "--json")
    assert [item["name"] for item in json.loads(out)["items"]] == ["prepare"]
    code, out, _ = run(place, "transforms", "prepare", "--json")
    assert json.loads(json.loads(out)["state"])["fitted_on"] == "table@1"
    code, out, _ = run(place, "transforms", "prepare")
    assert out.strip() == RECIPE.strip()


def test_a_preview_keeps_nothing(place: Path) -> None:
    code, out, err = run(place, "transform", "table", "--recipe", "prepare.toml", "--preview", "2")
    assert code == 0, err
    assert "nothing was kept" in err
    assert "standardise" in out
    assert json.loads(run(place, "list", "--json")[1])["items"][0]["name"] == "table"
    assert len(json.loads(run(place, "list", "--json")[1])["items"]) == 1


def test_a_wrong_recipe_is_told_with_file_line_and_character(place: Path) -> None:
    (place / "prepare.toml").write_text(RECIPE + '[[step]]\ndo = "filter"\nwhere = "x > yy"\n')
    code, _, err = run(place, "transform", "table", "--recipe", "prepare.toml")
    assert code == 2
    assert "prepare.toml:11: step 3 (filter): where: there is no column yy" in err
    assert err.splitlines()[-1].strip() == "^^"


def test_one_of_recipe_and_use_is_wanted(place: Path) -> None:
    assert run(place, "transform", "table")[0] == 2
    assert run(place, "transform", "table", "--recipe", "prepare.toml", "--use", "prepare")[0] == 2


def test_a_read_only_console_previews_and_makes_nothing(place: Path) -> None:
    code, _, err = run(place, "transform", "table", "--recipe", "prepare.toml", "--read-only")
    assert code == 1
    assert "read-only" in err
    assert run(place, "transform", "table", "--recipe", "prepare.toml", "--preview", "1", "--read-only")[0] == 0
