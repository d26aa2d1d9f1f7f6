"""The case for a promotion as parts: their order, each gate in its place, and what was not examined named with its
command."""

from __future__ import annotations

import msgspec
import pytest

from backends.entities import CheckResult, GateStatus, Report
from console.monitoring.quality.performance import wilson
from console.promotion.case_facts import facts_of
from console.promotion.case_parts import TITLES, parts
from console.promotion.policy import GATES
from console.promotion.promote import case_for
from console.safe import cell_length
from console.serving.replay.figures import UNKNOWN, Changed, Reason, Replay, Sent
from console.tui import ink
from console.tui.case_screen import part_lines
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.unit.registry import ME, version_of, workspace


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    opened = workspace(tmp_path)
    for at, auc in enumerate((0.7, 0.8)):
        version_of(opened, tmp_path, auc=auc, content=f"model {at}".encode())
    opened.registry.set_alias("churn", "champion", "1", expected=None, mutation=ME)
    yield opened
    opened.close()


def built(backend, version: str = "2"):
    case = case_for(backend, "churn", version, "champion")
    return case, {part.title: part for part in parts(facts_of(backend, case, pairs=False))}


def keep(backend, figures: Replay) -> None:
    version = backend.registry.version("churn", "2")
    backend.reports.add(
        Report(
            kind="replay", subject=version.ref, status=GateStatus.PASS, at=1, actor="me", digest=version.file.sha256,
            figures=msgspec.to_builtins(figures),
        )
    )  # fmt: skip


def test_the_parts_come_in_the_order_of_a_decision(backend) -> None:
    _, found = built(backend)
    assert list(found) == [
        "verdict", "metrics", "data checks", "training tests", "bias", "latency and size", "signature and callers",
        "model file", "replay", "lineage",
    ]  # fmt: skip


def test_every_gate_stands_in_one_part_and_every_gate_that_a_policy_may_name_has_a_place(backend) -> None:
    keep(backend, Replay(asked=10, logged=10))
    case, found = built(backend)
    shown = [gate.gate for part in found.values() for gate in part.gates]
    assert sorted(shown) == sorted(gate.gate for gate in case.gates)
    assert "callers" in [gate.gate for gate in found["signature and callers"].gates]
    assert set(GATES) == {gate for gates in TITLES.values() for gate in gates}


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("bias", "mlops-console model bias churn 2 --by COLUMN"),
        ("training tests", "mlops-console run start"),
        ("latency and size", "mlops-console model replay churn 2"),
        ("signature and callers", "mlops-console model replay churn 2"),
        ("replay", "mlops-console model replay churn 2"),
    ],
)
def test_what_was_not_examined_says_which_command_examines_it(backend, part, command) -> None:
    _, found = built(backend)
    assert command in found[part].remark


def test_data_that_was_not_checked_says_so_and_what_fails_is_shown(backend) -> None:
    _, found = built(backend)
    (row,) = found["data checks"].tables[0].rows
    assert row[2:] == ("not examined", "mlops-console dataset check flights@1")
    wrong = CheckResult(check="age", kind="range", status=GateStatus.FAIL, value="max 912", rule="at most 120")
    fine = CheckResult(check="id", kind="unique", status=GateStatus.PASS)
    backend.reports.add(Report(kind="checks", subject="flights@1", status=GateStatus.FAIL, at=1, results=(wrong, fine)))
    _, found = built(backend)
    assert found["data checks"].results == (wrong,)
    assert "1 of 2 passed" in found["data checks"].tables[0].rows[0][3]


def test_a_replay_says_its_age_how_to_run_it_again_and_whether_it_still_holds(backend, tmp_path) -> None:
    keep(backend, Replay(asked=10, logged=10, against="1", replayed=10, changed=1, share=wilson(1, 10)))
    _, found = built(backend)
    assert dict(found["replay"].facts)["answers change"].startswith("1 of 10, 10.0 % [")
    assert "again: mlops-console model replay churn 2" in found["replay"].remark
    third = version_of(backend, tmp_path, content=b"model 3")
    backend.registry.set_alias("churn", "champion", third.version, expected="1", mutation=ME)
    _, found = built(backend)
    assert "against v1, and v3 holds the alias" in found["replay"].remark


def test_the_verdict_counts_gates_and_names_those_that_fail(backend) -> None:
    keep(backend, Replay(asked=1, logged=1, sent=(Sent(column="age", kind=UNKNOWN, rows=1),)))
    _, found = built(backend)
    said = dict(found["verdict"].facts)
    assert said["gates"].startswith("1 gate fails, ")
    assert said["gates"].endswith(": callers")
    assert said["over"] == "v1"


def test_no_line_is_wider_than_the_screen_and_hostile_values_are_inert(backend) -> None:
    for key, text in HOSTILE.items():
        if key == "surrogate":  # no JSON holds it
            continue
        row = Changed(
            ident=text, at=1, deployment=text, before=text, after=text, moved=0.5, inputs={text: text, "b": text * 50},
            redacted=(text,),
        )  # fmt: skip
        keep(
            backend,
            Replay(
                asked=10, logged=10, against="1", deployments=(text,), replayed=10, changed=1, share=wilson(1, 10),
                most=(row,), sent=(Sent(column=text, kind=UNKNOWN, rows=1, note=text),),
                failed=(Reason(why=text, rows=1),),
            ),
        )  # fmt: skip
        case = case_for(backend, "churn", "2", "champion")
        read = parts(facts_of(backend, case, pairs=False))
        for width in (40, 80, 120, 200):
            lines = [ink.plain(line.spans) for line in part_lines(read, width)]
            assert all(map(on_screen_is_harmless, lines)), key
            assert width < 80 or max(map(cell_length, lines)) <= width, key
