"""A console killed in the middle of a promotion: the alias has moved with its journal entry, or nothing has."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from backends.local import open_local
from console.promotion.approvals import waiting
from console.promotion.approve import approve
from console.promotion.policy import FILE
from console.promotion.promote import promote
from tests.unit.registry import ME, by, version_of, workspace

ROOT = Path(__file__).parents[2]
KEY = "promotion-1"
TOGETHER = '[[promotion]]\ntogether = { previous = "holder" }\n'

ONCE = """
import os, signal, sqlite3, sys
from pathlib import Path
from backends.contract import Mutation
from backends.local import open_local
from console.promotion.promote import promote

home, verb, moment = Path(sys.argv[1]), getattr(signal, sys.argv[2]), int(sys.argv[3])
seen = 0

def statement(text):
    global seen
    seen += 1
    if seen == moment:
        os.kill(os.getpid(), verb)

connect = sqlite3.connect
def traced(*args, **options):
    made = connect(*args, **options)
    made.set_trace_callback(statement)
    return made
sqlite3.connect = traced

backend = open_local(home)
seen = 0
promote(backend, "churn", "2", "champion", Mutation(actor="user1@host", reason="r", key=sys.argv[4]), expected="1")
print("done", seen)
"""

WRITING = ONCE.replace(
    "    seen += 1", "    seen += text.startswith(('BEGIN IMMEDIATE', 'INSERT', 'UPDATE', 'DELETE', 'COMMIT'))"
)
"""Counts what writes, not what reads."""

AGREED = (
    WRITING.replace("import promote", "import promote\nfrom console.promotion.approve import approve").partition(
        "promote(backend"
    )[0]
    + 'approve(backend, sys.argv[4], Mutation(actor="user2@host", reason="r"))\nprint("done", seen)\n'
)

FOREVER = """
import sys
from pathlib import Path
from backends.contract import Mutation
from backends.local import open_local
from console.promotion.promote import promote

backend = open_local(Path(sys.argv[1]))
held = backend.registry.get("churn").aliases["champion"]
print("started", flush=True)
while True:
    other = "1" if held == "2" else "2"
    move = promote(backend, "churn", other, "champion", Mutation(actor="user1@host", reason="r"), expected=held)
    print(move.entry, flush=True)
    held = other
"""


NURSERY = """
import json, os, sys
import backends.local, console.promotion.approve, console.promotion.promote, console.promotion.warming
import sqlite3, traceback

for line in sys.stdin:
    script, words, out, err = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.argv = ["-c", *words]
        try:
            exec(script, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, flush=True)
"""
"""Bears a console for each line: a process of its own, that need not import everything again to be killed once."""


class Nursery:
    def __init__(self, folder):
        self.out, self.err = folder / "out", folder / "err"
        self.process = child(NURSERY, stdin=subprocess.PIPE, stderr=None)

    def run(self, script, *words):
        """(exit code, or minus the signal; what it printed; its complaint)."""
        for path in (self.out, self.err):
            path.write_text("")
        order = [script, [str(word) for word in words], str(self.out), str(self.err)]
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), self.out.read_text(), self.err.read_text()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.process.stdin.close()
    assert made.process.wait(30) == 0


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two versions of churn, the first of them champion."""
    folder = tmp_path_factory.mktemp("template")
    backend = workspace(folder)
    for at in range(2):
        version_of(backend, folder, content=f"model {at}".encode())
    promote(backend, "churn", "1", "champion", ME, expected=None)
    backend.close()
    return folder / "workspace"


def child(script, *words, stdin=None, stderr=subprocess.PIPE):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip


def state(backend):
    """(holder, moves of the alias, journaled promotions), which always tell one story."""
    held = backend.registry.get("churn").aliases["champion"]
    moves = backend.registry.history("churn", alias="champion")
    promotions = [entry for entry in backend.journal.page(limit=10_000).items if entry.action == "model.promote"]
    assert moves[0].version == held
    assert [move.entry for move in moves] == [entry.id for entry in promotions]
    for newer, older in pairwise(moves):
        assert newer.previous == older.version
    checked, broken = backend.journal.verify()
    assert (broken, checked) == ("", backend.journal.page(limit=1).total)
    return held, moves, promotions


