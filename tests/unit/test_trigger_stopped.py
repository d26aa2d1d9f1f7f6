"""A trigger that stopped itself is an alert: once, for a person alone, until somebody looked after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, Mutation, NotFound
from backends.entities import Alert, AlertState, Firing, FiringState, Monitor, Mute, TriggerState
from backends.local import open_local
from console.cli.main import main
from console.monitoring.alarms.ack import mute, mute_of
from console.triggers.carry import settle
from console.triggers.causes import matching
from console.triggers.clock import real_now
from console.triggers.create import create_trigger, delete_trigger, pause, resume
from console.triggers.definition import parse_trigger

ME = Mutation("ann@box")
BAD = 'name = "bad"\n[when]\nalert = "*"\n[do]\ncommand = "false"\n[limits]\nfailures = 2\n'


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setattr("console.agent.ensure_agent", lambda *_, **__: None)
    made = open_local(tmp_path / "w")
    made.need("monitors").put(Monitor(name="live", model="churn"), ME)
    create_trigger(made, parse_trigger(BAD, "test", base=tmp_path), ME)
    yield made
    made.close()


def fail(backend: Backend, times: int, first: int = 0) -> None:
    store = backend.need("triggers")
    for number in range(first, first + times):
        at = real_now()
        state = {"state": FiringState.FAILED, "started_at": at, "ended_at": at, "reason": "run \x1b[31mx failed"}
        store.fire(
            Firing(id=f"f{number}", trigger="bad", at=at + number, cause="due", **state), store.get("bad").status
        )
    settle(backend, "bad")


def alerts(backend: Backend) -> list[Alert]:
    return list(backend.need("monitors").alerts("trigger:bad"))


def test_it_is_raised_once_with_the_stop_and_not_before(backend: Backend) -> None:
    fail(backend, 1)
    assert alerts(backend) == []
    fail(backend, 1, 1)
    (raised,) = alerts(backend)
    assert raised.text.startswith("trigger bad stopped itself: it failed 2 times in a row, the last one: run ")
    settle(backend, "bad")
    assert alerts(backend) == [raised]
    assert backend.need("triggers").get("bad").status.state is TriggerState.STOPPED


def test_an_agent_killed_between_alert_and_stop_raises_no_second_one(backend: Backend) -> None:
    store = backend.need("triggers")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    turn, store.turn = store.turn, killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fail(backend, 2)
    store.turn = turn  # type: ignore[method-assign]
    assert len(alerts(backend)) == 1
    settle(backend, "bad")
    assert len(alerts(backend)) == 1
    assert store.get("bad").status.state is TriggerState.STOPPED


@pytest.mark.parametrize(("deed", "said"), [(resume, "active"), (pause, "paused"), (delete_trigger, "deleted")])
def test_it_is_over_when_somebody_looked_after_the_trigger(backend: Backend, deed: Any, said: str) -> None:
    fail(backend, 2)
    deed(backend, "bad", ME)
    (over,) = alerts(backend)
    assert (over.state, over.text.rpartition(". ")[2]) == (AlertState.RESOLVED, f"Resolved: it is {said}")
    if deed is resume:
        fail(backend, 2, 2)
        assert [each.state for each in alerts(backend)] == [AlertState.FIRING, AlertState.RESOLVED]


def test_no_trigger_acts_on_it_and_it_can_be_muted(backend: Backend) -> None:
    fail(backend, 2)
    assert matching(backend, backend.need("triggers").get("bad")) == []
    made = mute(backend, mute_of(alerts(backend)[0], real_now() + 60_000), ME)
    assert (made.monitor, made.rule) == ("trigger:bad", "stopped")
    assert alerts(backend)[0].muted_until == made.until
    with pytest.raises(NotFound, match="there is no trigger worse"):
        mute(backend, Mute(monitor="trigger:worse", until=real_now() + 60_000), ME)


def test_the_lists_say_it(backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail(backend, 2)

    def say(*words: str) -> tuple[str, str]:
        assert main([*words, "--workspace", str(tmp_path / "w")]) == 0
        said = capsys.readouterr()
        return said.out, said.err

    out, err = say("trigger", "list")
    assert "stopped" in out
    assert "mlops-console trigger resume bad" in err
    assert "\x1b[31m" not in out + err
    assert "trigger:bad" in say("alert", "list")[0]
    (item,) = json.loads(say("alert", "list", "trigger:bad", "--json")[0])["items"]
    assert item["severity"] == "critical"
