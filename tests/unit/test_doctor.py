"""The doctor: what it finds in a real workspace, and that it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.local import open_local
from console.cli.main import main
from console.doctor import Finding, Health, examine


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(path))
    monkeypatch.delenv("MLOPS_CONSOLE_CONTEXT", raising=False)
    monkeypatch.delenv("MLOPS_CONSOLE_WORKSPACE", raising=False)
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with one run in it."""
    home = tmp_path / "workspace"
    backend = open_local(home)
    assert backend.runs is not None
    backend.runs.create(name="first", mutation=Mutation(actor="user@here"))
    backend.close()
    return home


def found(workspace: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(workspace=workspace)}


def test_a_good_workspace_is_found_good(workspace: Path) -> None:
    findings = found(workspace)
    assert {
        "python",
        "packages",
        "clock",
        "terminal",
        "config",
        "workspace",
        "disk",
        "store",
        "journal",
        "agent",
    } <= set(findings)
    for check in ("python", "config", "workspace", "store", "journal"):
        assert findings[check].health is Health.OK, findings[check]


def test_every_finding_that_is_not_ok_says_what_to_do(workspace: Path) -> None:
    workspace.chmod(0o755)
    findings = found(workspace)
    assert findings["workspace"].health is Health.WARN
    assert findings["workspace"].todo == f"chmod 700 {workspace}"
    assert all(finding.todo for finding in findings.values() if finding.health is not Health.OK)


def test_a_workspace_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    findings = found(tmp_path / "nowhere")
    assert findings["workspace"].said.endswith("is made at first use")
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_database_fails_and_leaves_with_1(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rest in workspace.glob("console.db-*"):
        rest.unlink()
    database = workspace / "console.db"
    content = bytearray(database.read_bytes())
    content[4096 : 4096 * 6] = b"\xa5" * (4096 * 5)
    database.write_bytes(content)
    assert main(["doctor", "--workspace", str(workspace), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is False
    assert any(item["health"] == "fail" and item["check"] == "store" for item in report["items"])


def test_a_wrong_configuration_is_a_finding_and_not_a_crash(config: Path, workspace: Path) -> None:
    config.write_text("[contexts.prod]\nworkspaec = '/x'\n")
    findings = found(workspace)
    assert findings["config"].health is Health.FAIL
    assert "did you mean workspace?" in findings["config"].said


def test_a_journal_that_was_written_around_fails(workspace: Path) -> None:
    import sqlite3

    with sqlite3.connect(workspace / "console.db") as connection:
        # Whoever can write the file can take its guards away: the chain of hashes is what tells.
        guards = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal'")
        for (guard,) in guards.fetchall():
            connection.execute(f'DROP TRIGGER "{guard}"')
        connection.execute("UPDATE journal SET actor = 'someone@else'")
    assert found(workspace)["journal"].health is Health.FAIL
