"""Approvals beside a real MLflow server, and from the command line."""

from __future__ import annotations

import json
import uuid

import pytest

from backends.connect import connect
from backends.contract import Conflict, Refused
from console.cli.main import main
from console.promotion.approvals import Waiting, waiting
from console.promotion.approve import approve
from console.promotion.policy import FILE
from console.promotion.promote import promote
from tests.mlflow_server import MlflowServer
from tests.unit.registry import by, version_of, workspace

ASKER, OTHER = by("user1@host", "it is better"), by("user2@host", "fine")


@pytest.fixture(autouse=True)
def no_config(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))


def test_the_round_trip_beside_a_server(mlflow_server: MlflowServer, tmp_path):
    home, name = tmp_path / "sidecar", f"churn-{uuid.uuid4().hex[:6]}"
    backend = connect("team", f"mlflow+{mlflow_server.url}", sidecar=home)
    try:
        for at in range(3):
            version_of(backend, tmp_path, model=name, auc=0.7 + at / 20, content=f"model {at}".encode())
        promote(backend, name, "1", "champion", ASKER, expected=None)
        (home / FILE).write_text("[[promotion]]\napprovals = 1\n")

        request = promote(backend, name, "2", "champion", ASKER, expected="1")
        assert isinstance(request, Waiting)
        assert backend.registry.get(name).aliases == {"champion": "1"}
        with pytest.raises(Refused, match="one's own"):
            approve(backend, request.id, ASKER)
        move = approve(backend, request.id, OTHER)
        assert (move.version, move.previous, move.actor) == ("2", "1", "user2@host")
        assert backend.registry.get(name).aliases == {"champion": "2"}
        assert waiting(backend) == ()
        gates = backend.journal.get(move.entry).gates
        assert any(gate.gate == "approvals" and "user1@host" in gate.detail for gate in gates)

        again = promote(backend, name, "3", "champion", ASKER, expected="2")
        backend.registry.set_alias(name, "champion", "1", expected="2", mutation=by("user9@host"))
        with pytest.raises(Conflict, match="changed under you"):
            approve(backend, again.id, OTHER)
        assert backend.registry.get(name).aliases == {"champion": "1"}
    finally:
        backend.close()


def test_the_round_trip_on_the_command_line(tmp_path, monkeypatch, capsys):
    backend = workspace(tmp_path)
    version_of(backend, tmp_path)
    (backend.home / FILE).write_text("[[promotion]]\napprovals = 1\n")
    backend.close()
    where = ["--workspace", str(tmp_path / "workspace"), "--json"]

    def run(*words):
        code = main([*words, *where])
        out = capsys.readouterr()
        return code, json.loads(out.out or out.err)

    monkeypatch.setenv("LOGNAME", "ann")
    code, said = run("model", "promote", "churn", "1", "-m", "first")
    assert (code, said["waiting"]["asked"]["version"]) == (0, "1")
    request = said["waiting"]["id"]
    assert run("model", "approve", request)[0] == 1
    monkeypatch.setenv("LOGNAME", "bob")
    assert [item["id"] for item in run("model", "requests")[1]["items"]] == [request]
    code, said = run("model", "approve", request[:8])
    assert (code, said["version"], said["actor"].split("@")[0]) == (0, "1", "bob")
    assert run("model", "requests")[1]["items"] == []
    assert run("policy", "show", "churn")[1]["approvals"] == 1
    assert len(run("policy", "check")[1]["items"]) == 1
    (tmp_path / "workspace" / FILE).write_text("[[promotion]]\naproval = 1\n")
    code, said = run("policy", "check")
    assert (code, said["error"]["field"]) == (2, "aproval")