@pytest.mark.parametrize("rules", ["", TOGETHER], ids=["alone", "together"])
def test_a_promotion_killed_at_any_statement_is_done_or_not_and_never_half(template, nursery, tmp_path, rules):
    moment, outcomes, finished = 1, [], False
    script = WRITING if rules else ONCE
    while not finished:
        home = tmp_path / f"w{moment}"
        shutil.copytree(template, home)
        (home / FILE).write_text(rules)
        verb = ("SIGKILL", "SIGHUP")[moment % 2]
        code, out, complaint = nursery.run(script, home, verb, moment, KEY)
        finished = code == 0
        assert finished or code == -getattr(signal, verb), complaint
        assert finished == out.startswith("done")

        backend = open_local(home)
        held, moves, _ = state(backend)
        assert (held, len(moves)) in (("1", 1), ("2", 2))
        previous = {"previous": "1"} if rules and held == "2" else {}
        assert backend.registry.get("churn").aliases == {"champion": held, **previous}
        if finished:
            assert held == "2"
        outcomes.append(held)

        # The console comes back and the person presses the same key again.
        move = promote(backend, "churn", "2", "champion", by("user1@host", key=KEY), expected="1")
        held, moves, _ = state(backend)
        assert (held, len(moves), moves[0].entry) == ("2", 2, move.entry)
        backend.close()
        shutil.rmtree(home)
        moment += 1
    assert len(outcomes) > (8 if rules else 20), "there must have been many moments"
    assert outcomes == sorted(outcomes), "once it is done it stays done"
    assert outcomes[0] == "1"
    assert outcomes[-1] == "2"
    assert rules or outcomes[-2] == "2", "one moment lies between the commit and the answer"


def test_an_approval_killed_at_any_write_is_gone_on_with_and_moves_once(template, nursery, tmp_path):
    """Killed at each statement that writes: whoever approved approves again, and one move with all names is there."""
    asked = tmp_path / "asked"
    shutil.copytree(template, asked)
    (asked / FILE).write_text("[[promotion]]\napprovals = 1\n")
    backend = open_local(asked)
    request = promote(backend, "churn", "2", "champion", ME, expected="1")
    backend.close()
    moment, outcomes, finished = 1, [], False
    while not finished:
        home = tmp_path / f"a{moment}"
        shutil.copytree(asked, home)
        code, out, complaint = nursery.run(AGREED, home, "SIGKILL", moment, request.id)
        finished = code == 0
        assert finished or code == -signal.SIGKILL, complaint
        assert finished == out.startswith("done")

        backend = open_local(home)
        held, moves, _ = state(backend)
        assert (held, len(moves)) in (("1", 1), ("2", 2))
        left = waiting(backend, everything=True)
        assert [each.id for each in left] == [request.id]
        outcomes.append((held, len(left[0].agreed), left[0].closed))

        move = approve(backend, request.id, by("user2@host"))
        held, moves, _ = state(backend)
        assert (held, len(moves), moves[0].entry) == ("2", 2, move.entry)
        assert [gate.value for gate in backend.journal.get(move.entry).gates if gate.gate == "approvals"] == ["1 of 1"]
        assert waiting(backend) == ()
        backend.close()
        shutil.rmtree(home)
        moment += 1
    assert outcomes == sorted(outcomes), "what is written stays written"
    assert {("1", 0, False), ("1", 1, False), ("2", 1, False), ("2", 1, True)} == set(outcomes)


@pytest.mark.parametrize("verb", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM], ids=lambda verb: verb.name)
def test_promotions_killed_at_any_time_leave_one_unbroken_story(template, tmp_path, verb):
    chance = random.Random(verb)
    home = tmp_path / "workspace"
    shutil.copytree(template, home)
    told: list[str] = []
    for _ in range(4):
        process = child(FOREVER, home)
        assert process.stdout.readline() == "started\n", process.stderr.read()
        heard = [process.stdout.readline().strip() for _ in range(chance.randrange(1, 12))]
        try:
            process.wait(timeout=chance.random() * 0.02)  # dies only by our hand; this is the moment's jitter
        except subprocess.TimeoutExpired:
            pass
        process.send_signal(verb)
        # Not `communicate`: it would pass over the lines that `readline` has read ahead.
        rest, complaint = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=30) == -verb, complaint
        # A line cut by the signal was not told to anybody.
        told += heard + [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

        backend = open_local(home)
        _, moves, _ = state(backend)
        known = {move.entry for move in moves}
        assert {entry.strip() for entry in told} <= known, "what was said to be done is done"
        assert len(known) <= 1 + len(told) + 4, "nothing was done twice"
        backend.close()
