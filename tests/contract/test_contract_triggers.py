"""What every `TriggerStore` promises."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Backend, Mutation, NotFound, Refused, TriggerStore
from backends.entities import (
    Firing,
    FiringState,
    Trigger,
    TriggerDo,
    TriggerLimits,
    TriggerState,
    TriggerStatus,
    TriggerWhen,
)

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.kept_here]


def nightly(**more: object) -> Trigger:
    return Trigger(
        name="nightly",
        when=TriggerWhen(schedule="@daily", timezone="UTC"),
        do=TriggerDo(check="flights"),
        **more,  # type: ignore[arg-type]
    )


def firing(number: int, **more: object) -> Firing:
    return Firing(id=f"f{number}", trigger="nightly", at=number, cause="due", **more)  # type: ignore[arg-type]


@pytest.fixture
def triggers(backend: Backend, ann: Mutation) -> TriggerStore:
    store: TriggerStore = backend.need("triggers")
    store.put(nightly(), ann)
    return store


def test_a_trigger_is_made_and_changed_in_the_journal(
    backend: Backend, triggers: TriggerStore, ann: Mutation, bob: Mutation
) -> None:
    made = triggers.get("nightly")
    assert (made.created_by, made.status.state, made.actor) == ("ann@box", TriggerState.ACTIVE, "trigger:nightly")
    changed = triggers.put(msgspec.structs.replace(made, limits=TriggerLimits(per_day=1)), bob)
    assert triggers.get("nightly") == changed
    assert (changed.created_by, changed.created_at, changed.limits.per_day) == ("ann@box", made.created_at, 1)
    again = triggers.put(changed, bob)
    assert again == changed
    entries = [entry for entry in backend.need("journal").page().items if entry.target == "nightly"]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("trigger.change", "bob@box"), ("trigger.create", "ann@box"),
    ]  # fmt: skip
    assert list(entries[0].after) == ["limits"]


def test_a_definition_leaves_where_the_trigger_stands_and_the_other_way_round(
    triggers: TriggerStore, ann: Mutation
) -> None:
    assert triggers.observe("nightly", TriggerStatus(next_at=99, cursor="7", failures=1))
    assert not triggers.observe("nightly", TriggerStatus(next_at=99, cursor="7", failures=1))
    triggers.put(nightly(note="at night"), ann)
    found = triggers.get("nightly")
    assert (found.note, found.status.next_at, found.status.cursor, found.status.failures) == ("at night", 99, "7", 1)


def test_only_turning_changes_the_state(triggers: TriggerStore, ann: Mutation) -> None:
    triggers.observe("nightly", TriggerStatus(failures=3))
    stopped = triggers.turn("nightly", TriggerState.STOPPED, msgspec.structs.replace(ann, reason="3 failures"))
    assert (stopped.status.state, stopped.status.reason) == (TriggerState.STOPPED, "3 failures")
    triggers.observe("nightly", TriggerStatus(next_at=5, failures=3))
    assert triggers.get("nightly").status.state is TriggerState.STOPPED
    resumed = triggers.turn("nightly", TriggerState.ACTIVE, ann)
    assert (resumed.status.state, resumed.status.reason, resumed.status.failures) == (TriggerState.ACTIVE, "", 0)


def test_the_same_cause_fires_once(triggers: TriggerStore) -> None:
    assert triggers.fire(firing(1), TriggerStatus(next_at=10, last="f1"))
    assert not triggers.fire(firing(1, reason="again"), TriggerStatus(next_at=20, last="f1"))
    assert triggers.firings("nightly") == (firing(1),)
    assert triggers.get("nightly").status.next_at == 20


def test_firings_are_brought_up_to_date_and_found_by_state_and_time(triggers: TriggerStore) -> None:
    for number in (1, 2, 3):
        triggers.fire(firing(number), TriggerStatus())
    triggers.put_firing(firing(2, state=FiringState.RUNNING, run="r1", steps=()))
    assert triggers.firing("f2").run == "r1"
    assert [each.id for each in triggers.firings()] == ["f3", "f2", "f1"]
    assert [each.id for each in triggers.firings(states=(FiringState.RUNNING,))] == ["f2"]
    assert [each.id for each in triggers.firings("nightly", since=2, limit=1)] == ["f3"]
    assert triggers.firings("other") == ()


def test_a_trigger_at_work_is_not_deleted_and_later_takes_its_firings_along(
    triggers: TriggerStore, ann: Mutation
) -> None:
    triggers.fire(firing(1, state=FiringState.RUNNING), TriggerStatus())
    with pytest.raises(Refused, match="at work"):
        triggers.delete("nightly", ann)
    triggers.put_firing(firing(1, state=FiringState.DONE))
    triggers.delete("nightly", ann)
    assert triggers.firings() == ()
    assert triggers.page().items == ()


def test_what_is_not_there_is_not_found(triggers: TriggerStore, ann: Mutation) -> None:
    for call in (
        lambda: triggers.get("nightl"),
        lambda: triggers.delete("none", ann),
        lambda: triggers.turn("none", TriggerState.PAUSED, ann),
        lambda: triggers.observe("none", TriggerStatus()),
        lambda: triggers.fire(msgspec.structs.replace(firing(1), trigger="none"), TriggerStatus()),
        lambda: triggers.firing("none"),
        lambda: triggers.put_firing(firing(9)),
    ):
        with pytest.raises(NotFound):
            call()
