"""From a run to a version in git and to whoever serves it: the files, those too large, and runs that versions need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.connect import connect, server_of_runs
from backends.contract import (
    NotFound,
)
from backends.entities import ModelFile, RunStatus, Signature
from console.promotion.register import register_run
from console.serving.fetched import fetch_version
from tests.gto_world import ANN, opened, registry_of, repo, shown
from tests.integration.test_cli_loop import Shell, shell, write_churn, write_recipes

__all__ = ["opened", "repo", "shell"]


@pytest.mark.slow
def test_from_a_run_to_production_and_back_and_another_machine_serves_it(
    shell: Shell, repo: Path, tmp_path: Path, opened: Any
) -> None:
    shell.env.pop("MLOPS_CONSOLE_WORKSPACE")
    shell.env["XDG_DATA_HOME"] = str(tmp_path / "data")
    nowhere = shell.error("context", "add", "team", f"gto+file://{repo}-not", code=2)
    assert "no folder" in nowhere["message"]
    added = shell.run("context", "add", "team", f"gto+file://{repo}", "--use")
    assert added.returncode == 0, added.stderr
    write_churn(tmp_path / "churn.csv")
    recipes = write_recipes(tmp_path)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    runs = [shell.json("run", "start", str(each), "--wait")["id"] for each in recipes]
    (kept,) = (tmp_path / "data").rglob("gto.db")
    here = connect("team", f"gto+file://{repo}", sidecar=kept.parent)
    try:
        assert [register_run(here, run, "churn", ANN).version for run in runs] == ["0.0.1", "0.0.2"]
        registry_of(here).set_alias("churn", "champion", "0.0.1", expected=None, mutation=ANN)
    finally:
        here.close()
    promoted = shell.json("model", "promote", "churn", "0.0.2", "--reason", "better")
    assert (promoted["previous"], promoted["version"]) == ("0.0.1", "0.0.2")
    rolled = shell.json("model", "rollback", "churn", "--reason", "accuracy fell")
    assert (rolled["previous"], rolled["version"]) == ("0.0.2", "0.0.1")
    moves = shell.json("model", "history", "churn")["items"]
    assert [(each["version"], each["reason"]) for each in moves] == [
        ("0.0.1", "accuracy fell"),
        ("0.0.2", "better"),
        ("0.0.1", "because"),
    ]
    entries = shell.json("journal", "list")["items"]
    told = [each for each in entries if each["action"] in ("model.promote", "model.rollback")]
    assert [each["action"] for each in told] == ["model.rollback", "model.promote", "model.promote"]
    assert told[1]["gates"]
    assert shown(repo, "show")["churn"]["stage"] == {"champion": "v0.0.1"}
    other = opened(f"gto+file://{repo}", "elsewhere")
    found = fetch_version(other, "churn", "0.0.2")
    assert Path(found.path).stat().st_size > 0
    assert (found.task, found.target) == ("classification", "churned")


def test_a_run_that_became_a_version_is_not_cleaned_away(repo: Path, opened: Any) -> None:
    backend = opened(f"gto+file://{repo}")
    assert backend.runs is not None
    assert backend.retention is not None
    run = backend.runs.create(name="a", mutation=ANN).id
    backend.runs.end(run, RunStatus.FINISHED)
    registry_of(backend).register("churn", run=run, file=ModelFile(), signature=Signature(), mutation=ANN)
    backend.runs.delete(run, ANN)
    (held,) = backend.retention.holdings().runs
    assert held.needed == "registered as churn@0.0.1"
    assert server_of_runs(backend.home) is None


def test_a_model_too_large_for_git_is_a_pointer(repo: Path, tmp_path: Path, opened: Any) -> None:
    ann = opened(f"gto+file://{repo}", "ann", max_file="1KB")
    assert ann.runs is not None
    assert ann.artifacts is not None
    run = ann.runs.create(name="a", mutation=ANN).id
    for name, size in (("model.skops", 5_000), ("meta.json", 10)):
        file = tmp_path / name
        file.write_bytes(b"x" * size)
        kept = ann.artifacts.put(run, f"model/{name}", file)
        sha256 = kept.sha256 if name == "model.skops" else sha256_of(file)
        assert kept.sha256 == sha256
    file_ = ModelFile(sha256=ann.artifacts.list(run)[1].sha256, bytes=5_000, format="skops", path="model/model.skops")
    registry_of(ann).register("churn", run=run, file=file_, signature=Signature(), mutation=ANN)
    assert ann.artifacts.open(run, "model/model.skops").stat().st_size == 5_000
    bob = opened(f"gto+file://{repo}", "bob")
    assert bob.artifacts is not None
    assert bob.artifacts.open(run, "model/meta.json").read_bytes() == b"x" * 10
    with pytest.raises(NotFound, match=r"too large for git, and lies where the run was.*ann@box.*5,000 bytes"):
        bob.artifacts.open(run, "model/model.skops")


def sha256_of(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()
