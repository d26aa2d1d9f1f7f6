"""Register, judge, promote, roll back, undo."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from backends.contract import Conflict, Invalid, Mutation, NotFound, Refused
from backends.entities import Column, ColumnType, GateStatus, ModelFile, RunStatus, Signature
from console.promotion import promote as promoting
from console.promotion.at import version_at
from console.promotion.gates import evaluate_gates, types_gate
from console.promotion.promote import case_for, promote
from console.promotion.register import register_run
from console.promotion.rollback import rollback, rollback_target
from console.promotion.undo import undo, undoable
from tests.unit.registry import COLUMNS, ME, by, finished_run, version_of, workspace


@pytest.fixture
def backend(tmp_path):
    opened = workspace(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def three(backend, tmp_path):
    """Versions 1, 2 and 3 of churn, each promoted by user1 in turn."""
    for at, auc in enumerate((0.70, 0.75, 0.80)):
        version = version_of(backend, tmp_path, auc=auc, content=f"model {at}".encode())
        promote(backend, "churn", version.version, "champion", ME, expected=str(at) if at else None)
    return backend


def held(backend, model="churn", alias="champion"):
    return backend.registry.get(model).aliases.get(alias)


def gate(backend, version, name, alias="champion"):
    return next(result for result in evaluate_gates(backend, version, alias) if result.gate == name)


def damage(backend, version):
    path = backend.artifacts.open(version.run, version.file.path)
    path.chmod(0o600)
    path.write_bytes(b"something else")


# ---------------------------------------------------------------- register


def test_a_version_carries_what_its_run_measured_and_read(backend, tmp_path):
    run = finished_run(backend, tmp_path, auc=0.75)
    version = register_run(backend, run, "churn", ME)
    assert (version.version, version.run, version.metrics["auc"]) == ("1", run, 0.75)
    assert version.metrics["baseline.auc"] == 0.5
    assert version.params == {"lr": "0.1"}
    assert [read.context for read in version.inputs] == ["training", "test"]
    assert version.tags["console.primary"] == "auc"
    assert version.signature.inputs == COLUMNS
    assert backend.artifacts.verify(run, version.file.path)


def test_registering_a_run_twice_gives_the_same_version(backend, tmp_path):
    run = finished_run(backend, tmp_path)
    first = register_run(backend, run, "churn", ME)
    again = register_run(backend, run, "churn", by("agent", key="another key"))
    assert again == first
    assert backend.registry.get("churn").versions == 1


def test_a_person_and_the_agent_registering_at_once_make_one_version(backend, tmp_path):
    run = finished_run(backend, tmp_path)
    made = []
    threads = [threading.Thread(target=lambda: made.append(register_run(backend, run, "churn", ME))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {version.version for version in made} == {"1"}
    assert len(made) == 4


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.STOPPED])
def test_a_run_that_did_not_finish_is_not_registered(backend, tmp_path, status):
    run = finished_run(backend, tmp_path, status=status)
    with pytest.raises(Refused, match="only a finished run"):
        register_run(backend, run, "churn", ME)


def test_a_model_file_that_is_not_the_described_one_is_refused(backend, tmp_path):
    run = finished_run(backend, tmp_path, described="0" * 64)
    with pytest.raises(Refused, match="changed after it was written"):
        register_run(backend, run, "churn", ME)


def test_a_run_without_a_model_is_refused(backend):
    run = backend.runs.create(name="notes", mutation=ME)
    backend.runs.start(run.id)
    backend.runs.end(run.id, RunStatus.FINISHED)
    with pytest.raises(Refused, match="left no model"):
        register_run(backend, run.id, "churn", ME)


def test_a_description_that_cannot_be_read_is_named(backend, tmp_path):
    run = backend.runs.create(name="odd", mutation=ME)
    backend.runs.start(run.id)
    odd = tmp_path / "meta.json"
    odd.write_text('{"task": 3}')
    backend.artifacts.put(run.id, "model/meta.json", odd)
    backend.runs.end(run.id, RunStatus.FINISHED)
    with pytest.raises(Invalid, match=r"meta\.json"):
        register_run(backend, run.id, "churn", ME)


# ---------------------------------------------------------------- gates


def test_a_whole_first_version_passes_every_gate(backend, tmp_path):
    gates = evaluate_gates(backend, version_of(backend, tmp_path), "champion")
    assert {result.gate for result in gates} == {
        "artifact", "types", "run", "test metrics", "baseline", "holder", "signature",
    }  # fmt: skip
    assert {result.status for result in gates} == {GateStatus.PASS}


def test_a_damaged_model_file_fails(backend, tmp_path):
    version = version_of(backend, tmp_path)
    damage(backend, version)
    assert gate(backend, version, "artifact").status is GateStatus.FAIL


def test_a_file_that_nobody_looked_into_is_not_called_safe(backend, tmp_path):
    known = version_of(backend, tmp_path)
    unseen = msgspec.structs.replace(known, file=msgspec.structs.replace(known.file, inspected=False))
    found = types_gate(unseen)
    assert (found.status, found.value) == (GateStatus.WARN, "not inspected")


def test_untrusted_types_fail_and_are_named(backend, tmp_path):
    found = gate(backend, version_of(backend, tmp_path, untrusted=("evil.Thing",)), "types")
    assert (found.status, found.detail) == (GateStatus.FAIL, "evil.Thing")


@pytest.mark.parametrize("auc", [0.5, 0.4])
def test_a_version_no_better_than_the_baseline_fails(backend, tmp_path, auc):
    assert gate(backend, version_of(backend, tmp_path, auc=auc), "baseline").status is GateStatus.FAIL


def test_a_metric_that_is_no_number_fails(backend, tmp_path):
    version = backend.registry.register(
        "churn", run="", file=ModelFile(), signature=Signature(), mutation=ME, metrics={"auc": float("nan")}
    )
    assert gate(backend, version, "test metrics").status is GateStatus.FAIL


@pytest.mark.parametrize(
    ("auc", "facts", "status", "says"),
    [
        (0.80, {}, GateStatus.PASS, "0.8 against 0.75"),
        (0.75, {}, GateStatus.PASS, ""),
        (0.7470, {}, GateStatus.PASS, ""),
        (0.7460, {}, GateStatus.FAIL, "0.746 against 0.75 of v1"),
        (0.60, {"rows": "r2"}, GateStatus.WARN, "other rows"),
        (0.60, {"digest": "d2"}, GateStatus.WARN, "not comparable"),
    ],
)
def test_the_holder_is_the_measure_on_the_same_test_rows(backend, tmp_path, auc, facts, status, says):
    promote(backend, "churn", version_of(backend, tmp_path, auc=0.75).version, "champion", ME, expected=None)
    found = gate(backend, version_of(backend, tmp_path, auc=auc, **facts), "holder")
    assert found.status is status
    assert says in found.value + found.detail


def test_less_is_better_for_an_error(backend, tmp_path):
    def errs(value):
        return backend.registry.register(
            "price",
            run="",
            file=ModelFile(),
            signature=Signature(),
            mutation=ME,
            metrics={"rmse": value, "baseline.rmse": 10.0},
            inputs=version_of(backend, tmp_path, model="other").inputs,
        )

    backend.registry.set_alias("price", "champion", errs(5.0).version, expected=None, mutation=ME)
    assert gate(backend, errs(4.0), "holder").status is GateStatus.PASS
    assert gate(backend, errs(6.0), "holder").status is GateStatus.FAIL
    assert gate(backend, errs(11.0), "baseline").status is GateStatus.FAIL


@pytest.mark.parametrize(
    ("columns", "outputs", "status", "says"),
    [
        (COLUMNS, None, GateStatus.PASS, "same"),
        (COLUMNS[:1], None, GateStatus.PASS, "no longer needed: carrier"),
        ((*COLUMNS, Column(name="temp", type=ColumnType.FLOAT)), None, GateStatus.FAIL, "do not send temp"),
        ((Column(name="dep_delay", type=ColumnType.FLOAT),), None, GateStatus.PASS, ""),
        ((Column(name="carrier", type=ColumnType.INT),), None, GateStatus.FAIL, "carrier is int"),
        (COLUMNS, (Column(name="minutes", type=ColumnType.FLOAT),), GateStatus.FAIL, "the holder answers score"),
    ],
)
def test_callers_of_the_holder_must_be_served(backend, tmp_path, columns, outputs, status, says):
    promote(backend, "churn", version_of(backend, tmp_path).version, "champion", ME, expected=None)
    facts = {"outputs": outputs} if outputs else {}
    found = gate(backend, version_of(backend, tmp_path, columns=columns, **facts), "signature")
    assert found.status is status
    assert says in found.value + found.detail


def output(name, kind=ColumnType.OTHER, note=""):
    return (Column(name=name, type=kind, note=note),)


@pytest.mark.parametrize(
    ("held", "mine", "said"),
    [
        (output("0", ColumnType.STRING), output("0", note="tensor str (-1)"), ""),
        (output("late", ColumnType.INT), output("0", note="tensor int64 (-1)"), ""),
        (output("0", ColumnType.FLOAT), output("0", note="tensor float32 (-1)"), ""),
        (output("0", ColumnType.STRING), output("0", ColumnType.INT), "answers int; the holder answers string"),
        (
            output("0", note="tensor float64 (-1)"),
            output("0", note="tensor float64 (-1, 3)"),
            "answers tensor float64 (-1, 3); the holder answers float",
        ),
        (output("late", ColumnType.INT), output("score", ColumnType.INT), "answers score int; the holder answers late"),
        (
            output("a", ColumnType.INT) + output("b", ColumnType.INT),
            output("a", ColumnType.INT),
            "holder answers a int, b",
        ),
    ],
)
def test_an_answer_is_told_by_its_type_however_its_signature_was_inferred(backend, tmp_path, held, mine, said):
    promote(backend, "churn", version_of(backend, tmp_path, outputs=held).version, "champion", ME, expected=None)
    found = gate(backend, version_of(backend, tmp_path, outputs=mine), "signature")
    assert found.status is (GateStatus.FAIL if said else GateStatus.PASS)
    assert said in found.detail


def test_a_version_registered_by_hand_is_warned_about_and_can_be_promoted(backend):
    for held_before in (None, "1"):
        version = backend.registry.register("byhand", run="", file=ModelFile(), signature=Signature(), mutation=ME)
        gates = evaluate_gates(backend, version, "champion")
        assert {result.status for result in gates} <= {GateStatus.WARN, GateStatus.PASS}
        assert gate(backend, version, "artifact").status is GateStatus.WARN
        promote(backend, "byhand", version.version, "champion", ME, expected=held_before)
    assert held(backend, "byhand") == "2"


# ---------------------------------------------------------------- promote


def test_a_promotion_moves_the_alias_and_is_journaled_with_its_gates(backend, tmp_path):
    version = version_of(backend, tmp_path)
    move = promote(backend, "churn", version.version, "champion", ME, expected=None)
    entry = backend.journal.get(move.entry)
    assert held(backend) == "1"
    assert (entry.action, entry.actor, entry.reason) == ("model.promote", "user1@host", "because")
    assert len(entry.gates) == 7
    assert (entry.before["version"], entry.after["version"]) == (None, "1")


def test_a_failed_gate_refuses_and_the_refusal_is_journaled(backend, tmp_path):
    version = version_of(backend, tmp_path, auc=0.4)
    with pytest.raises(Refused, match="baseline") as caught:
        promote(backend, "churn", version.version, "champion", ME, expected=None)
    assert any(result.status is GateStatus.FAIL for result in caught.value.gates)
    assert held(backend) is None
    entry = backend.journal.page().items[0]
    assert (entry.action, entry.outcome, entry.after["version"]) == ("model.promote", "failed", "1")
    assert entry.detail.startswith("refused: baseline")
    assert backend.registry.history("churn") == ()


def test_an_override_needs_a_reason_and_keeps_the_failed_gate(backend, tmp_path):
    version = version_of(backend, tmp_path, auc=0.4)
    with pytest.raises(Invalid, match="needs a reason"):
        promote(backend, "churn", version.version, "champion", by("user1@host", ""), expected=None, override=True)
    assert held(backend) is None
    move = promote(backend, "churn", version.version, "champion", ME, expected=None, override=True)
    assert held(backend) == "1"
    assert any(result.status is GateStatus.FAIL for result in backend.journal.get(move.entry).gates)


def test_the_same_key_promotes_once_even_after_others_moved_on(three):
    promote(three, "churn", "1", "challenger", by("user1@host", key="k1"), expected=None)
    first = promote(three, "churn", "2", "challenger", by("user1@host", key="k2"), expected="1")
    promote(three, "churn", "3", "challenger", by("user2@host"), expected="2")
    again = promote(three, "churn", "2", "challenger", by("user1@host", key="k2"), expected="1")
    assert again == first
    assert held(three, alias="challenger") == "3"
    assert len(three.registry.history("churn", alias="challenger")) == 3


def test_who_comes_second_is_told_who_moved_it_and_when(three, tmp_path):
    version = version_of(three, tmp_path, auc=0.9, content=b"v4")
    promote(three, "churn", "1", "challenger", by("user2@host"), expected=None)
    with pytest.raises(Conflict, match=r"to v1 from nothing by user2@host at \d{4}-\d\d-\d\d .*you saw nothing"):
        promote(three, "churn", version.version, "challenger", ME, expected=None)
    assert held(three, alias="challenger") == "1"


def test_two_consoles_promoting_at_once_one_wins_the_other_is_told(tmp_path):
    backend = workspace(tmp_path)
    for at in range(9):
        version_of(backend, tmp_path, auc=0.75, content=f"m{at}".encode())
    ready = threading.Barrier(8)
    outcomes = []

    def console(version):
        mine = workspace(tmp_path)
        ready.wait()
        try:
            outcomes.append(promote(mine, "churn", version, "champion", by(f"user{version}@host"), expected=None))
        except Conflict as error:
            outcomes.append(error)
        mine.close()

    threads = [threading.Thread(target=console, args=(str(at + 1),)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (len(won), len(lost)) == (1, 7)
    assert held(backend) == won[0].version
    assert all(won[0].actor in str(error) for error in lost)
    assert len(backend.registry.history("churn")) == 1
    assert backend.journal.verify()[1] == ""
    backend.close()


def test_who_promotes_between_look_and_move_is_not_replaced_unseen(three, tmp_path, monkeypatch):
    version_of(three, tmp_path, auc=0.85, content=b"v4")
    version_of(three, tmp_path, auc=0.86, content=b"v5")
    rival = workspace(tmp_path)
    weigh = promoting.changes_for

    def late(*args, **given):
        monkeypatch.setattr(promoting, "changes_for", weigh)
        promote(rival, "churn", "4", "champion", by("rival@host"), expected="3")
        return weigh(*args, **given)

    monkeypatch.setattr(promoting, "changes_for", late)
    with pytest.raises(Conflict, match="rival@host"):
        promote(three, "churn", "5", "champion", ME, expected="3")
    assert held(three) == "4"
    rival.close()


def test_the_case_shows_both_sides(three, tmp_path):
    version_of(three, tmp_path, auc=0.85, content=b"v4")
    case = case_for(three, "churn", "4", "champion")
    assert (case.holder.version, case.candidate.version, case.expected) == ("3", "4", "3")
    assert case.primary == "auc"
    assert case.same_test
    first = case.measures[0]
    assert (first.name, first.better) == ("auc", True)
    assert first.difference == pytest.approx(0.05)
    assert case.refusal == ""


def test_a_version_or_model_that_is_not_there_is_named(three):
    with pytest.raises(NotFound, match="99"):
        promote(three, "churn", "99", "champion", ME, expected="3")
    with pytest.raises(NotFound, match="nosuch"):
        case_for(three, "nosuch", "1", "champion")


# ---------------------------------------------------------------- rollback


def test_rollback_restores_the_previous_champion(three):
    move = rollback(three, "churn", "champion", ME, expected="3")
    assert (held(three), move.previous, move.action) == ("2", "3", "rollback")
    entry = three.journal.get(move.entry)
    assert entry.action == "model.rollback"
    assert [result.gate for result in entry.gates] == ["artifact"]


def test_rolling_back_twice_goes_two_back_and_never_forward(three):
    rollback(three, "churn", "champion", ME, expected="3")
    rollback(three, "churn", "champion", ME, expected="2")
    assert held(three) == "1"
    with pytest.raises(Refused, match="nothing held it before"):
        rollback(three, "churn", "champion", ME, expected="1")


def test_rollback_to_any_earlier_holder(three):
    rollback(three, "churn", "champion", ME, to="1", expected="3")
    assert held(three) == "1"


def test_rollback_to_what_never_was_champion_is_refused(three, tmp_path):
    version_of(three, tmp_path, content=b"v4")
    with pytest.raises(Refused, match=r"never was champion.*v1, v2"):
        rollback(three, "churn", "champion", ME, to="4", expected="3")
    with pytest.raises(Refused, match="at v3 already"):
        rollback(three, "churn", "champion", ME, to="3", expected="3")


def test_a_damaged_version_is_not_put_back(three):
    damage(three, three.registry.version("churn", "2"))
    with pytest.raises(Refused, match="cannot be put back"):
        rollback(three, "churn", "champion", ME, expected="3")
    assert held(three) == "3"
    assert three.journal.page().items[0].outcome == "failed"
    assert rollback_target(three, "churn", "champion", to="1").version == "1"


def test_rollback_of_what_moved_meanwhile_is_a_conflict(three):
    with pytest.raises(Conflict, match="user1@host"):
        rollback(three, "churn", "champion", by("user2@host"), expected="2")
    assert held(three) == "3"


def test_the_same_key_rolls_back_once(three):
    first = rollback(three, "churn", "champion", by("user1@host", key="b"), expected="3")
    again = rollback(three, "churn", "champion", by("user1@host", key="b"), expected="3")
    assert again == first
    assert held(three) == "2"


# ---------------------------------------------------------------- undo


def test_undo_takes_back_ones_own_last_move_and_links_the_two(three):
    entry = undoable(three, "user1@host")
    move = undo(three, entry, ME)
    assert (held(three), move.action) == ("2", "undo")
    assert three.journal.get(move.entry).undoes == entry.id
    assert three.journal.get(entry.id).undone_by == move.entry


def test_undo_goes_back_step_by_step_to_nothing(three):
    for left in ("2", "1", None):
        undo(three, undoable(three, "user1@host"), ME)
        assert held(three) == left
    assert undoable(three, "user1@host") is None


def test_undo_of_a_rollback_puts_the_version_back(three):
    rollback(three, "churn", "champion", ME, expected="3")
    undo(three, undoable(three, "user1@host"), ME)
    assert held(three) == "3"


def test_a_move_that_others_built_on_is_not_undone(three):
    mine = undoable(three, "user1@host")
    rollback(three, "churn", "champion", by("user2@host"), expected="3")
    assert undoable(three, "user1@host") is None
    with pytest.raises(Refused, match=r"moved again since by user2@host \(v3 → v2\)"):
        undo(three, mine, ME)
    assert held(three) == "2"


def test_the_same_version_again_by_another_hand_is_not_ones_own_move(three):
    mine = undoable(three, "user1@host")
    rollback(three, "churn", "champion", by("user2@host"), expected="3")
    promote(three, "churn", "3", "champion", by("user2@host"), expected="2")
    with pytest.raises(Refused, match="moved again"):
        undo(three, mine, ME)


def test_others_moves_and_undone_moves_are_refused_with_the_reason(three):
    entry = undoable(three, "user1@host")
    with pytest.raises(Refused, match="made by user1@host"):
        undo(three, entry, by("user2@host"))
    undo(three, entry, ME)
    with pytest.raises(Refused, match="undone already"):
        undo(three, three.journal.get(entry.id), ME)


def test_only_moves_of_an_alias_can_be_undone(three):
    entry = next(e for e in three.journal.page().items if e.action == "model.register")
    with pytest.raises(Refused, match="only moves of an alias"):
        undo(three, entry, ME)


def test_the_same_key_undoes_once(three):
    entry = undoable(three, "user1@host")
    first = undo(three, entry, by("user1@host", key="u"))
    assert undo(three, three.journal.get(entry.id), by("user1@host", key="u")) == first


# ---------------------------------------------------------------- at


def test_what_was_in_production_at_a_time(backend, tmp_path):
    def after(move):
        while time.time_ns() // 1_000_000 <= move.at:
            time.sleep(0.001)

    version_of(backend, tmp_path, content=b"1")
    version_of(backend, tmp_path, content=b"2")
    one = promote(backend, "churn", "1", "champion", ME, expected=None)
    after(one)
    two = promote(backend, "churn", "2", "champion", ME, expected="1")
    assert version_at(backend, "churn", "champion", one.at - 1) is None
    assert version_at(backend, "churn", "champion", one.at) == "1"
    assert version_at(backend, "churn", "champion", two.at - 1) == "1"
    assert version_at(backend, "churn", "champion", two.at + 1_000) == "2"


def test_a_mutation_without_an_actor_cannot_be_made():
    with pytest.raises(ValueError, match="actor"):
        Mutation(actor=" ")
