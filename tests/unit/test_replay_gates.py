"""What a kept replay says before a promotion: callers, changed answers, latency; and when it does not count."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from backends.contract import Invalid
from backends.entities import Estimate, GateResult, GateStatus, Report
from console.monitoring.quality.performance import wilson
from console.promotion.gates import evaluate_gates
from console.promotion.policy import FILE, policy_for
from console.promotion.replayed import last_replay
from console.promotion.speed import AS_SERVED, IN_TRAINING, speeds
from console.serving.replay.figures import MISSING, UNSEEN, Reason, Replay, Sent, Timing
from console.training.audit.read import FILE as AUDIT
from console.training.audit.read import Audit, Speed
from tests.unit.registry import ME, version_of, workspace

PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config" / "config.toml"))
    opened = workspace(tmp_path)
    for at, auc in enumerate((0.7, 0.8)):
        version_of(opened, tmp_path, auc=auc, content=f"model {at}".encode())
    opened.registry.set_alias("churn", "champion", "1", expected=None, mutation=ME)
    yield opened
    opened.close()


def policy(backend, text: str) -> None:
    (backend.home / FILE).write_text(f"[[promotion]]\n{text}\n")


def gate(backend, name: str) -> GateResult | None:
    version = backend.registry.version("churn", "2")
    return next((each for each in evaluate_gates(backend, version, "champion") if each.gate == name), None)


def keep(backend, *, digest: str | None = None, **facts) -> None:
    changed, replayed = facts.pop("changed", 0), facts.pop("replayed", 1_000)
    share: Estimate | None = wilson(changed, replayed) if replayed else None
    said = {"asked": 1_000, "logged": 1_000, "against": "1", "changed": changed, "replayed": replayed, "share": share}
    figures = Replay(**{**said, **facts})
    version = backend.registry.version("churn", "2")
    backend.reports.add(
        Report(
            kind="replay", subject=version.ref, status=PASS, at=1, actor="me", figures=msgspec.to_builtins(figures),
            digest=version.file.sha256 if digest is None else digest,
        )
    )  # fmt: skip


def test_the_replay_gate_stands_only_where_the_policy_names_it(backend):
    keep(backend, changed=900)
    assert gate(backend, "replay") is None
    policy(backend, 'gates = { replay = "fail" }')
    assert gate(backend, "replay").status is FAIL


@pytest.mark.parametrize(
    ("changed", "replayed", "status"),
    [(0, 1_000, PASS), (20, 1_000, PASS), (49, 1_000, WARN), (51, 1_000, FAIL), (0, 10, WARN), (1, 10, FAIL)],
)
def test_it_says_how_many_answers_change_and_whether_the_rows_are_enough_to_be_sure(backend, changed, replayed, status):
    policy(backend, 'gates = { replay = "fail" }')
    keep(backend, changed=changed, replayed=replayed)
    found = gate(backend, "replay")
    assert (found.status, "5.0%" in found.rule, f"{changed} of " in found.value) == (status, True, True)
    assert ("too few to be sure" in found.detail) == (status is WARN)


def test_limits_are_the_policys(backend):
    policy(backend, 'gates = { replay = "fail" }\nreplay_changed = 0.2\nreplay_failing = 3')
    keep(backend, changed=150, failed=(Reason(why="age: a number is wanted", rows=3),))
    assert gate(backend, "replay").status is PASS
    keep(backend, changed=150, failed=(Reason(why="age: a number is wanted", rows=4),))
    found = gate(backend, "replay")
    assert (found.status, found.value, found.detail) == (FAIL, "4 rows without an answer", "age: a number is wanted")


@pytest.mark.parametrize("text", ["replay_changed = 2", "replay_failing = -1", "latency_ms = 0", "replay = 0.1"])
def test_a_limit_that_is_none_is_told_with_its_line(backend, text):
    policy(backend, text)
    with pytest.raises(Invalid, match=f"{FILE}:2"):
        policy_for(backend, "churn", "champion")


def test_what_was_not_replayed_says_the_command(backend):
    policy(backend, 'gates = { replay = "require", callers = "warn" }')
    found = gate(backend, "replay")
    assert (found.status, found.value) == (FAIL, "not examined")
    assert "mlops-console model replay churn 2" in found.detail
    assert gate(backend, "callers").status is WARN


def test_a_replay_of_another_file_or_against_another_holder_does_not_count(backend, tmp_path):
    policy(backend, 'gates = { replay = "fail" }')
    keep(backend, digest="0" * 64)
    assert (gate(backend, "replay").status, gate(backend, "replay").value) == (WARN, "of another file")
    assert gate(backend, "callers").value == "of another file"
    keep(backend)
    assert gate(backend, "replay").status is PASS
    third = version_of(backend, tmp_path, content=b"model 3")
    backend.registry.set_alias("churn", "champion", third.version, expected="1", mutation=ME)
    assert gate(backend, "replay").value == "against v1, and v3 holds the alias"
    assert gate(backend, "callers").status is PASS  # what callers send does not depend on the holder


def test_times_alone_prove_nothing_about_callers(backend):
    keep(backend, logged=0, replayed=0, nothing="no deployment serves it", timings=(timing("2", 3.0), timing("1", 4.0)))
    assert gate(backend, "callers") is None
    policy(backend, 'gates = { replay = "require", callers = "require" }\nlatency_ms = 10')
    assert (gate(backend, "callers").status, gate(backend, "replay").status) == (FAIL, FAIL)
    assert "no deployment serves it" in gate(backend, "replay").detail
    assert gate(backend, "latency").status is PASS


def test_rows_that_cannot_be_replayed_prove_nothing(backend):
    policy(backend, 'gates = { replay = "fail" }')
    keep(backend, replayed=0, skipped=(Reason(why="age redacted in the log", rows=1_000),))
    found = gate(backend, "replay")
    assert (found.status, found.detail) == (WARN, "age redacted in the log")


def test_callers_who_would_be_refused_fail_the_gate_and_unseen_texts_warn(backend):
    assert gate(backend, "callers") is None
    keep(backend)
    assert gate(backend, "callers").status is PASS
    keep(backend, sent=(Sent(column="plan", kind=UNSEEN, rows=7),))
    assert (gate(backend, "callers").status, gate(backend, "callers").detail) == (WARN, "plan unseen in 7 rows")
    keep(backend, sent=(Sent(column="age", kind=MISSING, rows=9), Sent(column="plan", kind=UNSEEN, rows=7)))
    found = gate(backend, "callers")
    assert (found.status, found.value) == (FAIL, "1 column refused, 1 column to look at")


def timing(version: str, p95: float) -> Timing:
    return Timing(version=version, one_p50=1.0, one_p95=p95, batch_p50=5.0, batch_p95=6.0, batch_rows=1_000)


def audited(backend, folder: Path, version: str, p95: float) -> None:
    speed = Speed(one_p50=2.0, one_p95=p95, batch_p50=20.0, batch_p95=25.0, batch_rows=1_000)
    path = folder / f"{version}.json"
    path.write_bytes(msgspec.json.encode(Audit(results=(), speed=speed)))
    backend.artifacts.put(backend.registry.version("churn", version).run, AUDIT, path)


def test_latency_is_as_last_replayed_else_as_the_training_found(backend, tmp_path):
    policy(backend, "latency_ms = 10")
    assert gate(backend, "latency").value == "not measured"
    audited(backend, tmp_path, "2", 12.0)
    found = gate(backend, "latency")
    assert (found.status, found.value, found.detail) == (FAIL, "12 ms", IN_TRAINING)
    keep(backend, timings=(timing("2", 3.0), timing("1", 4.0)))
    found = gate(backend, "latency")
    assert (found.status, found.value, found.detail) == (PASS, "3 ms", f"{AS_SERVED}; v1 4 ms")


def test_times_of_two_processes_are_not_laid_beside_each_other_as_one(backend, tmp_path):
    two, one = (backend.registry.version("churn", each) for each in "21")
    audited(backend, tmp_path, "2", 12.0)
    keep(backend, timings=(timing("2", 3.0),))  # the holder was not timed with it
    assert [each.how for each in speeds(backend, two, one, last_replay(backend, two))] == [IN_TRAINING, ""]
    assert speeds(backend, two, None, last_replay(backend, two))[0].how == AS_SERVED


def test_a_kept_replay_that_cannot_be_read_is_told(backend):
    backend.reports.add(
        Report(kind="replay", subject="churn@2", status=PASS, at=1, figures={"asked": "many"}, digest="")
    )
    assert "cannot be read" in gate(backend, "replay").detail
