"""What every `Journal` promises, and that every change is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import END, Backend, Conflict, Invalid, Journal, Mutation, NotFound, all_pages
from backends.entities import (
    Alert,
    AlertState,
    GateResult,
    GateStatus,
    JournalEntry,
    ModelFile,
    Monitor,
    Outcome,
    RunStatus,
    Signature,
)
from backends.query import JOURNAL_FIELDS, parse

pytestmark = pytest.mark.needs("journal")


@pytest.fixture
def journal(backend: Backend) -> Journal:
    assert backend.journal is not None
    return backend.journal


def test_an_entry_says_who_what_when_and_why(journal: Journal) -> None:
    gate = GateResult(gate="auc", status=GateStatus.FAIL, value="0.61", rule=">= 0.7")
    mutation = Mutation("ann@box", reason="hot fix", key="k", gates=(gate,))
    made = journal.record(
        "model.promote",
        "churn",
        mutation,
        before={"version": "1"},
        after={"version": "2"},
        outcome="failed",
        detail="no",
    )
    assert journal.get(made.id) == made
    assert (made.actor, made.reason, made.gates, made.outcome) == ("ann@box", "hot fix", (gate,), Outcome.FAILED)
    assert (made.before, made.after, made.detail) == ({"version": "1"}, {"version": "2"}, "no")
    assert made.at > 1_700_000_000_000


def test_entries_come_newest_first_and_page_both_ways(journal: Journal, ann: Mutation) -> None:
    made = [journal.record("note", f"t{number}", ann).id for number in range(23)][::-1]
    assert [entry.id for entry in all_pages(lambda at: journal.page(at=at, limit=5))] == made
    last = journal.page(at=END, limit=5)
    assert ([entry.id for entry in last.items], last.next, last.first, last.total) == (made[-5:], None, 18, 23)
    assert last.previous is not None
    assert [entry.id for entry in journal.page(at=last.previous, limit=5).items] == made[-10:-5]
    assert [entry.id for entry in journal.page(at="#7", limit=5).items] == made[7:12]
    assert made[9] in [entry.id for entry in journal.page(at=f"@{made[9]}", limit=5).items]
    with pytest.raises(Invalid):
        journal.page(at="what")


def test_a_next_page_stays_in_place_when_entries_arrive(journal: Journal, ann: Mutation) -> None:
    made = [journal.record("note", f"t{number}", ann).id for number in range(20)][::-1]
    first = journal.page(limit=5)
    assert first.next is not None
    journal.record("note", "late", ann)
    assert [entry.id for entry in journal.page(at=first.next, limit=5).items] == made[5:10]


def test_entries_are_found_by_a_query(journal: Journal, ann: Mutation, bob: Mutation) -> None:
    for number in range(6):
        journal.record("note" if number % 2 else "other", f"t{number}", ann if number < 3 else bob)
    page = journal.page(parse("actor ~ bob and action = note order by seq", JOURNAL_FIELDS))
    assert [entry.target for entry in page.items] == ["t3", "t5"]


def test_recording_twice_with_one_key_makes_one_entry(journal: Journal) -> None:
    once = Mutation("ann@box", key="k")
    assert journal.record("a", "t", once) == journal.record("a", "t", once)
    assert journal.page().total == 1


def test_what_others_did_is_taken_in_once_with_its_own_time(journal: Journal, ann: Mutation) -> None:
    told = [
        JournalEntry(
            seq=0, id="", at=at, actor="bob@box", action="model.promote", target="churn", reason="why", key=f"k{at}"
        )
        for at in (1_000, 2_000)
    ]
    made = journal.take_in(told)
    assert [(entry.at, entry.actor, entry.reason) for entry in made] == [
        (1_000, "bob@box", "why"),
        (2_000, "bob@box", "why"),
    ]
    assert journal.take_in(told) == made
    assert [entry.id for entry in journal.page().items] == [made[1].id, made[0].id]
    assert journal.verify() == (2, "")


def test_an_unknown_entry_is_not_found_and_an_unknown_outcome_invalid(journal: Journal, ann: Mutation) -> None:
    with pytest.raises(NotFound):
        journal.get("nope")
    with pytest.raises(Invalid):
        journal.record("a", "t", ann, outcome="perhaps")


def test_an_entry_is_undone_once_and_says_by_which(journal: Journal, ann: Mutation) -> None:
    first = journal.record("a", "t", ann)
    undo = journal.record("undo", "t", Mutation("bob@box", undoes=first.id))
    assert journal.get(first.id).undone_by == undo.id
    with pytest.raises(Conflict, match="bob@box"):
        journal.record("undo", "t", Mutation("ann@box", undoes=first.id))
    with pytest.raises(NotFound):
        journal.record("undo", "t", Mutation("ann@box", undoes="nothing"))
    assert journal.page().total == 2


def test_the_chain_of_an_untouched_journal_holds(journal: Journal, ann: Mutation) -> None:
    assert journal.verify() == (0, "")
    for number in range(5):
        journal.record("a", f"t{number}", ann)
    assert journal.verify() == (5, "")


def test_every_change_a_person_makes_is_journaled(backend: Backend, tmp_path: Path, ann: Mutation) -> None:
    runs, registry, monitors, datasets = backend.runs, backend.registry, backend.monitors, backend.datasets
    if not (runs and registry and monitors and datasets):
        pytest.skip("this backend lacks a capability of the list")
    run = runs.create(name="a", mutation=ann).id
    runs.set_tags(run, {"a": "1"}, ann)
    runs.set_note(run, "n", ann)
    runs.end(run, RunStatus.STOPPED)
    runs.delete(run, ann)
    runs.restore(run, ann)
    registry.register("m", run=run, file=ModelFile(), signature=Signature(), mutation=ann)
    registry.set_alias("m", "champion", "1", expected=None, mutation=ann)
    registry.set_alias("m", "champion", None, expected="1", mutation=ann)
    registry.set_note("m", "1", "n", ann)
    registry.set_tags("m", "", {"a": "1"}, ann)
    monitors.put(Monitor(name="w", model="m"), ann)
    monitors.put(Monitor(name="w", model="m", paused=True), ann)
    monitors.put_alert(Alert(id="al", monitor="w", metric="psi", state=AlertState.FIRING, opened_at=1, text="t"))
    monitors.ack_alert("al", ann)
    monitors.delete("w", ann)
    file = tmp_path / "d.parquet"
    file.write_bytes(b"content")
    datasets.add("d", file, digest="d" * 64, rows=1, columns=[], source="s", mutation=ann)
    datasets.delete("d", ann)
    assert backend.journal is not None
    entries = [
        entry
        # A server's move of an alias is written down before it is made, and after.
        for entry in list(all_pages(lambda at: backend.journal.page(at=at)))[::-1]
        if entry.outcome is Outcome.DONE
    ]
    assert [(entry.action, entry.target) for entry in entries] == [
        ("run.create", run),
        ("run.tag", run),
        ("run.note", run),
        ("run.delete", run),
        ("run.restore", run),
        ("model.register", "m@1"),
        ("model.promote", "m"),
        ("model.unalias", "m"),
        ("model.note", "m@1"),
        ("model.tag", "m"),
        ("monitor.create", "w"),
        ("monitor.change", "w"),
        ("alert.ack", "w"),
        ("monitor.delete", "w"),
        ("dataset.import", "d@1"),
        ("dataset.delete", "d"),
    ]
    assert {entry.actor for entry in entries} == {"ann@box"}
    assert entries[11].after == {"paused": True}
    assert backend.journal.verify() == (backend.journal.page().total, "")


def test_a_refused_change_leaves_no_entry(backend: Backend, journal: Journal, ann: Mutation) -> None:
    assert backend.registry is not None
    with pytest.raises(NotFound):
        backend.registry.set_alias("none", "champion", "1", expected=None, mutation=ann)
    assert journal.page().total == 0
