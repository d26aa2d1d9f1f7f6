"""Policies: which rule holds for which alias, what it changes, and how a wrong one is told."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Invalid, Refused
from backends.entities import GateStatus
from console.promotion.gates import evaluate_gates
from console.promotion.policy import FILE, GATES, policy_for
from console.promotion.promote import promote
from tests.unit.registry import ME, by, version_of, workspace


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config" / "config.toml"))
    (tmp_path / "config").mkdir()
    opened = workspace(tmp_path)
    yield opened
    opened.close()


def write(backend, text):
    (backend.home / FILE).write_text(text)


def statuses(backend, version, alias="champion"):
    return {result.gate: result.status for result in evaluate_gates(backend, version, alias)}


def test_without_a_file_nobody_is_asked(backend):
    found = policy_for(backend, "churn", "champion")
    assert (found.approvals, found.override, found.sources) == (0, None, ())
    assert found.lets_override("anybody@host")


def test_rules_that_fit_are_laid_over_each_other_and_the_workspace_comes_last(backend, tmp_path):
    (tmp_path / "config" / FILE).write_text(
        '[[promotion]]\napprovals = 1\nworse = 0.1\ngates = { baseline = "warn" }\n'
    )
    write(
        backend,
        '[[promotion]]\nmodel = "chu*"\nalias = "champion"\napprovals = 2\ngates = { audit = "off" }\n'
        '[[promotion]]\nmodel = "other"\napprovals = 9\n',
    )
    found = policy_for(backend, "churn", "champion")
    assert (found.approvals, found.worse, found.gates) == (2, 0.1, {"baseline": "warn", "audit": "off"})
    assert [source.rpartition("/")[2] for source in found.sources] == [f"{FILE}:1", f"{FILE}:1"]
    assert policy_for(backend, "churn", "blue").approvals == 1


def test_the_contexts_approvals_are_never_less(backend):
    write(backend, "[[promotion]]\napprovals = 1\n")
    strict = msgspec.structs.replace(backend, approvals=3)
    assert policy_for(strict, "churn", "champion").approvals == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[[promotion]]\napprovls = 1\n",
            f"{FILE}:2: 'approvls' is not a key of a promotion rule; did you mean 'approvals'",
        ),
        ("[[promotion]]\nmodel = 'x'\napprovals = 'two'\n", f"{FILE}:3: promotion: approvals"),
        ("[[promotion]]\napprovals = -1\n", f"{FILE}:2: approvals = -1"),
        ("[[promotion]]\nexpires = 'soon'\n", f"{FILE}:2: expires"),
        ("[[promotion]]\ngates = { basline = 'warn' }\n", "'basline' is no gate; did you mean 'baseline'"),
        ("[[promotion]]\ngates = { baseline = 'maybe' }\n", f"{FILE}:2"),
        ("[promotion]\napprovals = 1\n", "[[promotion]], with two brackets"),
        ("[[promotions]]\n", "did you mean 'promotion'"),
        ("[[promotion]\n", "not valid TOML"),
    ],
)
def test_a_wrong_policy_is_told_by_line_and_key_and_stops_the_promotion(backend, tmp_path, text, says):
    version = version_of(backend, tmp_path)
    write(backend, text)
    with pytest.raises(Invalid) as caught:
        promote(backend, "churn", version.version, "champion", ME, expected=None)
    assert says in str(caught.value)
    assert backend.registry.get("churn").aliases == {}


def test_every_gate_of_a_model_can_be_named_in_a_policy(backend, tmp_path):
    assert set(statuses(backend, version_of(backend, tmp_path))) <= set(GATES)


@pytest.mark.parametrize(
    ("how", "status"),
    [("fail", GateStatus.FAIL), ("warn", GateStatus.WARN), ("off", None), ("require", GateStatus.FAIL)],
)
def test_a_failed_gate_is_taken_as_the_policy_says(backend, tmp_path, how, status):
    version = version_of(backend, tmp_path, auc=0.4)
    write(backend, f'[[promotion]]\ngates = {{ baseline = "{how}" }}\n')
    assert statuses(backend, version).get("baseline") is status


def test_a_required_fact_that_is_missing_fails(backend, tmp_path):
    version_of(backend, tmp_path)
    promote(backend, "churn", "1", "champion", ME, expected=None)
    other = version_of(backend, tmp_path, content=b"2", rows="r2")
    assert statuses(backend, other)["holder"] is GateStatus.WARN
    write(backend, '[[promotion]]\ngates = { holder = "require" }\n')
    assert statuses(backend, other)["holder"] is GateStatus.FAIL


def test_a_ladder_is_climbed_rung_by_rung(backend, tmp_path):
    write(backend, '[[promotion]]\nalias = "champion"\nafter = "challenger"\n')
    version_of(backend, tmp_path)
    with pytest.raises(Refused, match="never was challenger"):
        promote(backend, "churn", "1", "champion", ME, expected=None)
    promote(backend, "churn", "1", "challenger", ME, expected=None)
    assert promote(backend, "churn", "1", "champion", ME, expected=None).version == "1"


def test_how_much_worse_is_the_policys_to_say(backend, tmp_path):
    promote(backend, "churn", version_of(backend, tmp_path, auc=0.8).version, "champion", ME, expected=None)
    worse = version_of(backend, tmp_path, auc=0.76, content=b"2")
    assert statuses(backend, worse)["holder"] is GateStatus.FAIL
    write(backend, "[[promotion]]\nworse = 0.06\n")
    assert statuses(backend, worse)["holder"] is GateStatus.PASS


def test_a_file_over_the_limit_fails(backend, tmp_path):
    version = version_of(backend, tmp_path, content=b"x" * 2_000)
    write(backend, '[[promotion]]\nmax_size = "1 KB"\n')
    assert statuses(backend, version)["size"] is GateStatus.FAIL
    write(backend, '[[promotion]]\nmax_size = "2 KB"\n')
    assert statuses(backend, version)["size"] is GateStatus.PASS


def test_only_whom_the_policy_names_overrides(backend, tmp_path):
    write(backend, '[[promotion]]\noverride = ["lead*"]\n')
    version_of(backend, tmp_path, auc=0.4)
    with pytest.raises(Refused, match=r"the policy lets lead\* override"):
        promote(backend, "churn", "1", "champion", by("user1@host"), expected=None, override=True)
    assert backend.registry.get("churn").aliases == {}
    assert promote(backend, "churn", "1", "champion", by("lead2@host"), expected=None, override=True).version == "1"
