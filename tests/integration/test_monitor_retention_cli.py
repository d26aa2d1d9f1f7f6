"""`monitor retention` on a real workspace: shown, tried out, set with an entry in the journal, carried out at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.main import main
from console.monitoring.folder import monitor_folder
from tests.monitored import deliveries
from tests.unit.test_monitoring_compaction import days

if TYPE_CHECKING:
    import pytest

HAS = ["--id", "id", "--time", "at", "--label", "late", "--window", "minute"]


def test_retention_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, config = tmp_path / "w", tmp_path / "config.toml"
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    backend = deliveries(home)
    folder = monitor_folder(backend, "live")
    backend.close()

    def run(*words: str, code: int = 0, where: tuple[str, ...] = ("--workspace", str(home))) -> str:
        assert main([*words, *where]) == code, capsys.readouterr()
        found = capsys.readouterr()
        return found.out + found.err

    def data(*words: str) -> Any:
        return json.loads(run("monitor", *words, "--json"))

    run("monitor", "create", "live", "--model", "deliveries", *HAS)
    days().to_csv(tmp_path / "rows.csv", index=False)
    run("monitor", "ingest", "live", str(tmp_path / "rows.csv"))
    before = data("show", "live")["monitor"]
    assert before["windows"] == 44

    told = run("monitor", "retention", "live")
    assert "minutes 2 d, hours 90 d, days 10 y, scored 90 d, samples 30 d, ids 90 d" in " ".join(told.split())
    assert "by what is kept it stays under" in told
    assert "24 windows into 8" in run("monitor", "retention", "live", "--minutes", "1 d", "--dry-run")
    assert data("show", "live")["monitor"]["keep"] == {}
    for words, said in (
        (["--minutes", "soon"], "a time such as 30 d, 12 h, 2 w or 3 y is wanted"),
        (["--minutes", "1 h"], "less than 2 h is not taken"),
        (["--minutes", "100 d"], "keep hours as long as minutes at least"),
    ):
        assert said in " ".join(run("monitor", "retention", "live", *words, code=2).split())
    run("monitor", "retention", "live", "--default", "--minutes", "1 d", code=2)

    run("monitor", "retention", "live", "--minutes", "6h", "--hours", "2d", "--scored", "1d", "--reason", "small disk")
    assert data("show", "live")["monitor"]["keep"] == {"minutes": "6h", "hours": "2d", "scored": "1d"}
    entry = json.loads(run("journal", "list", "--json"))["items"][0]
    assert (entry["action"], entry["target"], entry["reason"]) == ("monitor.retention", "live", "small disk")
    assert entry["after"]["keep"]["minutes"] == "6h"

    scored = next((folder / "scored").glob("*.parquet"))
    os.utime(scored, (0, 0))
    assert "--confirm live" in run(
        "monitor", "retention", "live", "--now", code=2
    )  # something goes for good: the name is wanted
    assert scored.exists()
    done = data("retention", "live", "--now", "--confirm", "live")
    assert done["pass"]["gone"]["scored"] == 1
    assert not scored.exists()
    after = data("show", "live")
    assert after["monitor"]["rows"] == 200
    assert sum(item["rows"] for item in data("show", "live", "--windows", "1000")["windows"]) == 200
    assert after["monitor"]["windows"] < 30
    assert "takes" in after["disk"]
    assert "older windows are merged" in data("show", "live", "--windows", "100")["resolution"]
    assert "nothing is old enough" in run("monitor", "retention", "live")
    run("monitor", "retention", "live", "--default")
    assert data("show", "live")["monitor"]["keep"] == {}

    table = '[contexts.here]\nworkspace = "{}"\n[contexts.here.retention.monitors]\nminutes = "{}"\n'
    config.write_text(table.format(home, "12 h"))
    here = ("--context", "here")
    assert "minutes 12 h" in " ".join(run("monitor", "retention", where=here).split())
    config.write_text(table.format(home, "1 m"))
    assert "contexts.here.retention.monitors.minutes" in run("monitor", "retention", where=here, code=2)
