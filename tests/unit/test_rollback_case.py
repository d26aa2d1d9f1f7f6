"""What a rollback says before it is done: who serves what, which columns and figures differ, whom else to go to."""

from __future__ import annotations

import json

import pytest

from backends.contract import Refused
from backends.entities import (
    Column,
    ColumnType,
    Deployment,
    DeploymentState,
    DeploymentStatus,
    GateStatus,
    Served,
    Target,
)
from console.cli.main import main
from console.promotion.promote import promote
from console.promotion.rollback_case import rollback_case
from tests.unit.registry import ME, by, version_of, workspace

OLD = (
    Column(name="delay", type=ColumnType.INT),
    Column(name="carrier", type=ColumnType.STRING),
    Column(name="wind", type=ColumnType.FLOAT),
)
NEW = (
    Column(name="delay", type=ColumnType.FLOAT),
    Column(name="carrier", type=ColumnType.STRING),
    Column(name="plane", type=ColumnType.STRING),
)


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """v1 and v2 were champion, v3 is; v3 takes other columns than v2. A deployment gives it nine tenths."""
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    opened = workspace(tmp_path)
    for at, (columns, auc) in enumerate(((OLD, 0.7), (OLD, 0.75), (NEW, 0.8))):
        version_of(opened, tmp_path, auc=auc, columns=columns, content=f"model {at}".encode())
        expected = str(at) if at else None
        promote(opened, "churn", str(at + 1), "champion", by(f"user{at}@host", "why"), expected=expected, override=True)
    targets = (Target(alias="champion", share=0.9), Target(version="1", share=0.1))
    opened.deployments.create(Deployment(name="live", model="churn", targets=targets), ME)
    served = (Served(target="champion", version="3"), Served(target="v1", version="1"))
    opened.deployments.observe("live", DeploymentStatus(state=DeploymentState.STOPPED, served=served))
    yield opened
    opened.close()


def test_it_says_what_callers_notice(backend):
    case = rollback_case(backend, "churn", "champion")
    assert (case.held.version, case.target.version, case.whole) == ("3", "2", True)
    assert [(each.deployment, each.share, each.was, each.will) for each in case.served] == [("live", 0.9, "3", "2")]
    assert {(each.name, each.what, each.was, each.will, each.breaks) for each in case.columns} == {
        ("wind", "added", "", "float", True),
        ("plane", "removed", "string", "", True),
        ("delay", "type", "float", "int", True),
    }
    auc = case.measures[0]
    assert (auc.name, auc.candidate, auc.holder, auc.better) == ("auc", 0.75, 0.8, False)
    assert [(each.version, each.by) for each in case.holders] == [("2", "user1@host"), ("1", "user0@host")]


def test_any_earlier_holder_can_be_chosen_and_none_but_those(backend):
    assert rollback_case(backend, "churn", "champion", to="1").target.version == "1"
    with pytest.raises(Refused, match="at v3 already"):
        rollback_case(backend, "churn", "champion", to="3")
    with pytest.raises(Refused, match="nothing held it before"):
        rollback_case(backend, "churn", "blue")


def test_the_same_columns_are_said_to_be_the_same(backend):
    case = rollback_case(backend, "churn", "champion", to="2")
    backend.registry.set_alias("churn", "champion", "2", expected="3", mutation=ME)
    case = rollback_case(backend, "churn", "champion", to="1")
    assert (case.signatures, case.columns) == (True, ())
    assert [each.version for each in case.holders] == ["3", "1"]


def test_a_damaged_file_is_told_before_it_is_tried(backend):
    version = backend.registry.version("churn", "2")
    path = backend.artifacts.open(version.run, version.file.path)
    path.chmod(0o600)
    path.write_bytes(b"something else")
    case = rollback_case(backend, "churn", "champion")
    assert (case.whole, case.artifact.status) == (False, GateStatus.FAIL)


def test_the_command_line_says_it_and_changes_nothing(backend, capsys):
    where = ["--workspace", str(backend.home)]
    assert main(["model", "rollback", "churn", "--preview", *where]) == 0
    out, told = capsys.readouterr()
    for words in ("champion v3 → v2", "live", "must leave it out", "must send it", "earlier holder"):
        assert words in out + told
    assert main(["model", "rollback", "churn", "--preview", "--to", "1", "--json", *where]) == 0
    case = json.loads(capsys.readouterr().out)
    assert (case["target"]["version"], case["held"]["version"]) == ("1", "3")
    assert backend.registry.get("churn").aliases["champion"] == "3"
