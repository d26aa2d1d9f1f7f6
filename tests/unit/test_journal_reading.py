"""The journal as an audit trail: narrowed, written as files, and held against an anchor from before."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from backends.contract import Invalid, Mutation
from backends.entities import JournalEntry
from backends.local import DATABASE, open_local
from backends.local.journal import _COLUMNS, _chain
from backends.query import Query
from console.moment import moment
from console.promotion.at import version_at, versions_at
from console.promotion.journal_reading import Asked, anchor, entries, fault_against, narrowed, written
from tests.hostile import HOSTILE
from tests.unit.registry import ME, version_of, workspace


@pytest.fixture
def backend(tmp_path: Path):
    opened = open_local(tmp_path / "w")
    journal = opened.need("journal")
    for actor in ("ann@box", "ann@lap", "joann@box", "bob@box"):
        journal.record("model.promote", "churn", Mutation(actor))
    journal.record("model.note", "churn@3", Mutation("ann@box"))
    journal.record("run.promote", "churned", Mutation("bob@box"))
    yield opened
    opened.close()


def found(backend, **asked) -> list[tuple[str, str, str]]:
    return [(each.actor, each.action, each.target) for each in entries(backend, narrowed(Query(), Asked(**asked)))]


def test_it_is_narrowed_to_a_person_a_target_a_verb(backend) -> None:
    assert {who for who, _, _ in found(backend, who="ann")} == {"ann@box", "ann@lap"}
    assert {who for who, _, _ in found(backend, who="ann@lap")} == {"ann@lap"}
    assert {target for _, _, target in found(backend, target="churn")} == {"churn", "churn@3"}
    assert {verb for _, verb, _ in found(backend, verb="promote")} == {"model.promote", "run.promote"}
    assert {verb for _, verb, _ in found(backend, verb="model")} == {"model.promote", "model.note"}
    assert found(backend, who="ann", verb="model.note", target="churn@3") == [("ann@box", "model.note", "churn@3")]


def test_it_is_narrowed_to_a_time(backend) -> None:
    time.sleep(0.01)
    edge = int(time.time() * 1000)
    time.sleep(0.01)
    backend.need("journal").record("late", "x", ME)
    assert [verb for _, verb, _ in found(backend, since=edge)] == ["late"]
    assert len(found(backend, until=edge)) == 6
    assert len(found(backend)) == 7


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_a_file_holds_every_entry_as_it_is(backend, kind: str) -> None:
    for name, text in HOSTILE.items():
        if name != "surrogate":
            backend.need("journal").record("note", text or "-", Mutation("ann@box", reason=text), after={"x": text})
    held = list(entries(backend, Query()))
    text = "".join(written(iter(held), kind))
    if kind == "json":
        assert msgspec.json.decode(text, type=list[JournalEntry]) == held
    elif kind == "jsonl":
        assert [msgspec.json.decode(line, type=JournalEntry) for line in text.split("\n") if line] == held
    else:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["reason"] for row in rows] == [entry.reason for entry in held]
        assert [json.loads(row["after"]) for row in rows] == [entry.after for entry in held]
        assert [row["hash"] for row in rows] == [entry.hash for entry in held]


def test_nothing_is_an_empty_file_and_another_format_is_refused() -> None:
    assert json.loads("".join(written(iter(()), "json"))) == []
    assert "".join(written(iter(()), "jsonl")) == ""
    with pytest.raises(Invalid, match="no format"):
        list(written(iter(()), "xml"))


# ---------------------------------------------------------------- anchors


def rewrite(home: Path, keep: int, *, reason: str = "") -> None:
    """What somebody with the file can do: drop the guards, cut the end, chain anew, set the head to fit."""
    connection = sqlite3.connect(home / DATABASE, isolation_level=None)
    for guard in ("journal_kept", "journal_unchanged"):
        connection.execute(f"DROP TRIGGER {guard}")
    connection.execute("DELETE FROM journal WHERE seq > ?", (keep,))
    previous = ""
    for row in connection.execute(f"SELECT {_COLUMNS} FROM journal ORDER BY seq").fetchall():
        fresh = (*row[:8], reason or row[8], *row[9:14], previous)
        previous = _chain(fresh)
        connection.execute(
            "UPDATE journal SET reason = ?, previous_hash = ?, hash = ? WHERE seq = ?",
            (fresh[8], fresh[14], previous, row[0]),
        )
    connection.execute("UPDATE journal_head SET seq = ?, hash = ?", (keep, previous))
    connection.close()


def test_an_anchor_holds_while_only_further_entries_come(backend) -> None:
    kept = anchor(backend)
    backend.need("journal").record("more", "x", ME)
    assert fault_against(backend, kept) == ""
    for wrong in ("", "6", "6:abc", f"x:{'0' * 64}"):
        with pytest.raises(Invalid, match="no anchor"):
            fault_against(backend, wrong)


@pytest.mark.parametrize(("keep", "reason", "said"), [(4, "", "were removed"), (6, "forged", "written anew")])
def test_a_forger_who_fits_chain_and_head_is_noticed_by_the_anchor_alone(
    backend, tmp_path: Path, keep: int, reason: str, said: str
) -> None:
    kept = anchor(backend)
    rewrite(tmp_path / "w", keep, reason=reason)
    again = open_local(tmp_path / "w")
    try:
        assert again.need("journal").verify() == (keep, "")
        assert said in fault_against(again, kept)
    finally:
        again.close()


# ---------------------------------------------------------------- at a time


def test_every_alias_is_told_at_a_time_and_local_time_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = workspace(tmp_path)
    for content in (b"one", b"two"):
        version_of(backend, tmp_path, content=content)
    registry = backend.registry
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ME)
    registry.set_alias("churn", "challenger", "2", expected=None, mutation=ME)
    time.sleep(0.01)
    edge = int(time.time() * 1000)
    time.sleep(0.01)
    registry.set_alias("churn", "champion", "2", expected="1", mutation=ME)
    registry.set_alias("churn", "challenger", None, expected="2", mutation=ME)
    assert versions_at(backend, "churn", edge) == {"challenger": "2", "champion": "1"}
    assert versions_at(backend, "churn", int(time.time() * 1000)) == {"champion": "2"}
    assert versions_at(backend, "churn", 0) == {}
    assert version_at(backend, "churn", "challenger", edge + 60_000) is None
    backend.close()
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert moment("2026-11-01T02:00") == moment("2026-10-31T20:30Z")
    finally:
        monkeypatch.undo()
        time.tzset()
