"""`context add`: each part is asked before it is written down, and every key that config.toml knows can be said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli.main import main
from console.config import Context, load_config
from console.retention.policy import RetentionPolicy
from tests.ports import free_port


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "config.toml"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["{mlflow}"], ""),
        (["oci+{mlflow}/team"], ""),
        (["gto+{mlflow}/models.git"], ""),
        (["{folder}", "--metrics", "prometheus+{mlflow}"], "its metrics store: "),
        (["{folder}", "--launcher", "ray+{mlflow}"], "its launcher: "),
    ],
)
def test_what_does_not_answer_is_told_and_not_written_down_unless_one_says_so(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], part: str
) -> None:
    words = [each.format(mlflow=f"http://127.0.0.1:{free_port()}", folder=tmp_path / "w") for each in given]
    assert main(["context", "add", "team", *words, "--use"]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert part in said
    assert "127.0.0.1" in said
    assert "The context was not added; --no-test adds it all the same." in said
    assert not config.exists()
    assert load_config().current == "local"
    assert main(["context", "add", "team", *words, "--no-test"]) == 0
    assert load_config().context("team").name == "team"


def test_every_key_of_the_file_can_be_said(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "mlflow+https://mlflow.example.org", "--username=ann", "--token-command=pass mlflow",
        "--option=ca_file=/ca.pem",
        f"--sidecar={tmp_path}/beside", "--production", "--approvals=2", "--note=ours", "--read-only",
        "--metrics=prometheus+https://p.example.org", "--metrics-option=tenant=ml", "--metrics-option=timeout=3.5",
        "--metrics-option=services.fraud.kind=http", "--metrics-option=services.fraud.labels.job=a=b",
        "--launcher=ray+https://head.example.org:8265", "--launcher-token-env=RAY",
        "--launcher-option=python=python3.12",
        "--retention=keep_deleted=30 d", "--retention=monitors.minutes=2 d", "--capacity=runs=2",
        "--capacity=memory=32 GB", "--capacity=gpu=0",
    ]  # fmt: skip
    assert main(["context", "add", "team", *words, "--no-test"]) == 0, capsys.readouterr().err
    found = load_config().context("team")
    assert (found.registry, found.username, found.token_command) == (words[0], "ann", "pass mlflow")
    assert (found.options, found.workspace) == ({"ca_file": "/ca.pem"}, f"{tmp_path}/beside")
    assert (found.production, found.approvals, found.read_only, found.note) == (True, 2, True, "ours")
    metrics = found.metrics_table
    assert metrics is not None
    assert metrics.options == {"tenant": "ml", "timeout": "3.5"}
    assert (metrics.services["fraud"].kind, metrics.services["fraud"].labels) == ("http", {"job": "a=b"})
    launcher = found.launcher_ref
    assert launcher is not None
    assert (launcher.token_env, launcher.options) == ("RAY", {"python": "python3.12"})
    assert found.retention == RetentionPolicy(keep_deleted="30 d", monitors={"minutes": "2 d"})
    assert (found.capacity.runs, found.capacity.memory, found.capacity.gpu) == (2, "32 GB", 0)
    # Whatever the file knows has a way to be said: a key that is added to it needs one here too.
    default = Context(name="")
    unsaid = {"name", "token_env", "token_file", "launcher_token_file", "launcher_token_command"}
    for field in set(Context.__struct_fields__) - unsaid:
        assert getattr(found, field) != getattr(default, field), field


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--metrics-option=tenant=ml"], "say its address too"),
        (["--metrics=prometheus+http://p", "--metrics-option=tenent=ml"], "did you mean tenant"),
        (["--metrics=prometheus+http://p", "--metrics-option=username=ann"], "its password is wanted"),
        (["--metrics=graphite+http://p"], "no adapter is installed for metrics"),
        (["--capacity=runs=many"], "capacity.runs"),
        (["--launcher-option=python=3"], 'add launcher = "'),
        (["--launcher=kube+https://h"], "no launcher is installed for"),
        (["--token-env=A"], "a login is for a registry"),
        (["--retention=keep_deleted=soon"], "keep_deleted"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["context", "add", "team", str(tmp_path / "w"), *words]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not config.exists()


def test_a_name_that_is_taken_is_told_before_a_server_is_asked(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["context", "add", "team", str(tmp_path / "w"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workspace"] == str(tmp_path / "w")
    before = config.read_text()
    assert main(["context", "add", "team", f"http://127.0.0.1:{free_port()}"]) == 2
    assert "there is a context team already" in " ".join(capsys.readouterr().err.split())
    assert config.read_text() == before
