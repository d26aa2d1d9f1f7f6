"""`monitor segment|protect|bias` on a real workspace: said, refused with the nearest name, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.main import main
from tests.monitored import deliveries, traffic

if TYPE_CHECKING:
    import pytest

HAS = ["--id", "id", "--time", "at", "--label", "late"]


def test_segments_and_groups_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "w"
    deliveries(home).close()

    def told(*words: str, code: int = 0) -> str:
        assert main(["monitor", *words, "--workspace", str(home)]) == code, capsys.readouterr()
        found = capsys.readouterr()
        return found.out + found.err

    def data(*words: str) -> Any:
        assert main(["monitor", *words, "--workspace", str(home), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    create = ["create", "live", "--model", "deliveries", *HAS]
    assert "did you mean distance?" in told(*create, "--segment", "far=distanse > 300", code=2)
    told(*create, "--segment", "far=distance > 300", "--protect", "carrier")
    assert "counts heavy from the next batch on" in told("segment", "add", "live", "heavy", "weight > 5")
    assert "already" in told("segment", "add", "live", "heavy", "weight > 6", code=1)
    days = [traffic(600, day, day=f"2024-03-0{day}") for day in (1, 2)]
    for number, frame in enumerate(days):
        frame.to_csv(tmp_path / f"{number}.csv", index=False)
        told("ingest", "live", str(tmp_path / f"{number}.csv"))
    far = sum(int((frame["distance"] > 300).sum()) for frame in days)
    listed = {item["name"]: item for item in data("segment", "list", "live")["items"]}
    assert (listed["far"]["rows"], listed["far"]["labelled"], listed["far"]["windows"]) == (far, far, 2)
    assert "auc" in told("segment", "list", "live")
    found = data("bias", "live")
    assert {item["group"] for item in found["groups"]} == {"ups", "dhl", "hermes"}
    assert sum(item["rows"] for item in found["groups"]) == 1200
    assert "carrier.equalized_odds_difference" in found["together"]
    assert "demographic parity ratio" in told("bias", "live")
    assert data("bias", "live", "--segment", "far")["groups"]
    assert "importance × drift × effect" in told("why", "live")
    assert "PSI" in told("why", "live", "--quick")
    assert data("slices", "live", "--since", "2024-03-02")["rows"] == 500
    assert "no time" in told("slices", "live", "--since", "soon", code=2)
    told("segment", "remove", "live", "far")
    assert [item["name"] for item in data("segment", "list", "live")["items"]] == ["heavy"]
    assert "compares no groups" in told("protect", "live")
