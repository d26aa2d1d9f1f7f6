"""`context test`: what a person and a script are told of a context, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.local import open_local
from console.cli.main import main
from tests.contract.a_little import fill
from tests.ports import free_port


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tested")
    backend = open_local(folder / "workspace")
    fill(backend, folder, Mutation("ann@box"))
    backend.close()
    return folder / "workspace"


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text)
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(folder / "config.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))


def test_a_workspace_keeps_its_promises(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["context", "test", "--workspace", str(workspace)]) == 0
    out, err = capsys.readouterr()
    assert "capability" in out
    assert "wrong" not in out.replace("wrong  lacks", "")
    assert "promises that could be seen are kept" in err
    assert "not seen, there are no datasets" in err


def test_a_script_is_told_each_promise(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["context", "test", "--workspace", str(workspace), "--read-only", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    verdicts = {each["verdict"] for each in found["checks"]}
    assert "ok" in verdicts
    assert "wrong" not in verdicts
    assert found["features"]["read_only"] is True
    assert found["capabilities"]["registry"] is True


def test_quick_asks_one_question(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["context", "test", "--quick", "--workspace", str(workspace), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checks"] == []
    assert found["capabilities"]["runs"] is True


def test_a_server_that_is_away_is_exit_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(monkeypatch, tmp_path, f'[contexts.team]\nregistry = "mlflow+http://127.0.0.1:{free_port()}"\n')
    assert main(["context", "test", "team"]) == 3
    assert "127.0.0.1" in capsys.readouterr().err


def test_a_cluster_that_is_away_is_exit_1_and_the_rest_is_told(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = f'launcher = "ray+http://127.0.0.1:{free_port()}"'
    configure(monkeypatch, tmp_path, f'[contexts.lab]\nworkspace = "{workspace}"\n{launcher}\n')
    assert main(["context", "test", "lab"]) == 1
    out, err = capsys.readouterr()
    assert "launcher ray+http" in err
    assert "runs" in out


def test_what_is_wrong_is_told_and_is_exit_1(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from console.cli.verb import Invocation

    whole = Invocation.backend.fget  # type: ignore[attr-defined]

    def broken(invocation: Invocation) -> Backend:
        found: Backend = whole(invocation)
        return msgspec.structs.replace(found, registry=None)

    monkeypatch.setattr(Invocation, "backend", property(broken))
    assert main(["context", "test", "--workspace", str(workspace)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "wrong backend what is lacking has a reason" in out
    assert "wanted why there is no registry" in out
