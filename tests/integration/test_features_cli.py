"""`dataset features` from a shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SET = """
dataset = "flights"
key = ["plane"]
time = "at"
[[feature]]
name = "speed"
as = "miles / hours"
type = "float"
"""


def run(place: Path, *words: str) -> tuple[int, str, str]:
    line = [sys.executable, "-m", "console.launch", "--workspace", str(place / "w"), "dataset", *words]
    done = subprocess.run(line, cwd=place, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def test_define_look_at_apply_and_compare(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text(
        "plane,at,miles,hours\nA,2013-01-01 05:00:00,400,1\nA,2013-01-02 05:00:00,900,3\n"
    )
    (tmp_path / "labels.csv").write_text("plane,at,late\nA,2013-01-01 12:00:00,true\nB,2013-01-01 12:00:00,false\n")
    (tmp_path / "trip.toml").write_text(SET)
    for file in ("flights.csv", "labels.csv"):
        assert run(tmp_path, "import", file)[0] == 0
    code, out, err = run(tmp_path, "features", "define", "trip.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["name"] == "trip"
    code, out, err = run(tmp_path, "features", "apply", "trip@1", "--labels", "labels", "--json")
    assert code == 0, err
    assert json.loads(out)["version"]["made_by"] == "features:trip@1"
    rows = json.loads(run(tmp_path, "rows", "labels-trip", "--json")[1])["rows"]
    assert [row[-1] for row in rows] == [400.0, None]
    (tmp_path / "trip.toml").write_text(SET.replace("miles / hours", "miles / hours * 1.15"))
    assert run(tmp_path, "features", "define", "trip.toml")[0] == 0
    changes = json.loads(run(tmp_path, "features", "diff", "trip@1", "--json")[1])["items"]
    assert [(each["name"], each["change"]) for each in changes] == [("speed", "expression")]
    assert json.loads(run(tmp_path, "diff", "trip@1", "trip@2", "--json")[1])["items"] == changes
    assert [item["version"] for item in json.loads(run(tmp_path, "features", "list", "--json")[1])["items"]] == ["2"]
    shown = json.loads(run(tmp_path, "features", "show", "trip@1", "--json")[1])
    assert shown["features"][0]["as"] == "miles / hours"
    (tmp_path / "trip.toml").write_text(SET.replace("miles / hours", "miles / hour"))
    code, _, err = run(tmp_path, "features", "define", "trip.toml")
    assert code == 2
    assert "trip.toml:7: feature speed: as: there is no column hour; did you mean hours?" in err
    assert run(tmp_path, "features", "apply", "trip", "--at", "at")[0] == 2
