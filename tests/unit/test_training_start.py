"""Starting, stopping and repeating runs: what is written down before anything is fitted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound
from backends.entities import RunStatus
from backends.local import open_local
from console.data.importing import import_file
from console.training.origin import capture_origin
from console.training.start import retry_run, start_run, stop_run, worker_environment

ACTOR = Mutation(actor="tester@here")
RECIPE = """dataset = "things"
target = "y"
task = "classification"
register = "thing-model"
note = "first try"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
params = {C = 0.5}
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    table = tmp_path / "things.csv"
    table.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50)))
    assert opened.datasets is not None
    import_file(opened.datasets, table, "things", ACTOR)
    yield opened
    opened.close()


def git(folder: Path, *args: str) -> None:
    name = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", *name, *args], cwd=folder, check=True, capture_output=True)


def test_a_started_run_is_queued_with_all_that_made_it(backend: Backend) -> None:
    run = start_run(backend, RECIPE, ACTOR)
    assert run.status is RunStatus.QUEUED
    assert run.name == "things-LogisticRegression"
    assert run.params["C"] == "0.5"
    assert run.tags["console.register"] == "thing-model"
    assert run.tags["console.primary"] == "auc"
    assert run.note == "first try"
    assert backend.datasets is not None
    version = backend.datasets.version("things")
    assert [(given.version, given.digest) for given in run.inputs] == [("1", version.digest)]
    assert backend.home is not None
    folder = backend.home / "runs" / run.id
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["argv"][1:] == ["-m", "console.training.worker"]
    assert int(spec["env"]["OMP_NUM_THREADS"]) >= 1
    assert json.loads((folder / "job.json").read_text())["digest"] == version.digest
    assert (folder / "recipe.toml").read_text() == RECIPE
    assert backend.requests is not None
    assert [request.payload["run"] for request in backend.requests.list()] == [run.id]


def test_the_same_key_starts_one_run(backend: Backend) -> None:
    once = Mutation(actor="a@b", key="same")
    first, second = start_run(backend, RECIPE, once), start_run(backend, RECIPE, once)
    assert first.id == second.id
    assert backend.requests is not None
    assert len(backend.requests.list()) == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (('target = "y"', 'target = "yy"'), Invalid, "did you mean 'y'"),
        (('dataset = "things"', 'dataset = "thing"'), NotFound, "thing"),
        (('dataset = "things"', 'dataset = "things@9"'), NotFound, "9"),
        (("note =", "nota ="), Invalid, "did you mean 'note'"),
    ],
)
def test_a_wrong_recipe_makes_no_run(
    backend: Backend, change: tuple[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        start_run(backend, RECIPE.replace(*change), ACTOR)
    assert backend.runs is not None
    assert backend.runs.count().value == 0


def test_a_retry_takes_the_same_data_and_the_changes_asked_for(backend: Backend, tmp_path: Path) -> None:
    first = start_run(backend, RECIPE, ACTOR)
    more = tmp_path / "more.csv"
    more.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(60)))
    assert backend.datasets is not None
    import_file(backend.datasets, more, "things", ACTOR)
    again = retry_run(backend, first.id, ACTOR, {"C": "2.0"})
    assert again.inputs == first.inputs
    assert again.params["C"] == "2.0"
    assert again.tags["console.retry_of"] == first.id
    moved = retry_run(backend, again.id, ACTOR, {"dataset": "things"})
    assert moved.inputs[0].version == "2"
    assert moved.params["C"] == "2.0"


def test_a_run_from_elsewhere_cannot_be_retried(backend: Backend) -> None:
    assert backend.runs is not None
    foreign = backend.runs.create(name="foreign", mutation=ACTOR)
    with pytest.raises(NotFound, match=r"has no recipe\.toml"):
        retry_run(backend, foreign.id, ACTOR)


def test_a_queued_run_is_stopped_at_once_and_only_once(backend: Backend) -> None:
    run = start_run(backend, RECIPE, ACTOR)
    assert stop_run(backend, run.id, ACTOR).status is RunStatus.STOPPED
    with pytest.raises(Conflict, match="stopped already"):
        stop_run(backend, run.id, ACTOR)


def test_the_git_state_of_the_origin_is_kept_with_the_run(backend: Backend, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    git(project, "init", "-b", "trunk")
    git(project, "remote", "add", "origin", "https://user:secret@example.org/team/project.git")
    recipe = project / "recipe.toml"
    recipe.write_text(RECIPE)
    git(project, "add", ".")
    git(project, "commit", "-m", "one")
    clean = start_run(backend, RECIPE, ACTOR, origin=str(recipe))
    assert len(clean.source.commit) == 40
    assert (clean.source.entry, clean.source.branch, clean.source.dirty) == ("recipe.toml", "trunk", False)
    assert clean.source.repo == "https://example.org/team/project.git"
    recipe.write_text(RECIPE.replace("0.5", "0.7"))
    (project / "new.py").write_text("x = 1\n")
    dirty = start_run(backend, RECIPE, ACTOR, origin=str(project))
    assert dirty.source.dirty
    assert backend.artifacts is not None
    diff = backend.artifacts.open(dirty.id, dirty.source.diff).read_text()
    assert "+params = {C = 0.7}" in diff
    assert "# not under version control: new.py" in diff


def test_a_repositorys_own_programs_are_not_run(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "f.txt").write_text("a\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    marker = tmp_path / "ran"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {marker}\n")
    evil.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.x.textconv"):
        git(tmp_path, "config", key, str(evil))
    marker.unlink(missing_ok=True)
    (tmp_path / ".gitattributes").write_text("*.txt diff=x\n")
    (tmp_path / "f.txt").write_text("b\n")
    source, diff = capture_origin(str(tmp_path))
    assert source.dirty
    assert "+b" in diff
    assert not marker.exists()


def test_a_folder_without_git_gives_no_commit(tmp_path: Path) -> None:
    source, diff = capture_origin(str(tmp_path))
    assert (source.commit, diff) == ("", "")


def test_parallel_runs_share_the_cores() -> None:
    assert worker_environment(1000, 0)["OMP_NUM_THREADS"] == "1"
