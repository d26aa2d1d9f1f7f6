"""A version that fails its checks is not trained on, unless somebody says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Invalid, Mutation, Refused
from backends.entities import CheckResult, GateStatus, Report
from backends.local import open_local
from console.data.checks.asked import check_as_asked, keep_checks
from console.data.checks.standing import standing_of
from console.data.importing import import_file
from console.training.admit import OVERRIDDEN_TAG, ChecksFailed
from console.training.start import retry_run, start_run

ACTOR = Mutation(actor="tester@here")
RECIPE = """dataset = "things"
target = "y"
task = "classification"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""
STRICT = "[columns.x]\nmax = 10\n"
LAX = "[columns.x]\nmax = 1000\n"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    table = tmp_path / "things.csv"
    table.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50)))
    import_file(opened.need("datasets"), table, "things", ACTOR)
    yield opened
    opened.close()


def test_without_checks_nothing_stands_in_the_way(backend: Backend) -> None:
    assert standing_of(backend, backend.need("datasets").version("things")).word == ""
    assert start_run(backend, RECIPE, ACTOR).status == "queued"


def test_a_failing_version_is_refused_with_what_failed_and_nothing_is_made(backend: Backend) -> None:
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    report = check_as_asked(backend, "things", ACTOR)
    assert (report.status, report.definition) == ("fail", "things@1")
    with pytest.raises(ChecksFailed) as caught:
        start_run(backend, RECIPE, ACTOR)
    assert isinstance(caught.value, Refused)
    assert "things@1 does not pass its checks: 1 of 1 fail: range x (39 of 50 rows fail" in str(caught.value)
    assert [(gate.gate, gate.status) for gate in caught.value.gates] == [("range x", GateStatus.FAIL)]
    assert not backend.need("runs").page(limit=1).items


def test_an_override_wants_a_reason_and_leaves_it_in_the_journal_and_on_the_run(backend: Backend) -> None:
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    check_as_asked(backend, "things", ACTOR)
    with pytest.raises(Invalid, match="needs a reason"):
        start_run(backend, RECIPE, ACTOR, override_checks=True)
    why = Mutation(actor="tester@here", reason="the sensor is known to be off", key="once")
    run = start_run(backend, RECIPE, why, override_checks=True)
    assert run.tags[OVERRIDDEN_TAG] == "the sensor is known to be off"
    start_run(backend, RECIPE, why, override_checks=True)
    entries = [e for e in backend.need("journal").page(limit=50).items if e.action == "dataset.override_checks"]
    assert [(entry.target, entry.reason) for entry in entries] == [("things@1", "the sensor is known to be off")]
    assert entries[0].after["failed"] == ["range x"]
    assert entries[0].after["run"] == run.id
    again = Mutation(actor="tester@here", reason="still off")
    with pytest.raises(ChecksFailed):
        retry_run(backend, run.id, again)
    assert retry_run(backend, run.id, again, override_checks=True).tags[OVERRIDDEN_TAG] == "still off"


def test_an_override_of_nothing_leaves_no_trace(backend: Backend) -> None:
    run = start_run(backend, RECIPE, Mutation(actor="a@b", reason="to be safe"), override_checks=True)
    assert OVERRIDDEN_TAG not in run.tags
    assert not [e for e in backend.need("journal").page(limit=50).items if e.action == "dataset.override_checks"]


def test_checks_that_were_never_run_are_run_before_training(backend: Backend) -> None:
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    version = backend.need("datasets").version("things")
    assert standing_of(backend, version).word == "not run"
    with pytest.raises(ChecksFailed):
        start_run(backend, RECIPE, ACTOR)
    kept = backend.need("reports").latest("checks", "things@1")
    assert kept is not None
    assert kept.status == "fail"


def test_checks_that_changed_since_are_run_anew(backend: Backend) -> None:
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    check_as_asked(backend, "things", ACTOR)
    keep_checks(backend, "things", LAX, ACTOR, "here")
    version = backend.need("datasets").version("things")
    assert standing_of(backend, version).word == "not run"
    assert start_run(backend, RECIPE, ACTOR).status == "queued"
    assert standing_of(backend, version).word == "pass"


def test_a_passing_file_does_not_stand_in_for_the_kept_checks_but_a_failing_one_counts(
    backend: Backend, tmp_path: Path
) -> None:
    lax, strict = tmp_path / "lax.toml", tmp_path / "strict.toml"
    lax.write_text(LAX)
    strict.write_text(STRICT)
    version = backend.need("datasets").version("things")
    check_as_asked(backend, "things", ACTOR, file=strict)
    assert standing_of(backend, version).word == "fail"
    check_as_asked(backend, "things", ACTOR, file=lax)
    assert standing_of(backend, version).word == "pass"
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    check_as_asked(backend, "things", ACTOR)
    check_as_asked(backend, "things", ACTOR, file=lax)
    assert standing_of(backend, version).word == "fail"
    keep_checks(backend, "things", LAX, ACTOR, "here")
    check_as_asked(backend, "things", ACTOR)
    check_as_asked(backend, "things", ACTOR, file=strict)
    with pytest.raises(ChecksFailed):
        start_run(backend, RECIPE, ACTOR)


def test_a_report_on_other_content_does_not_count(backend: Backend) -> None:
    version = backend.need("datasets").version("things")
    result = CheckResult(check="x", kind="range", status=GateStatus.FAIL)
    report = Report(kind="checks", subject=version.ref, status=GateStatus.FAIL, at=1, results=(result,), digest="old")
    backend.need("reports").add(report)
    assert standing_of(backend, version).word == ""
    backend.need("reports").add(msgspec.structs.replace(report, digest=version.digest))
    assert standing_of(backend, version).word == "fail"


def test_warnings_do_not_stand_in_the_way(backend: Backend) -> None:
    keep_checks(backend, "things", 'severity = "warn"\n' + STRICT, ACTOR, "here")
    assert start_run(backend, RECIPE, ACTOR).status == "queued"
    assert standing_of(backend, backend.need("datasets").version("things")).word == "warn"


def test_running_checks_is_journaled_with_what_failed(backend: Backend) -> None:
    keep_checks(backend, "things", STRICT, ACTOR, "here")
    check_as_asked(backend, "things", Mutation(actor="a@b", reason="nightly"))
    (entry,) = [e for e in backend.need("journal").page(limit=50).items if e.action == "dataset.check"]
    assert (entry.target, entry.reason) == ("things@1", "nightly")
    assert entry.after["failed"] == ["range x"]


def test_only_checks_that_are_understood_are_kept(backend: Backend) -> None:
    with pytest.raises(Invalid, match="mine:2"):
        keep_checks(backend, "things", "[columns.x]\nmxa = 3\n", ACTOR, "mine")
    assert not backend.need("definitions").page("checks").items
