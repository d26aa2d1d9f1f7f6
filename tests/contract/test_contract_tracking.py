"""What every backend promises of what tracking clients log: experiments, logged models, histories, files, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import (
    ArtifactStore,
    Backend,
    Conflict,
    ExperimentStore,
    Invalid,
    LoggedModelStore,
    ModelRegistry,
    Mutation,
    NotFound,
    Refused,
    RunStore,
    all_pages,
)
from backends.entities import (
    DatasetInput,
    LoggedMetric,
    MetricPoint,
    ModelFile,
    ModelOutput,
    RunStatus,
    Signature,
    Source,
)
from backends.query import VERSION_FIELDS, parse

pytestmark = pytest.mark.needs("runs", "experiments", "logged_models", "artifacts", "registry")


@pytest.fixture
def runs(backend: Backend) -> RunStore:
    assert backend.runs is not None
    return backend.runs


@pytest.fixture
def experiments(backend: Backend) -> ExperimentStore:
    assert backend.experiments is not None
    return backend.experiments


@pytest.fixture
def logged(backend: Backend) -> LoggedModelStore:
    assert backend.logged_models is not None
    return backend.logged_models


@pytest.fixture
def registry(backend: Backend) -> ModelRegistry:
    assert backend.registry is not None
    return backend.registry


@pytest.fixture
def artifacts(backend: Backend) -> ArtifactStore:
    assert backend.artifacts is not None
    return backend.artifacts


# ---------------------------------------------------------------- experiments


def test_an_experiment_is_found_by_name_and_by_id(experiments: ExperimentStore, ann: Mutation) -> None:
    made = experiments.create("flights", ann, tags={"team": "red"})
    assert experiments.get("flights") == experiments.get(made.id)
    assert experiments.get("flights").tags == {"team": "red"}
    with pytest.raises(NotFound):
        experiments.get("boats")


def test_a_taken_name_is_a_conflict(experiments: ExperimentStore, ann: Mutation) -> None:
    experiments.create("flights", ann)
    other = experiments.create("boats", ann)
    with pytest.raises(Conflict, match="nothing was changed"):
        experiments.create("flights", ann)
    with pytest.raises(Conflict, match="nothing was changed"):
        experiments.rename(other.id, "flights", ann)
    with pytest.raises(Invalid):
        experiments.create(" ", ann)


def test_creating_twice_with_one_key_makes_one(experiments: ExperimentStore) -> None:
    once = Mutation("ann@box", key="e1")
    assert experiments.create("flights", once).id == experiments.create("flights", once).id


def test_a_renamed_experiment_keeps_its_runs(experiments: ExperimentStore, runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann, experiment="flights").id
    experiments.rename("flights", "journeys", ann)
    assert runs.get(run).experiment == "journeys"
    with pytest.raises(NotFound):
        experiments.get("flights")


def test_notes_and_tags_are_kept(experiments: ExperimentStore, ann: Mutation) -> None:
    experiments.create("flights", ann)
    experiments.set_note("flights", "what for", ann)
    experiments.set_tags("flights", {"a": "1", "b": "2"}, ann)
    experiments.set_tags("flights", {"a": None, "b": "3"}, ann)
    found = experiments.get("flights")
    assert (found.note, found.tags) == ("what for", {"b": "3"})


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(
    experiments: ExperimentStore, runs: RunStore, ann: Mutation
) -> None:
    kept, gone, before = (
        runs.create(name=name, mutation=ann, experiment=experiment).id
        for name, experiment in (("kept", "boats"), ("gone", "flights"), ("before", "flights"))
    )
    with pytest.raises(Refused, match="nothing was changed"):
        experiments.delete("flights", ann)
    for run in (gone, before):
        runs.end(run, RunStatus.STOPPED)
    runs.delete(before, ann)
    experiments.delete("flights", ann)
    assert [run.id for run in runs.page().items] == [kept]
    assert "flights" not in [each.name for each in experiments.page().items]
    assert [each.name for each in experiments.page(deleted=True).items] == ["flights"]
    with pytest.raises(Refused):
        runs.create(name="late", mutation=ann, experiment="flights")
    experiments.restore("flights", ann)
    assert gone in [run.id for run in runs.page().items]
    assert runs.get(gone).deleted_at is None


# ---------------------------------------------------------------- runs


def test_every_point_comes_back_as_it_was_logged(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    points = [MetricPoint(key="loss", value=n / 7, step=n, at=1_000 + n) for n in range(1_500)]
    runs.log_points(run, points[700:])
    runs.log_points(run, points[:700])
    found = list(all_pages(lambda at: runs.points(run, "loss", at=at, limit=400)))
    assert sorted(found, key=lambda point: point.step) == points
    assert runs.points(run, "never").items == ()


def test_the_latest_points_tell_their_steps(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    for step, at in ((3, 10), (1, 20), (3, 30)):
        runs.log_points(run, [MetricPoint(key="b", value=at, step=step, at=at)])
    runs.log_points(run, [MetricPoint(key="a", value=1, step=0, at=5)])
    assert [(p.key, p.value, p.step, p.at) for p in runs.latest(run)] == [("a", 1, 0, 5), ("b", 30, 3, 30)]


def test_an_ended_run_goes_on(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.start(run)
    runs.end(run, RunStatus.FAILED, exit_code=2, reason="broke")
    again = runs.reopen(run)
    assert (again.status, again.ended_at, again.exit_code, again.reason) == (RunStatus.RUNNING, None, None, "")
    assert runs.end(run, RunStatus.FINISHED).status is RunStatus.FINISHED


def test_names_parents_and_sources_can_be_told_later(runs: RunStore, ann: Mutation) -> None:
    parent = runs.create(name="p", mutation=ann).id
    run = runs.create(name="a", mutation=ann).id
    runs.rename(run, "b", ann)
    runs.set_parent(run, parent)
    runs.set_source(run, Source(entry="train.py", commit="abc"))
    found = runs.get(run)
    assert (found.name, found.parent, found.source.entry, found.source.commit) == ("b", parent, "train.py", "abc")


def test_what_was_logged_of_a_dataset_is_kept(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    read = DatasetInput(
        dataset="d", version="abc", digest="abc", context="train", source_type="http", source='{"url": "x"}',
        schema='{"a": 1}', profile='{"rows": 3}',
    )  # fmt: skip
    runs.add_inputs(run, [read])
    (found,) = runs.get(run).inputs
    assert (found.dataset, found.digest, found.context) == ("d", "abc", "train")
    assert (found.schema, found.profile) == ('{"a": 1}', '{"rows": 3}')


def test_a_run_that_never_ended_is_deleted_when_that_is_meant(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.start(run)
    with pytest.raises(Refused):
        runs.delete(run, ann)
    runs.delete(run, ann, unended=True)
    assert runs.page().items == ()


# ---------------------------------------------------------------- files and logged models


def test_folders_are_listed_one_at_a_time(
    artifacts: ArtifactStore, runs: RunStore, ann: Mutation, tmp_path: Path
) -> None:
    run = runs.create(name="a", mutation=ann).id
    file = tmp_path / "f"
    file.write_text("x")
    for path in ("b.txt", "a/one.txt", "a/deep/two.txt", "ab.txt"):
        artifacts.put(run, path, file)
    assert [(each.path, each.folder) for each in artifacts.children(run)] == [
        ("a", True), ("ab.txt", False), ("b.txt", False),
    ]  # fmt: skip
    assert [(each.path, each.folder) for each in artifacts.children(run, "a")] == [
        ("a/deep", True), ("a/one.txt", False),
    ]  # fmt: skip
    assert artifacts.children(run, "nothing") == ()
    artifacts.remove(run, "a/one.txt", ann)
    assert [each.path for each in artifacts.list(run, prefix="a/")] == ["a/deep/two.txt"]
    with pytest.raises(NotFound):
        artifacts.remove(run, "a/one.txt", ann)


def test_a_logged_model_has_files_tags_metrics_and_an_end(
    logged: LoggedModelStore, artifacts: ArtifactStore, runs: RunStore, ann: Mutation, tmp_path: Path
) -> None:
    run = runs.create(name="a", mutation=ann, experiment="flights").id
    runs.start(run)
    model = logged.create(name="m", experiment="flights", mutation=ann, run=run, params={"p": "1"}, tags={"t": "1"})
    assert (model.id[:2], model.status, model.params, model.tags["t"]) == ("m-", "pending", {"p": "1"}, "1")
    file = tmp_path / "MLmodel"
    file.write_text("flavors: {}")
    artifacts.put(model.id, "MLmodel", file)
    assert [each.path for each in artifacts.list(model.id)] == ["MLmodel"]
    assert artifacts.open(model.id, "MLmodel").read_text() == "flavors: {}"
    logged.set_tags(model.id, {"t": None, "u": "2"}, ann)
    logged.log_metrics(model.id, [LoggedMetric(key="auc", value=0.7, run=run, dataset="d", digest="x", at=1)])
    logged.add_outputs(run, [ModelOutput(model=model.id, step=0)])
    found = logged.finish(model.id, "ready")
    assert (found.status, found.tags.get("u"), "t" in found.tags) == ("ready", "2", False)
    assert [(each.key, each.value, each.run) for each in found.metrics] == [("auc", 0.7, run)]
    assert [each.model for each in logged.outputs(run)] == [model.id]
    assert [each.id for each in logged.page(experiments=["flights"]).items] == [model.id]
    logged.delete(model.id, ann)
    assert logged.page(experiments=["flights"]).items == ()
    with pytest.raises(NotFound):
        logged.get("m-" + "0" * 32)
    with pytest.raises(Invalid):
        logged.finish(model.id, "splendid")


# ---------------------------------------------------------------- the registry


def version(registry: ModelRegistry, ann: Mutation, model: str = "churn", **more: str) -> str:
    file, signature = ModelFile(sha256="a" * 64), Signature()
    return registry.register(model, run="r1", file=file, signature=signature, mutation=ann, tags=dict(more)).version


def test_a_model_is_made_before_any_version(registry: ModelRegistry, ann: Mutation) -> None:
    made = registry.create("churn", ann, note="who leaves", tags={"team": "red"})
    assert (made.versions, made.note, made.tags) == (0, "who leaves", {"team": "red"})
    with pytest.raises(Conflict):
        registry.create("churn", ann)
    assert version(registry, ann) == "1"


def test_prompts_stand_apart(registry: ModelRegistry, ann: Mutation) -> None:
    registry.create("churn", ann)
    registry.create("greeting", ann, kind="prompt")
    names = {kind: [each.name for each in registry.page(kind=kind).items] for kind in ("model", "prompt", "")}
    assert names == {"model": ["churn"], "prompt": ["greeting"], "": ["churn", "greeting"]}


def test_a_renamed_model_keeps_versions_aliases_and_history(registry: ModelRegistry, ann: Mutation) -> None:
    version(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    registry.create("taken", ann)
    with pytest.raises(Conflict):
        registry.rename("churn", "taken", ann)
    registry.rename("churn", "leaving", ann)
    assert registry.version("leaving", "@champion").model == "leaving"
    assert [move.version for move in registry.history("leaving")] == ["1"]
    with pytest.raises(NotFound):
        registry.get("churn")


def test_a_deleted_version_takes_its_aliases_and_not_its_number(registry: ModelRegistry, ann: Mutation) -> None:
    for _ in range(2):
        version(registry, ann)
    registry.set_alias("churn", "champion", "2", expected=None, mutation=ann)
    registry.delete_version("churn", "2", ann)
    assert registry.get("churn").aliases == {}
    with pytest.raises(NotFound):
        registry.version("churn", "2")
    assert next((move.previous, move.version) for move in registry.history("churn")) == ("2", None)
    registry.delete("churn", ann)
    with pytest.raises(NotFound):
        registry.get("churn")


def test_versions_of_all_models_are_searched(registry: ModelRegistry, ann: Mutation) -> None:
    for model, team in (("churn", "red"), ("fraud", "blue"), ("churn", "blue")):
        version(registry, ann, model, team=team)

    def found(text: str) -> list[str]:
        return sorted(each.ref for each in registry.search(parse(text, VERSION_FIELDS)).items)

    assert found("") == ["churn@1", "churn@2", "fraud@1"]
    assert found("model = churn") == ["churn@1", "churn@2"]
    assert found("tags.team = blue") == ["churn@2", "fraud@1"]
    assert found("version > 1") == ["churn@2"]
