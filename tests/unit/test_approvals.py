"""Promotions that wait for others: who may agree, what counts, and what makes the asking void."""

from __future__ import annotations

import threading

import msgspec
import pytest

from backends.contract import Conflict, NotFound, Refused
from backends.entities import AliasMove
from console.promotion import approvals, deciding
from console.promotion.approvals import Waiting, request_named, waiting
from console.promotion.approve import approve
from console.promotion.policy import FILE
from console.promotion.promote import promote
from console.promotion.reject import reject
from console.promotion.undo import undoable
from tests.unit.registry import by, version_of, workspace

ASKER = by("user1@host", "it is better")
ONE, TWO = by("user2@host", "looked at it"), by("user3@host", "fine")


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """churn v1 is champion, v2 is better; two others must agree."""
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    opened = workspace(tmp_path)
    for at, auc in enumerate((0.70, 0.80)):
        version_of(opened, tmp_path, auc=auc, content=f"model {at}".encode())
    promote(opened, "churn", "1", "champion", ASKER, expected=None)
    wants(opened, 2)
    yield opened
    opened.close()


def wants(backend, count, more=""):
    (backend.home / FILE).write_text(f"[[promotion]]\napprovals = {count}\n{more}")


def asked(backend, **options) -> Waiting:
    found = promote(backend, "churn", "2", "champion", ASKER, expected="1", **options)
    assert isinstance(found, Waiting)
    return found


def champion(backend):
    return backend.registry.get("churn").aliases["champion"]


def actions(backend):
    return [(entry.action, entry.actor, entry.outcome) for entry in reversed(backend.journal.page(limit=50).items)]


def test_the_last_approval_carries_it_out_and_all_names_stand_in_the_journal(backend):
    request = asked(backend)
    assert (champion(backend), waiting(backend)) == ("1", (request,))
    first = approve(backend, request.id, ONE)
    assert isinstance(first, Waiting)
    assert (champion(backend), first.agreed) == ("1", ("user2@host",))
    move = approve(backend, request.id[:8], TWO)
    assert isinstance(move, AliasMove)
    assert (champion(backend), move.previous, move.actor, waiting(backend)) == ("2", "1", "user3@host", ())
    entry = backend.journal.get(move.entry)
    assert (entry.action, entry.reason) == ("model.promote", "it is better")
    said = next(gate for gate in entry.gates if gate.gate == "approvals")
    assert said.value == "2 of 2"
    assert said.detail == "asked by user1@host; approved by user2@host, user3@host"
    assert [action for action, _, _ in actions(backend)][-4:] == [
        "promotion.ask", "promotion.approve", "promotion.approve", "model.promote",
    ]  # fmt: skip
    assert undoable(backend, "user3@host").id == entry.id
    assert [each.state(approvals.now_ms()) for each in waiting(backend, everything=True)] == ["done"]


def test_asked_twice_is_one_request(backend):
    assert asked(backend).id == asked(backend).id
    assert sum(action == "promotion.ask" for action, _, _ in actions(backend)) == 1


@pytest.mark.parametrize("actor", ["user1@host", "user1@another-host", "User1@host"])
def test_one_does_not_approve_ones_own(backend, actor):
    request = asked(backend)
    with pytest.raises(Refused, match="one does not approve one's own"):
        approve(backend, request.id, by(actor))
    assert (champion(backend), waiting(backend)[0].agreed) == ("1", ())


def test_the_same_person_twice_counts_once(backend):
    request = asked(backend)
    for actor in ("user2@host", "user2@host", "user2@another-host"):
        found = approve(backend, request.id, by(actor))
        assert isinstance(found, Waiting)
        assert len(found.agreed) == 1
    assert champion(backend) == "1"


def test_a_rejected_one_is_over(backend):
    request = asked(backend)
    approve(backend, request.id, ONE)
    assert reject(backend, request.id, by("user3@host", "no")).state(approvals.now_ms()) == "rejected"
    assert waiting(backend) == ()
    with pytest.raises(Refused, match="rejected by user3@host"):
        approve(backend, request.id, TWO)
    assert reject(backend, request.id, by("user3@host", "no")).closed
    assert champion(backend) == "1"
    assert asked(backend).id != request.id, "it can be asked anew"


def test_after_its_time_it_is_void(backend, monkeypatch):
    wants(backend, 1, 'expires = "1 h"\n')
    request = asked(backend)
    later = approvals.now_ms() + 3_600_001
    monkeypatch.setattr(approvals, "now_ms", lambda: later)
    assert waiting(backend) == ()
    with pytest.raises(Refused, match="expired"):
        approve(backend, request.id, ONE)
    assert asked(backend).id != request.id
    assert champion(backend) == "1"


