"""Batches, labels, policy and alerts from a script: every command a process of its own, on a small trained model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backends.entities import Alert, AlertState
from backends.local import open_local
from tests.monitored import deliveries, traffic


class Shell:
    """One person's shell in one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.env = {
            **os.environ,
            "MLOPS_CONSOLE_WORKSPACE": str(self.workspace),
            "MLOPS_CONSOLE_CONFIG": str(folder / "config.toml"),
            "TERM": "dumb",
        }

    def run(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console.launch", *map(str, args)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=400,
            env=self.env,
            check=False,
        )

    def json(self, *args: str | Path, code: int = 0) -> Any:
        done = self.run(*args, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def error(self, *args: str | Path, code: int) -> dict[str, Any]:
        done = self.run(*args, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stderr.strip().splitlines()[-1])["error"]
        return found

    def monitor(self, name: str) -> str:
        columns = ("--time", "at", "--label", "late", "--id", "id")
        self.json("monitor", "create", name, "--model", "deliveries", *columns)
        return name

    def ingest(self, name: str, *files: Path, code: int = 0) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.json("monitor", "ingest", name, *files, code=code)["items"]
        return items

    def newest(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.json("monitor", "show", name, "--windows", "1")["windows"][0]
        return found

    def write(self, name: str, frame: pd.DataFrame) -> Path:
        frame.to_csv(self.folder / name, index=False)
        return self.folder / name


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("monitored")
    deliveries(folder / "workspace").close()
    return Shell(folder)


def test_a_batch_with_labels_is_scored_and_its_second_coming_counts_nothing(shell: Shell) -> None:
    name = shell.monitor("labelled")
    file = shell.write("labelled.csv", traffic(500, 1))
    first, second = shell.ingest(name, file, file)
    assert (first["state"], first["rows"], first["scored"], first["labelled"]) == ("stored", 500, 500, 500)
    assert (second["state"], second["reason"]) == ("duplicate", "counted before, by its content")
    shown = shell.json("monitor", "show", name)
    assert {"monitor", "windows", "alerts"} <= set(shown)
    assert (shown["monitor"]["rows"], shown["monitor"]["windows"]) == (500, 1)
    (window,) = shown["windows"]
    assert window["performance"]["auc"]["n"] == 500
    assert window["performance"]["auc"]["low"] < window["performance"]["auc"]["value"]
    assert {column["column"] for column in window["columns"]} == {"weight", "distance", "carrier"}
    assert [item["state"] for item in shell.json("monitor", "batches", name)["items"]] == ["duplicate", "stored"]
    plain = shell.run("monitor", "show", name).stdout
    assert "weight" in plain
    assert "500 rows in 1 window" in plain


def test_labels_come_late_twice_out_of_order_and_for_rows_that_nobody_knows(shell: Shell) -> None:
    name = shell.monitor("late")
    frame = traffic(400, 2)
    shell.ingest(name, shell.write("late-rows.csv", frame.drop(columns="late")))
    assert shell.newest(name)["labelled"] == 0
    assert shell.newest(name)["performance"] == {}

    truth = frame[["id", "late"]].sample(frac=1.0, random_state=0)
    unknown = pd.DataFrame({"id": ["x-1", "x-2"], "late": ["yes", "no"]})
    mixed = pd.concat([truth.iloc[:250], truth.iloc[:50], unknown])
    (record,) = shell.json("monitor", "labels", name, shell.write("late-1.csv", mixed))["items"]
    assert (record["state"], record["rows"], record["labelled"]) == ("labels", 302, 250)
    assert record["reason"].startswith("2 labels wait for their prediction")
    assert shell.newest(name)["labelled"] == 250

    again = shell.json("monitor", "labels", name, shell.folder / "late-1.csv", shell.write("late-2.csv", truth))
    assert [item["state"] for item in again["items"]] == ["duplicate", "labels"]
    assert again["items"][1]["labelled"] == 150
    assert (shell.newest(name)["labelled"], shell.newest(name)["rows"]) == (400, 400)


def test_files_that_cannot_be_used_leave_with_2_and_say_why(shell: Shell) -> None:
    name = shell.monitor("bad")
    frame = traffic(60, 3)
    cases = {
        "empty.csv": ("", "is empty"),
        "header.csv": ("id,at,weight,distance,carrier\n", "no rows"),
        "picture.csv": ("\x89PNG\r\n\x1a\n\x00\x00", "picture.csv"),
        "noid.csv": (frame.drop(columns="id").to_csv(index=False), "no column 'id'"),
        "notime.csv": (frame.drop(columns="at").to_csv(index=False), "no column 'at'"),
        "other.csv": ("a,b\n1,2\n", "none of the 3 columns"),
    }
    for file, (text, reason) in cases.items():
        path = shell.folder / file
        path.write_text(text, encoding="utf-8")
        told = shell.error("monitor", "ingest", name, path, code=2)
        assert reason in told["message"], file
    assert "nowhere.csv" in shell.error("monitor", "ingest", name, shell.folder / "nowhere.csv", code=2)["message"]
    assert shell.json("monitor", "show", name)["windows"] == []
    nolabel = shell.write("nolabel.csv", frame[["id", "weight"]])
    assert "no column late" in shell.error("monitor", "labels", name, nolabel, code=2)["message"]
    assert shell.error("monitor", "ingest", "nobody", nolabel, code=2)["kind"] == "NotFound"
    assert shell.error("--read-only", "monitor", "ingest", name, nolabel, code=1)["kind"] == "Refused"


def test_one_bad_file_keeps_no_good_one_from_counting(shell: Shell) -> None:
    name = shell.monitor("mixed")
    empty = shell.folder / "mixed-empty.csv"
    empty.write_text("")
    items = shell.ingest(name, empty, shell.write("mixed-good.csv", traffic(60, 4)), code=2)
    assert [item["state"] for item in items] == ["failed", "stored"]
    assert shell.newest(name)["rows"] == 60


def test_changed_columns_are_counted_named_and_become_alerts_that_a_person_takes(shell: Shell) -> None:
    name = shell.monitor("changed")
    renamed = traffic(80, 5).rename(columns={"distance": "distances"})
    (record,) = shell.ingest(name, shell.write("renamed.csv", renamed))
    assert (record["state"], record["rows"], record["scored"]) == ("stored", 80, 0)
    assert "it has 'distances'" in record["reason"]
    (alert,) = shell.json("alert", "list", name)["items"]
    assert (alert["metric"], alert["severity"], alert["state"]) == ("schema.distance", "warn", "firing")
    retyped = traffic(80, 6, day="2024-03-02").assign(weight="heavy")
    (record,) = shell.ingest(name, shell.write("retyped.csv", retyped))
    assert "should hold float" in record["reason"]
    taken = shell.json("alert", "list", name)["items"][0]
    acked = shell.json("alert", "ack", taken["id"][:8], "--reason", "the feed is being mended")
    assert acked["state"] == "acked"
    assert shell.error("alert", "ack", taken["id"], code=1)["kind"] == "Conflict"
    assert shell.error("alert", "ack", "none", code=2)["kind"] == "NotFound"
    assert shell.json("alert", "note", taken["id"][:8], "the feed was late")["note"] == "the feed was late"
    noted = next(each for each in shell.json("alert", "list", "--all")["items"] if each["id"] == taken["id"])
    assert (noted["note"], noted["state"]) == ("the feed was late", "acked")


def test_an_acknowledged_alert_no_longer_makes_its_monitor_fire(shell: Shell) -> None:
    name = shell.monitor("acked")
    shell.ingest(name, shell.write("acked-1.csv", traffic(80, 7)))
    backend = open_local(shell.workspace)
    backend.need("monitors").put_alert(
        Alert(
            id="feed", monitor=name, metric="auc", state=AlertState.FIRING, opened_at=1, text="bad", severity="critical"
        )
    )
    backend.close()
    shell.ingest(name, shell.write("acked-2.csv", traffic(80, 8)))
    assert shell.json("monitor", "show", name)["monitor"]["state"] == "firing"
    shell.json("alert", "ack", "feed")
    shown = shell.json("monitor", "show", name)
    assert (shown["monitor"]["state"], shown["windows"][-1]["state"]) == ("warn", "warn")
    assert shown["monitor"]["rows"] == 160


def test_a_monitor_is_paused_resumed_and_given_a_policy(shell: Shell) -> None:
    name = shell.monitor("policy")
    assert shell.json("monitor", "pause", name, "--reason", "holiday")["paused"] is True
    assert shell.json("monitor", "list", "name = policy")["items"][0]["paused"] is True
    assert shell.json("monitor", "resume", name)["paused"] is False
    assert shell.json("monitor", "note", name, "for the shop")["note"] == "for the shop"
    assert [each["name"] for each in shell.json("monitor", "list", "note like '%shop%'")["items"]] == [name]
    assert shell.json("monitor", "policy", name, "min_effect=0.05", "k=2")["policy"] == {"min_effect": 0.05, "k": 2.0}
    assert shell.json("monitor", "policy", name, "pool=10")["policy"] == {"min_effect": 0.05, "k": 2.0, "pool": 10.0}
    assert "min_effect" in shell.error("monitor", "policy", name, "min_efect=1", code=2)["message"]
    assert "never be reached" in shell.error("monitor", "policy", name, "k=9", code=2)["message"]
    assert "wanted a number" in shell.run("monitor", "policy", name, "k=lots").stderr
    assert shell.run("monitor", "policy", name, "k=lots").returncode == 2
    assert shell.json("monitor", "show", name)["monitor"]["policy"]["k"] == 2.0
