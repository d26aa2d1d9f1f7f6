"""The chain of the journal notices what was done to it behind the program's back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from backends.contract import Backend, Mutation
from backends.local import DATABASE, open_local

GUARDS = ("journal_kept", "journal_unchanged")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    backend = open_local(tmp_path / "w")
    for number in range(6):
        backend.need("journal").record("note", f"t{number}", Mutation("ann@box", reason=f"reason {number}"))
    assert backend.need("journal").verify() == (6, "")
    backend.close()
    return tmp_path / "w"


def tamper(home: Path, *statements: str) -> tuple[int, str]:
    connection = sqlite3.connect(home / DATABASE, isolation_level=None)
    for guard in GUARDS:
        connection.execute(f"DROP TRIGGER {guard}")
    for statement in statements:
        connection.execute(statement)
    connection.close()
    backend: Backend = open_local(home)
    try:
        found: tuple[int, str] = backend.need("journal").verify()
        return found
    finally:
        backend.close()


@pytest.mark.parametrize("column", ["actor", "action", "target", "reason", "outcome", "detail", "undoes", "id", "key"])
def test_an_edited_entry_is_noticed(home: Path, column: str) -> None:
    held, wrong = tamper(home, f"UPDATE journal SET {column} = 'mallory' WHERE seq = 3")
    assert held == 2
    assert "entry 3" in wrong
    assert "altered" in wrong


def test_a_removed_entry_is_noticed(home: Path) -> None:
    held, wrong = tamper(home, "DELETE FROM journal WHERE seq = 3")
    assert (held, wrong) == (2, "entry 3 is missing: after 2 comes 4.")


def test_a_removed_entry_is_noticed_though_the_rest_was_renumbered(home: Path) -> None:
    held, wrong = tamper(
        home,
        "DELETE FROM journal WHERE seq = 3",
        *(f"UPDATE journal SET seq = {n - 1} WHERE seq = {n}" for n in (4, 5, 6)),
    )
    assert held == 2
    assert "entry 3" in wrong


def test_exchanged_entries_are_noticed(home: Path) -> None:
    held, wrong = tamper(
        home,
        "UPDATE journal SET seq = 99 WHERE seq = 2",
        "UPDATE journal SET seq = 2 WHERE seq = 3",
        "UPDATE journal SET seq = 3 WHERE seq = 99",
    )
    assert held == 1
    assert "does not follow" in wrong


def test_a_cut_tail_is_noticed(home: Path) -> None:
    held, wrong = tamper(home, "DELETE FROM journal WHERE seq > 4")
    assert (held, wrong) == (4, "the newest entries are missing: 4 are left of 6.")


def test_a_forged_tail_is_noticed(home: Path) -> None:
    held, wrong = tamper(home, "UPDATE journal_head SET hash = 'f'")
    assert held == 6
    assert "head record" in wrong


def test_the_store_itself_does_not_let_entries_change(home: Path) -> None:
    connection = sqlite3.connect(home / DATABASE)
    for statement in ("UPDATE journal SET actor = 'm'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