def test_another_holder_since_makes_it_void(backend, tmp_path):
    request = asked(backend)
    version_of(backend, tmp_path, auc=0.81, content=b"three")
    backend.registry.set_alias("churn", "champion", "3", expected="1", mutation=by("user9@host"))
    with pytest.raises(Conflict, match=r"changed under you.*was at v1.*at v3 now by user9@host"):
        approve(backend, request.id, ONE)
    assert champion(backend) == "3"


def test_another_file_since_makes_it_void(backend, monkeypatch):
    request = asked(backend)
    registry = backend.registry
    real = registry.version

    def changed(model, version):
        found = real(model, version)
        return msgspec.structs.replace(found, file=msgspec.structs.replace(found.file, sha256="0" * 64))

    monkeypatch.setattr(type(registry), "version", lambda _, model, version: changed(model, version))
    with pytest.raises(Conflict, match="another file than user1@host asked for"):
        approve(backend, request.id, ONE)


def test_the_gates_are_judged_anew(backend):
    request = asked(backend)
    version = backend.registry.version("churn", "2")
    path = backend.artifacts.open(version.run, version.file.path)
    path.chmod(0o600)
    path.write_bytes(b"something else")
    with pytest.raises(Refused, match="artifact"):
        approve(backend, request.id, ONE)
    assert champion(backend) == "1"
    assert actions(backend)[-1] == ("model.promote", "user2@host", "failed")


def test_an_override_is_kept_for_the_gates_that_failed_when_it_was_asked(backend, tmp_path):
    wants(backend, 1)
    worse = version_of(backend, tmp_path, auc=0.4, content=b"worse").version
    with pytest.raises(Refused, match="baseline"):
        promote(backend, "churn", worse, "champion", ASKER, expected="1")
    request = promote(backend, "churn", worse, "champion", ASKER, expected="1", override=True)
    assert set(request.asked.overridden) == {"baseline", "holder"}
    assert approve(backend, request.id, ONE).version == worse


def test_a_stricter_policy_since_holds(backend):
    wants(backend, 1)
    request = asked(backend)
    wants(backend, 2)
    assert isinstance(approve(backend, request.id, ONE), Waiting)
    assert approve(backend, request.id, TWO).version == "2"


def test_two_last_approvals_at_once_make_one_move(backend):
    wants(backend, 1)
    request = asked(backend)
    made, errors = [], []

    def agree(actor):
        try:
            made.append(approve(backend, request.id, by(actor)))
        except (Refused, Conflict) as error:
            errors.append(str(error))

    threads = [threading.Thread(target=agree, args=(f"user{n}@host",)) for n in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert champion(backend) == "2"
    assert {move.entry for move in made} == {made[0].entry}
    assert len(backend.registry.history("churn", alias="champion")) == 2
    assert all("carried out" in error or "no more" in error for error in errors)


def test_asked_by_two_at_once_is_one_request(backend):
    actors = [f"user{number}@host" for number in range(1, 6)]
    threads = [
        threading.Thread(target=promote, args=(backend, "churn", "2", "champion", by(actor)), kwargs={"expected": "1"})
        for actor in actors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waiting(backend)) == 1
    assert [action for action, *_ in actions(backend)].count("promotion.ask") == 1


@pytest.mark.parametrize("turn", range(4))
def test_one_agrees_and_one_says_no_at_once_and_one_of_them_is_told(backend, turn):
    wants(backend, 1)
    request = asked(backend)
    told = {}

    def answer(verb, actor):
        try:
            told[verb] = verb(backend, request.id, by(actor))
        except (Refused, Conflict) as error:
            told[verb] = error

    pairs = [(approve, "user2@host"), (reject, "user3@host")]
    threads = [threading.Thread(target=answer, args=pair) for pair in (pairs if turn % 2 else reversed(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = request_named(backend, request.id)
    if champion(backend) == "2":
        assert isinstance(told[reject], Refused)
        assert (found.rejected, found.closed) == (None, True)
    else:
        assert isinstance(told[approve], Refused)
        assert found.rejected.actor == "user3@host"


def test_who_decides_keeps_others_waiting_and_they_are_told(backend, monkeypatch):
    request = asked(backend)
    monkeypatch.setattr(deciding.alone.__wrapped__, "__kwdefaults__", {"wait": 0.1})
    with deciding.alone(backend, "churn"), pytest.raises(Conflict, match="somebody is deciding"):
        approve(backend, request.id, ONE)
    assert isinstance(approve(backend, request.id, ONE), Waiting)


def test_what_is_not_there_is_named(backend):
    request = asked(backend)
    with pytest.raises(NotFound, match=request.id[:8]):
        request_named(backend, "nothing")
