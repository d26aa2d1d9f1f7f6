"""`mlops-console trigger …`: made by options, shown, tried, changed, fired, paused, deleted; what is wrong is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Mutation
from backends.entities import Deployment, Monitor, Target, Trigger
from backends.local import open_local
from console.cli.main import main

ME = Mutation("ann@box")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr("console.agent.ensure_agent", lambda *_, **__: None)  # what it does is tried elsewhere
    backend = open_local(tmp_path / "w")
    backend.need("monitors").put(Monitor(name="live", model="churn"), ME)
    backend.need("deployments").create(
        Deployment(name="live", model="churn", targets=(Target(version="1"),), desired="stopped"), ME
    )
    backend.close()
    return tmp_path / "w"


@pytest.fixture
def say(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*args: str, code: int = 0) -> Any:
        assert main(["trigger", *args, "--json", "--workspace", str(workspace)]) == code
        said = capsys.readouterr()
        return json.loads(said.out if code == 0 else said.err)

    return run


def test_a_trigger_from_making_to_deleting(say: Any, tmp_path: Path) -> None:
    assert say("list") == {"items": [], "next": None}
    made = say("create", "more", "--on-alert", "live", "--scale", "live", "--workers", "+2", "--per-day", "1")
    assert (made["when"]["alert"], made["do"]["workers"], made["limits"]["per_day"]) == ("live", "+2", 1)
    assert say("show", "more")["status"]["state"] == "active"
    assert say("run", "more", "--dry-run") == {"trigger": "more", "would": "scale live: 1 → 3 worker(s)"}
    assert say("edit", "more", "--set", "per_day=4", "--set", "do.workers=3")["limits"]["per_day"] == 4
    (tmp_path / "more.toml").write_text(say("show", "more", "--toml")["toml"].replace('"1 h"', '"2 h"'))
    assert say("edit", "more", "--file", str(tmp_path / "more.toml"))["limits"]["cooldown"] == "2 h"
    assert say("pause", "more", "-m", "quiet")["status"]["reason"] == "quiet"
    assert say("resume", "more")["status"]["state"] == "active"
    fired = say("run", "more", "--key", "k1", "-m", "by hand")
    assert say("run", "more", "--key", "k1")["id"] == fired["id"]
    (listed,) = say("history", "more")["items"]
    assert (listed["state"], listed["cause"].endswith(": by hand")) == ("waiting", True)
    assert say("delete", "more", code=2)["error"]["kind"] == "Usage"
    assert say("delete", "more", "--confirm", "more") == {"deleted": "more"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("create", "x", "--scale", "live", "--workers", "2"), 2, "when? give one of --on-alert"),
        (("create", "x", "--by-hand"), 2, "do what? give one of --retrain"),
        (("create", "x", "--on-alert", "lives", "--scale", "live", "--workers", "2"), 2, "did you mean live?"),
        (("create", "x", "--schedule", "@dayly", "--scale", "live", "--workers", "2"), 2, "known are @hourly"),
        (("create", "x", "--on-alert", "live", "--retrain", "no.toml"), 2, "no recipe file"),
        (("create", "x", "--by-hand", "--rollback", "churn"), 2, "there is no model churn"),
        (("show", "x"), 2, "there is no trigger x"),
        (("edit", "x", "--set", "per_day=1"), 2, "there is no trigger x"),
    ],
)
def test_what_is_wrong_is_told(say: Any, args: tuple[str, ...], code: int, said: str) -> None:
    assert said in say(*args, code=code)["error"]["message"]


def test_without_a_terminal_no_editor_is_opened(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "false")
    say("create", "more", "--on-alert", "live", "--scale", "live", "--workers", "+2")
    assert "--set per_day=1" in say("edit", "more", code=2)["error"]["message"]


def test_a_retraining_is_told_and_not_begun(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.entities import TriggerDo, TriggerWhen

    kept = Trigger(name="again", when=TriggerWhen(hand=True), do=TriggerDo(retrain="r", model="churn"))
    monkeypatch.setattr("console.triggers.remedy.retrainer", lambda *_: (kept, True))
    monkeypatch.setattr("console.triggers.carry.plan", lambda *_: "train on churn@1")
    assert say("retrain", "churn", "--dry-run") == {"trigger": "again", "would": "train on churn@1"}
    assert say("list") == {"items": [], "next": None}
    assert say("history")["items"] == []


def test_a_wrong_key_or_value_changes_nothing(say: Any) -> None:
    say("create", "more", "--on-alert", "*", "--scale", "live", "--workers", "2")
    assert (
        "did you mean 'limits.per_day'?" in say("edit", "more", "--set", "limits.perday=1", code=2)["error"]["message"]
    )
    assert "'many' is not a whole number" in say("edit", "more", "--set", "per_day=many", code=2)["error"]["message"]
    assert say("show", "more")["limits"]["per_day"] == 3
