"""Asking, agreeing, saying no and letting it lapse, killed with -9 before each statement that writes.

Whatever was cut off, alias, request and journal tell one story, and who repeats what they did comes to the same end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import BackendError, Refused
from backends.entities import Outcome, RequestState
from backends.local import open_local
from console.promotion.approvals import APPROVE, ASK, KIND, REJECT, Waiting, waiting
from console.promotion.approve import approve
from console.promotion.policy import FILE
from console.promotion.promote import promote
from console.promotion.reject import reject
from tests.unit.registry import ME, by, version_of, workspace

ROOT = Path(__file__).parents[2]
RULES = """
[[promotion]]
alias = "champion"
approvals = {count}
expires = "1 h"
together = {{ previous = "holder", challenger = "clear" }}
"""
BEFORE = {"champion": "1", "challenger": "2"}
AFTER = {"champion": "2", "previous": "1"}

NURSERY = """
import os, signal, sqlite3, sys
from pathlib import Path
from backends.contract import Mutation
from backends.local import open_local
from console.promotion import approvals, warming
from console.promotion.reject import reject
from console.promotion.approve import approve
from console.promotion.promote import promote

WRITES = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "COMMIT")
connect, seen, moment = sqlite3.connect, 0, 0

def statement(text):
    global seen
    seen += text.startswith(WRITES)
    if seen == moment:
        os.kill(os.getpid(), signal.SIGKILL)

def traced(*args, **options):
    made = connect(*args, **options)
    made.set_trace_callback(statement)
    return made

def carried_out(home, deed, who, request):
    global seen
    backend = open_local(Path(home))
    mutation, seen = Mutation(actor=who, reason="because"), 0
    if deed == "ask":
        promote(backend, "churn", "2", "champion", mutation, expected="1")
    elif deed == "ask later":
        now = approvals.now_ms()
        approvals.now_ms = lambda: now + 2 * 3_600_000
        promote(backend, "churn", "2", "champion", mutation, expected="1")
    elif deed == "approve":
        approve(backend, request, mutation)
    else:
        reject(backend, request, mutation)

sqlite3.connect = traced
for line in sys.stdin:
    at, *words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        moment = int(at)
        try:
            carried_out(*words)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Imports once and forks for each line `moment, home, deed, who, request`; answers with the child's exit code."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Callable[..., int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    def bear(*words: object) -> int:
        print(*words, sep="\t", file=process.stdin, flush=True)
        return int(process.stdout.readline())

    yield bear
    process.stdin.close()
    process.wait(timeout=180)


def prepared(folder: Path, count: int, *deeds: str) -> tuple[Path, str]:
    """(a workspace in which a promotion of v2 over v1 was asked for, or not, and what `deeds` say; the request)."""
    backend = workspace(folder)
    for at in range(2):
        version_of(backend, folder, auc=0.7 + at / 10, content=f"model {at}".encode())
    promote(backend, "churn", "1", "champion", ME, expected=None)
    promote(backend, "churn", "2", "challenger", ME, expected=None)
    (backend.home / FILE).write_text(RULES.format(count=count))
    request = ""
    if "asked" in deeds:
        found = promote(backend, "churn", "2", "champion", ME, expected="1")
        assert isinstance(found, Waiting)
        request = found.id
    if "agreed" in deeds:
        approve(backend, request, by("user3@host"))
    backend.close()
    return folder / "workspace", request


def story(backend: Any) -> dict[str, Any]:
    """What alias, requests and journal say, once it is sure that they say the same."""
    aliases = backend.registry.get("churn").aliases
    assert aliases in (BEFORE, AFTER)
    moves = backend.registry.history("churn", alias="champion")
    assert moves[0].version == aliases["champion"]
    entries = [entry for entry in reversed(backend.journal.page(limit=1_000).items) if entry.outcome is Outcome.DONE]
    assert [move.entry for move in reversed(moves)] == [
        entry.id for entry in entries if entry.action == "model.promote" and entry.after.get("alias") == "champion"
    ]
    assert backend.journal.verify()[1] == ""
    every = sorted(waiting(backend, everything=True), key=lambda each: each.at)
    for each in every:
        said = [entry for entry in entries if entry.after.get("request") == each.id]
        answers = [entry for entry in said if entry.action in (APPROVE, REJECT)]
        assert [(entry.actor, entry.action == APPROVE) for entry in answers] == [
            (answer.actor, answer.agreed) for answer in each.answers
        ]
        asked = [entry.actor for entry in said if entry.action == ASK]
        assert asked == [each.by] or (asked == [] and not answers), "an answer never stands without what was asked"
    if aliases == AFTER:
        names = [gate.detail for gate in backend.journal.get(moves[0].entry).gates if gate.gate == "approvals"]
        assert len(names) == 1, "the move names who asked and who agreed"
        assert "user2@host" in names[0]
    open_ones = {each.id for each in backend.requests.list(states=(RequestState.WAITING,), kind=KIND, limit=10)}
    return {
        "aliases": aliases,
        "requests": [(each.id in open_ones, len(each.agreed), each.rejected is not None) for each in every],
        "asked": sum(entry.action == ASK for entry in entries),
    }


