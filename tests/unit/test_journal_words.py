"""What the journal says of monitors, alerts and triggers, made by the very verbs that write it."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.entities import Alert, AlertState, JournalEntry, Monitor, Mute, Segment
from backends.entities.triggers import Trigger, TriggerDo, TriggerState, TriggerWhen
from backends.local import open_local
from console.tui.journal_change import change
from tests.hostile import HOSTILE

WHO = Mutation(actor="me@here", reason="test")


@pytest.fixture
def backend(tmp_path: Path):
    opened = open_local(tmp_path / "w")
    opened.need("monitors").put(Monitor(name="live", model="churn", window="hour"), WHO)
    yield opened
    opened.close()


def newest(backend: Backend, action: str) -> str:
    entries = backend.need("journal").page(limit=50).items
    return change(next(entry for entry in entries if entry.action == action))


def put(backend: Backend, action: str, **fields: object) -> str:
    store = backend.need("monitors")
    store.put(msgspec.structs.replace(store.get("live"), **fields), WHO.named(action))
    return newest(backend, action)


def test_a_monitor_in_words(backend: Backend) -> None:
    assert newest(backend, "monitor.create") == "watches churn@champion by hour"
    north = Segment(name="north", where="region = north")
    assert put(backend, "monitor.segment", segments=(north,)) == "+ north (region = north)"
    assert put(backend, "monitor.segment", segments=()) == "- north"
    assert put(backend, "monitor.protect", protected=("sex", "age")) == "compares the groups of sex, age"
    assert put(backend, "monitor.pause", paused=True) == "watches its source no longer"
    rules = '[[rule]]\nname = "slow"\nmetric = "service.p95"\nabove = 250\n'
    assert put(backend, "monitor.policy", rules=rules) == "rules slow"
    assert put(backend, "monitor.policy", rules="") == "the default rules"
    assert put(backend, "monitor.policy", policy={"min_effect": 0.03}) == "min_effect 0.03"
    assert put(backend, "monitor.policy", policy={"min_effect": 0.05}) == "min_effect 0.03 → 0.05"
    backend.need("monitors").delete("live", WHO)
    assert newest(backend, "monitor.delete") == "0 windows, 0 rows of churn"


def test_an_alert_in_words(backend: Backend) -> None:
    store = backend.need("monitors")
    store.put_alert(Alert(id="a1", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="it fell"))
    store.ack_alert("a1", WHO)
    assert newest(backend, "alert.ack") == "auc: firing → acked"
    store.resolve_alert("a1", WHO)
    assert newest(backend, "alert.resolve") == "auc: acked → resolved"
    until = int(time.time() * 1000) + 3_600_000
    store.mute(Mute(monitor="live", rule="auc", segment="", until=until), WHO)
    assert newest(backend, "alert.mute").startswith("auc of the whole until ")
    store.unmute("live", "auc", "", WHO)
    assert newest(backend, "alert.unmute") == "auc of the whole heard again"


def test_a_trigger_in_words(backend: Backend) -> None:
    store = backend.need("triggers")
    when, do = TriggerWhen(alert="live", severity="critical"), TriggerDo(rollback="churn")
    held = store.put(Trigger(name="back", when=when, do=do), WHO)
    assert newest(backend, "trigger.create") == "alert on live (critical) → roll back champion of churn"
    limits = msgspec.structs.replace(held.limits, per_day=9)
    store.put(msgspec.structs.replace(held, limits=limits), WHO)
    assert newest(backend, "trigger.change") == "limits.per_day 3 → 9"
    store.turn("back", TriggerState.PAUSED, WHO)
    assert newest(backend, "trigger.pause") == "active → paused"


def test_a_firing_in_words() -> None:
    def entry(action: str, **fields: object) -> JournalEntry:
        return JournalEntry(seq=1, id="1", at=1, actor="trigger:back", action=action, target="back", **fields)  # type: ignore[arg-type]

    assert change(entry("trigger.fire", after={"do": "retrain", "firing": "f", "by": "ann@box"})) == (
        "begins: retrain, by ann@box"
    )
    ended = entry("trigger.end", after={"firing": "f", "state": "failed", "run": "1a2b3c"}, detail="no room")
    assert change(ended) == "failed run 1a2b: no room"


@pytest.mark.parametrize("action", ["monitor.segment", "monitor.policy", "alert.mute", "trigger.create", "trigger.end"])
def test_what_somebody_else_wrote_is_no_error(action: str) -> None:
    for odd in (
        {},
        {"segments": 3, "when": [], "until": "x"},
        {"rules": None, "do": {"x": 1}},
        *({"state": text} for text in HOSTILE),
    ):
        entry = JournalEntry(seq=1, id="1", at=1, actor="x", action=action, target="t", before=odd, after=odd)
        assert isinstance(change(entry), str)
