"""The agent applies a configured policy once a day, and nothing without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.local import open_local
from console.agent.retention import DAY_MS, STATE, Retention, last_applied
from tests.terminal.stage import add_run

ANN = Mutation("ann@box")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = open_local(tmp_path / "w")
    yield made
    made.close()


def deleted(backend: Backend, name: str) -> str:
    run = add_run(backend, name).id
    backend.need("runs").delete(run, ANN)
    time.sleep(0.01)
    return run


def step(retention: Retention) -> None:
    retention._look_at = 0.0
    retention.step()
    if retention._work is not None:
        retention._work.join(30)


def test_a_policy_is_applied_once_a_day_and_journaled(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, home, said = tmp_path / "config.toml", tmp_path / "w", []
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    retention = Retention(backend, home, said.append)
    runs = backend.need("runs")
    first = deleted(backend, "first")
    step(retention)
    config.write_text(
        f'[contexts.other]\nworkspace = "{tmp_path}/x"\n[contexts.other.retention]\nkeep_deleted = "0 d"\n'
    )
    step(retention)
    table = f'[contexts.here]\nworkspace = "{home}"\n{{}}[contexts.here.retention]\nkeep_deleted = "0 d"\n'
    config.write_text(table.format("read_only = true\n"))
    step(retention)
    assert (runs.count(deleted=True).value, said, last_applied(home)) == (1, [], None), "no policy of this one"

    config.write_text(table.format(""))
    step(retention)
    assert runs.count(deleted=True).value == 0
    assert said == ["retention (keep_deleted = 0 d): 1 thing removed, 0 B given back"]
    entry = next(each for each in backend.need("journal").page().items if each.action == "run.purge")
    assert (entry.actor, entry.target) == ("agent", first)
    assert entry.reason.startswith("policy keep_deleted = 0 d: deleted ")

    deleted(backend, "second")
    step(retention)
    step(Retention(backend, home, said.append))
    assert runs.count(deleted=True).value == 1, "an agent that starts anew remembers the day"
    last = last_applied(home)
    assert last is not None
    (home / STATE).write_bytes(msgspec.json.encode(msgspec.structs.replace(last, at=last.at - DAY_MS)))
    step(retention)
    assert runs.count(deleted=True).value == 0


def test_a_failure_is_told_and_the_policy_stays_due(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, home, said = tmp_path / "config.toml", tmp_path / "w", []
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    config.write_text(f'[contexts.here]\nworkspace = "{home}"\n[contexts.here.retention]\nkeep_deleted = "0 d"\n')
    deleted(backend, "a")
    bare = msgspec.structs.replace(backend, retention=None, missing={"retention": "not here"})
    step(Retention(bare, home, said.append))
    assert "not here; tried again in 10 minutes" in said[0]
    step(Retention(backend, home, said.append))
    assert backend.need("runs").count(deleted=True).value == 0
