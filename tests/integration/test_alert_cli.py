"""Answering alerts and trying a channel from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.entities import Alert, AlertState, Monitor
from backends.local import open_local
from console.agent import stop_agent
from console.cli.main import main

ME = Mutation("someone@somewhere", "a test")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text(
        '[[notify]]\nname = "good"\nkind = "command"\ncommand = "cat"\n'
        '[[notify]]\nname = "bad"\nkind = "command"\ncommand = "false"\n'
        '[[notify]]\nname = "hook"\nkind = "webhook"\nurl = "https://hooks.example.org/T0/HUSH"\n'
    )
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    home = tmp_path / "workspace"
    backend = open_local(home)
    backend.need("monitors").put(Monitor(name="live", model="churn"), ME)
    backend.need("monitors").put_alert(
        Alert(id="a1b2c3d4e5", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="AUC is low")
    )
    backend.close()
    return home


def run(workspace: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["alert", *words, "--workspace", str(workspace)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_an_alert_is_taken_given_back_muted_and_ended(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert "which alert?" in run(workspace, capsys, "ack", "")[2], "not the only one there is"
        assert "there is no monitor nobody" in run(workspace, capsys, "mutes", "nobody")[2]
        assert run(workspace, capsys, "ack", "a1b2", "-m", "mine")[0] == 0
        assert "warn again" in run(workspace, capsys, "unack", "a1b2")[2]
        assert run(workspace, capsys, "mute", "a1b2", "--for", "two hours")[0] != 0
        code, out, _ = run(workspace, capsys, "mute", "a1b2", "--for", "2h", "-m", "known", "--json")
        assert (code, json.loads(out)["rule"], json.loads(out)["reason"]) == (0, "auc", "known")
        assert "muted" in run(workspace, capsys, "list")[1]
        assert "known" in run(workspace, capsys, "mutes")[1]
        assert run(workspace, capsys, "unmute", "a1b2")[0] == 0
        assert "not muted" in run(workspace, capsys, "unmute", "a1b2")[2]
        assert run(workspace, capsys, "resolve", "a1b2", "-m", "the feed was late")[0] == 0
        shown = run(workspace, capsys, "show", "a1b2")[1]
        assert "resolved" in shown
        assert "the feed was late" in shown
    finally:
        stop_agent(workspace)


def test_a_channel_is_tried_the_whole_way(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code, _, said = run(workspace, capsys, "test", "good")
        assert (code, "exit 0" in said) == (0, True)
        code, _, said = run(workspace, capsys, "test", "bad")
        assert code != 0
        assert "ended with 1" in said
        assert "it has good, bad, hook" in run(workspace, capsys, "test", "goood")[2]
        for words in (("channels",), ("channels", "--json")):
            shown = run(workspace, capsys, *words)[1]
            assert "hooks.example.org" in shown
            assert "HUSH" not in shown
    finally:
        stop_agent(workspace)
