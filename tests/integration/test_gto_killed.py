"""Models in git when a process is killed in the middle of a change: all of it is there, or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.contract import Conflict
from backends.entities import AliasChange
from tests.gto_world import ANN, BOB, bare, git, move, opened, register, registry_of
from tests.monitored import until

__all__ = ["opened"]


KILLED = """
import sys
from pathlib import Path
from backends.connect import connect
from backends.contract import Mutation
from backends.entities import AliasChange
backend = connect("git", sys.argv[1], sidecar=Path(sys.argv[2]))
at = "0.0.1"
print("at it", flush=True)
while True:
    to = "0.0.2" if at == "0.0.1" else "0.0.1"
    changes = [AliasChange(alias=name, version=to, expected=at) for name in ("blue", "green", "red")]
    backend.registry.set_aliases("churn", changes, mutation=Mutation("ann@box", reason="over and over"))
    at = to
"""


def test_kill_9_in_the_middle_leaves_all_or_nothing(tmp_path: Path, opened: Any) -> None:
    folder = bare(tmp_path / "models.git")
    url = f"gto+file://{folder}"
    backend = opened(url, "ann")
    register(backend)
    register(backend)
    changes = [AliasChange(alias=name, version="0.0.1", expected=None) for name in ("blue", "green", "red")]
    registry_of(backend).set_aliases("churn", changes, mutation=ANN)
    for attempt in range(2):
        held = registry_of(backend).get("churn").aliases["blue"]
        back = [AliasChange(alias=name, version="0.0.1", expected=held) for name in ("blue", "green", "red")]
        if held != "0.0.1":
            registry_of(backend).set_aliases("churn", back, mutation=ANN)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, url, str(tmp_path / "sidecar-ann")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2 + 0.3 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        again = opened(url, "ann")
        aliases = registry_of(again).get("churn").aliases
        assert len(set(aliases.values())) == 1, aliases
        assert set(aliases) == {"blue", "green", "red"}
        moves = registry_of(again).history("churn")
        assert len(moves) % 3 == 0
        assert again.journal is not None
        told = [entry for entry in again.journal.page(limit=500).items if entry.action == "model.promote"]
        assert len(told) == len(moves) // 3
        again.close()


HOLDS = """#!/bin/sh
[ "$1" = prepared ] && [ -e {held} ] || exit 0
touch {at_it}
while [ -e {held} ]; do sleep 0.05; done
"""
"""Of git, with all the locks of its refs and none of them written."""


def test_a_git_that_outlives_its_killed_console_is_not_interfered_with(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, held, at_it = bare(tmp_path / "models.git"), tmp_path / "held", tmp_path / "at-it"
    url = f"gto+file://{folder}"
    backend = opened(url, "ann")
    register(backend)
    register(backend)
    changes = [AliasChange(alias=name, version="0.0.1", expected=None) for name in ("blue", "green", "red")]
    registry_of(backend).set_aliases("churn", changes, mutation=ANN)
    hook = folder / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOLDS.format(held=held, at_it=at_it))
    hook.chmod(0o755)
    held.touch()
    with subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path / "sidecar-ann")]) as process:
        until(at_it.exists, what="git at its refs")
        process.kill()
    monkeypatch.setattr("backends.gto.registry.SETTLE_S", 0.2)
    again = opened(url, "ann")
    with pytest.raises(Conflict, match="another console of this machine"), again.registry._state.alone(wait=0.0):
        pass
    held.unlink()
    until(lambda: set(registry_of(opened(url, "ann")).get("churn").aliases.values()) == {"0.0.2"}, what="its end")
    move(again, "0.0.1", "0.0.2", BOB, alias="blue")
    assert registry_of(again).get("churn").aliases == {"blue": "0.0.1", "green": "0.0.2", "red": "0.0.2"}
    moves = [(each.alias, each.version, each.actor) for each in registry_of(again).history("churn")[:4]]
    assert moves[0] == ("blue", "0.0.1", "bob@box")
    assert sorted(moves[1:]) == [(name, "0.0.2", "ann@box") for name in ("blue", "green", "red")]


def test_what_git_itself_left_half_done_is_finished(tmp_path: Path, opened: Any) -> None:
    """git writes the refs of one change one after the other: killed in between, some stand and a lock is left."""
    folder = bare(tmp_path / "models.git")
    url = f"gto+file://{folder}"
    backend = opened(url)
    register(backend)
    register(backend)
    move(backend, "0.0.1", None)
    before = set(git(folder, "for-each-ref", "--format=%(refname)").split())
    move(backend, "0.0.2", "0.0.1", BOB)
    listed = git(folder, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")
    made = {ref: oid for ref, oid in (line.split() for line in listed) if ref not in before}
    last = sorted(made)[-1]
    git(folder, "update-ref", "-d", last)
    lock = folder / f"{last}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    from backends.gto.state import State

    state = State(tmp_path / "sidecar-git" / "gto.db")
    state.intend("c", msgspec.json.encode({"created": made, "moved": {}}).decode())
    state.close()
    again = opened(url)
    assert registry_of(again).get("churn").aliases == {"prod": "0.0.2"}
    assert not lock.exists()
    assert git(folder, "rev-parse", last) == made[last]