# deed: (approvals wanted, what was done before, who does it, what stands at the end: aliases, (open, agreed, rejected))
DEEDS = {
    "ask": (1, (), "user1@host", BEFORE, [(True, 0, False)]),
    "approve": (1, ("asked",), "user2@host", AFTER, [(False, 1, False)]),
    "approve first of two": (2, ("asked",), "user2@host", BEFORE, [(True, 1, False)]),
    "approve last of two": (2, ("asked", "agreed"), "user2@host", AFTER, [(False, 2, False)]),
    "reject": (1, ("asked",), "user2@host", BEFORE, [(False, 0, True)]),
    "withdraw": (1, ("asked",), "user1@host", BEFORE, [(False, 0, True)]),
    "ask later": (1, ("asked",), "user1@host", BEFORE, [(False, 0, False), (True, 0, False)]),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_killed_at_any_write_it_is_gone_on_with_and_all_agree(
    nursery: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    count, before, who, aliases, requests = DEEDS[deed]
    template, request = prepared(tmp_path, count, *before)
    verb = {"withdraw": "reject", "ask later": deed}.get(deed, deed.split()[0])
    moment, code, seen = 1, -signal.SIGKILL, []
    while code:
        home = tmp_path / f"m{moment}"
        shutil.copytree(template, home)
        code = nursery(moment, home, verb, who, request)
        assert code in (0, -signal.SIGKILL)
        backend = open_local(home)
        seen.append(story(backend))
        # Who was cut off does the same again; nobody kills them this time.
        again(backend, nursery, home, verb, who, request)
        found = story(backend)
        assert (found["aliases"], found["requests"]) == (aliases, requests)
        assert found["asked"] == len(requests)
        backend.close()
        shutil.rmtree(home)
        moment += 1
    assert moment > 6, "each entry alone takes several writes"
    assert seen[0]["aliases"] == BEFORE
    assert seen[-1] == found, "done at once it is what it is gone on to"
    assert [each["aliases"] == AFTER for each in seen] == sorted(each["aliases"] == AFTER for each in seen)


def again(backend: Any, nursery: Callable[..., int], home: Path, verb: str, who: str, request: str) -> None:
    mutation = by(who)
    if verb == "ask":
        promote(backend, "churn", "2", "champion", mutation, expected="1")
    elif verb == "ask later":
        assert nursery(-1, home, verb, who, request) == 0  # in a process whose clock is as late
    elif verb == "approve":
        approve(backend, request, mutation)
    else:
        try:
            reject(backend, request, mutation)
        except BackendError as error:
            raise AssertionError(f"rejecting again: {error}") from error


def test_who_agrees_writes_down_what_was_asked_where_the_asker_died_before(
    nursery: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    template, _ = prepared(tmp_path, 1)
    lost, moment, code = 0, 1, -signal.SIGKILL
    while code:
        home = tmp_path / f"m{moment}"
        shutil.copytree(template, home)
        code = nursery(moment, home, "ask", "user1@host", "")
        backend = open_local(home)
        found, asked = waiting(backend), story(backend)["asked"]
        if found:
            lost += asked == 0
            approve(backend, found[0].id, by("user2@host"))
            assert story(backend) == {"aliases": AFTER, "requests": [(False, 1, False)], "asked": 1}
        backend.close()
        shutil.rmtree(home)
        moment += 1
    assert lost, "there were moments at which the request stood and the journal did not tell of it"


def test_who_says_no_after_a_killed_approval_stops_it_or_is_told_that_it_was_carried_out(
    nursery: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    template, request = prepared(tmp_path, 1, "asked")
    outcomes, moment, code = [], 1, -signal.SIGKILL
    while code:
        home = tmp_path / f"m{moment}"
        shutil.copytree(template, home)
        code = nursery(moment, home, "approve", "user2@host", request)
        backend = open_local(home)
        moved = backend.registry.get("churn").aliases == AFTER
        if moved:
            with pytest.raises(Refused):
                reject(backend, request, by("user3@host"))
        else:
            reject(backend, request, by("user3@host"))
            with pytest.raises(Refused, match="was rejected by user3@host"):
                approve(backend, request, by("user2@host"))
        found = story(backend)
        assert found["aliases"] == (AFTER if moved else BEFORE)
        ((is_open, _, rejected),) = found["requests"]
        assert (is_open, rejected) == (False, not moved)
        outcomes.append(moved)
        backend.close()
        shutil.rmtree(home)
        moment += 1
    assert outcomes == sorted(outcomes)
    assert {True, False} == set(outcomes)
