"""What MLflow's clients rely on: each test here runs on a real MLflow server and on ours, and asks the same of both.

The client is MLflow's own, unmodified.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mlflow_server import MlflowServer
from tests.protocol_server import TOKEN, start_own

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

mlflow = pytest.importorskip("mlflow", reason="mlflow comes with the test extra")

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402


@pytest.fixture(scope="module", params=["mlflow", "ours"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "mlflow":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        yield server.url
        return
    own = start_own(tmp_path_factory.mktemp("own") / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
        yield own.url
    own.stop()


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    yield MlflowClient(tracking_uri=url, registry_uri=url)
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return client.create_experiment(f"e-{uuid.uuid4().hex}")


@pytest.fixture
def run(client: MlflowClient, experiment: str) -> str:
    return client.create_run(experiment, run_name="one").info.run_id


def named(what: str = "m") -> str:
    return f"{what}-{uuid.uuid4().hex}"


def refused(code: str) -> Any:
    return pytest.raises(MlflowException, check=lambda error: error.error_code == code)


# ---------------------------------------------------------------- experiments


def test_an_experiment_is_found_by_id_and_by_name(client: MlflowClient) -> None:
    name = named("e")
    made = client.create_experiment(name, tags={"team": "red"})
    for found in (client.get_experiment(made), client.get_experiment_by_name(name)):
        assert (found.name, found.lifecycle_stage, found.tags) == (name, "active", {"team": "red"})
        assert found.artifact_location == f"mlflow-artifacts:/{made}"
        assert found.creation_time > 0
        assert found.last_update_time >= found.creation_time


def test_a_name_that_nobody_took_is_none(client: MlflowClient) -> None:
    assert client.get_experiment_by_name(named()) is None
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_experiment("987654321")


def test_a_taken_name_is_refused(client: MlflowClient) -> None:
    name = named("e")
    client.create_experiment(name)
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_experiment(name)


def test_an_empty_name_is_refused(client: MlflowClient) -> None:
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_experiment("")


def test_an_experiment_is_renamed_with_its_runs(client: MlflowClient, experiment: str, run: str) -> None:
    name = named("new")
    client.rename_experiment(experiment, name)
    assert client.get_experiment(experiment).name == name
    assert [found.info.run_id for found in client.search_runs([experiment])] == [run]


def test_a_deleted_experiment_comes_back_with_its_runs(client: MlflowClient, experiment: str, run: str) -> None:
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_run(experiment)
    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_experiments_are_searched_by_name_and_tag(client: MlflowClient) -> None:
    mark = uuid.uuid4().hex
    made = [client.create_experiment(f"{mark}-{letter}", tags={"mark": mark, "n": letter}) for letter in "abc"]
    ids = lambda found: [each.experiment_id for each in found]  # noqa: E731
    assert ids(client.search_experiments(filter_string=f"name LIKE '{mark}%'", order_by=["name ASC"])) == made
    assert ids(client.search_experiments(filter_string=f"name = '{mark}-b'")) == [made[1]]
    assert ids(client.search_experiments(filter_string=f"tags.mark = '{mark}' AND tags.n = 'c'")) == [made[2]]
    first = client.search_experiments(filter_string=f"tags.mark = '{mark}'", order_by=["name DESC"], max_results=2)
    rest = client.search_experiments(
        filter_string=f"tags.mark = '{mark}'", order_by=["name DESC"], max_results=2, page_token=first.token
    )
    assert ids(first) + ids(rest) == made[::-1]
    client.delete_experiment(made[0])
    by_view = {
        view: set(ids(client.search_experiments(view_type=view, filter_string=f"tags.mark = '{mark}'")))
        for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)
    }
    assert by_view == {
        ViewType.ACTIVE_ONLY: {*made[1:]},
        ViewType.DELETED_ONLY: {made[0]},
        ViewType.ALL: {*made},
    }


def test_experiment_tags_are_set_and_taken_away(client: MlflowClient, experiment: str) -> None:
    client.set_experiment_tag(experiment, "mlflow.note.content", "what for")
    client.set_experiment_tag(experiment, "a", "1")
    client.set_experiment_tag(experiment, "a", "2")
    assert client.get_experiment(experiment).tags == {"mlflow.note.content": "what for", "a": "2"}
    client.delete_experiment_tag(experiment, "a")
    assert client.get_experiment(experiment).tags == {"mlflow.note.content": "what for"}


def test_without_an_experiment_runs_go_to_number_zero(client: MlflowClient) -> None:
    assert client.get_experiment("0").name == "Default"
    made = client.create_run("0")
    assert made.info.experiment_id == "0"


# ---------------------------------------------------------------- runs


def test_a_new_run_is_running_and_has_a_name(client: MlflowClient, experiment: str) -> None:
    at = int(time.time() * 1000) - 5_000
    made = client.create_run(experiment, start_time=at, tags={"k": "v"})
    assert (made.info.status, made.info.start_time, made.info.end_time) == ("RUNNING", at, None)
    assert made.info.run_name
    assert made.data.tags["mlflow.runName"] == made.info.run_name
    assert made.data.tags["k"] == "v"
    assert made.info.artifact_uri == f"mlflow-artifacts:/{experiment}/{made.info.run_id}/artifacts"


def test_a_run_that_is_not_there_is_told(client: MlflowClient) -> None:
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_run("0" * 32)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.log_metric("0" * 32, "a", 1.0)


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_as_it_says(client: MlflowClient, run: str, status: str) -> None:
    end = int(time.time() * 1000) + 1_000
    client.set_terminated(run, status, end_time=end)
    found = client.get_run(run).info
    assert (found.status, found.end_time) == (status, end)


def test_a_run_is_taken_up_again(client: MlflowClient, run: str) -> None:
    client.set_terminated(run)
    client.update_run(run, status="RUNNING")
    assert client.get_run(run).info.status == "RUNNING"
    client.log_metric(run, "late", 1.0)
    client.set_terminated(run, "FAILED")
    assert client.get_run(run).info.status == "FAILED"


def test_a_run_is_renamed_by_update_and_by_tag(client: MlflowClient, run: str) -> None:
    client.update_run(run, name="two")
    found = client.get_run(run)
    assert (found.info.run_name, found.data.tags["mlflow.runName"]) == ("two", "two")
    client.set_tag(run, "mlflow.runName", "three")
    assert client.get_run(run).info.run_name == "three"


def test_a_deleted_run_takes_nothing_and_comes_back(client: MlflowClient, experiment: str, run: str) -> None:
    client.delete_run(run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert list(client.search_runs([experiment])) == []
    for view in (ViewType.DELETED_ONLY, ViewType.ALL):
        assert [found.info.run_id for found in client.search_runs([experiment], run_view_type=view)] == [run]
    with refused("INVALID_PARAMETER_VALUE"):
        client.log_metric(run, "a", 1.0)
    client.restore_run(run)
    client.log_metric(run, "a", 1.0)
    assert client.get_run(run).data.metrics == {"a": 1.0}


def test_nested_runs_name_their_parent(client: MlflowClient, experiment: str) -> None:
    with mlflow.start_run(experiment_id=experiment) as parent:  # noqa: SIM117 as people write it
        with mlflow.start_run(experiment_id=experiment, nested=True) as child:
            pass
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert [each.info.run_id for each in found] == [child.info.run_id]
    assert client.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    assert client.get_run(child.info.run_id).info.status == "FINISHED"


def test_a_run_whose_block_fails_has_failed(client: MlflowClient, experiment: str) -> None:
    with pytest.raises(ZeroDivisionError), mlflow.start_run(experiment_id=experiment) as run:
        1 / 0  # noqa: B018
    assert client.get_run(run.info.run_id).info.status == "FAILED"


# ---------------------------------------------------------------- what runs log


def test_params_are_kept_and_cannot_change(client: MlflowClient, run: str) -> None:
    client.log_param(run, "lr", 0.1)
    client.log_param(run, "lr", 0.1)
    with refused("INVALID_PARAMETER_VALUE"):
        client.log_param(run, "lr", 0.2)
    client.log_batch(run, params=[Param("a/b c", "x"), Param("empty", "")])
    assert client.get_run(run).data.params == {"lr": "0.1", "a/b c": "x", "empty": ""}


def test_a_batch_with_a_changed_param_logs_no_param_of_it(client: MlflowClient, run: str) -> None:
    client.log_param(run, "a", "1")
    with refused("INVALID_PARAMETER_VALUE"):
        client.log_batch(run, params=[Param("new", "1"), Param("a", "2")])
    assert client.get_run(run).data.params == {"a": "1"}


def test_one_param_twice_in_a_batch_is_refused(client: MlflowClient, run: str) -> None:
    with refused("INVALID_PARAMETER_VALUE"):
        client.log_batch(run, params=[Param("a", "1"), Param("a", "2")])


def test_the_latest_metric_is_that_of_the_highest_step(client: MlflowClient, run: str) -> None:
    client.log_metric(run, "loss", 0.5, timestamp=10, step=2)
    client.log_metric(run, "loss", 0.7, timestamp=20, step=1)
    client.log_metric(run, "loss", 0.4, timestamp=30, step=2)
    assert client.get_run(run).data.metrics == {"loss": 0.4}
    points = client.get_metric_history(run, "loss")
    assert sorted((p.step, p.timestamp, p.value) for p in points) == [(1, 20, 0.7), (2, 10, 0.5), (2, 30, 0.4)]


def test_negative_steps_and_old_times_are_kept(client: MlflowClient, run: str) -> None:
    client.log_metric(run, "m", 1.5, timestamp=0, step=-3)
    (point,) = client.get_metric_history(run, "m")
    assert (point.step, point.timestamp, point.value) == (-3, 0, 1.5)


def test_nan_stays_nan_and_infinity_large(client: MlflowClient, run: str) -> None:
    client.log_batch(run, metrics=[Metric("nan", math.nan, 1, 0), Metric("up", math.inf, 1, 0)])
    client.log_metric(run, "down", -math.inf)
    found = client.get_run(run).data.metrics
    assert math.isnan(found["nan"])
    assert found["up"] >= 1.7976931348623157e308
    assert found["down"] <= -1.7976931348623157e308


def test_a_metric_nobody_logged_has_no_history(client: MlflowClient, run: str) -> None:
    assert client.get_metric_history(run, "none") == []


def test_a_long_history_comes_whole(client: MlflowClient, run: str) -> None:
    for start in range(0, 3_000, 1_000):
        client.log_batch(run, metrics=[Metric("m", float(s), s, s) for s in range(start, start + 1_000)])
    points = client.get_metric_history(run, "m")
    assert [p.value for p in sorted(points, key=lambda p: p.step)] == [float(s) for s in range(3_000)]


def test_a_batch_takes_a_thousand_metrics_and_not_one_more(client: MlflowClient, url: str, run: str) -> None:
    client.log_batch(run, metrics=[Metric(f"m{n}", 1.0, 1, 0) for n in range(800)], params=[], tags=[])
    assert len(client.get_run(run).data.metrics) == 800
    body = {"run_id": run, "metrics": [{"key": f"x{n}", "value": 1, "timestamp": 1, "step": 0} for n in range(1_001)]}
    status, answer = post(url, "runs/log-batch", body)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert len(client.get_run(run).data.metrics) == 800


@pytest.mark.parametrize(("kind", "count"), [("params", 101), ("tags", 101)])
def test_a_batch_takes_a_hundred_params_and_tags(url: str, run: str, kind: str, count: int) -> None:
    body = {"run_id": run, kind: [{"key": f"k{n}", "value": "v"} for n in range(count)]}
    status, answer = post(url, "runs/log-batch", body)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_keys_have_a_longest_length(client: MlflowClient, url: str, run: str) -> None:
    client.log_metric(run, "k" * 250, 1.0)
    body = {"run_id": run, "key": "k" * 251, "value": 1, "timestamp": 1, "step": 0}
    assert post(url, "runs/log-metric", body)[0] == 400


def test_tags_are_set_changed_and_taken_away(client: MlflowClient, run: str) -> None:
    client.set_tag(run, "a", "1")
    client.set_tag(run, "a", "2")
    client.log_batch(run, tags=[RunTag("b", "3")])
    found = client.get_run(run).data.tags
    assert (found["a"], found["b"]) == ("2", "3")
    client.delete_tag(run, "a")
    assert "a" not in client.get_run(run).data.tags
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_tag(run, "a")


def test_a_note_is_a_tag(client: MlflowClient, run: str) -> None:
    client.set_tag(run, "mlflow.note.content", "look *here*")
    assert client.get_run(run).data.tags["mlflow.note.content"] == "look *here*"
    client.delete_tag(run, "mlflow.note.content")
    assert "mlflow.note.content" not in client.get_run(run).data.tags


def test_datasets_are_kept_with_context_and_schema(client: MlflowClient, run: str) -> None:
    dataset = Dataset("flights", "abc123", "local", '{"uri": "/x.csv"}', schema='{"cols": []}', profile='{"rows": 3}')
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    (found,) = client.get_run(run).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest, found.dataset.source_type) == ("flights", "abc123", "local")
    assert (found.dataset.source, found.dataset.schema, found.dataset.profile) == (
        '{"uri": "/x.csv"}', '{"cols": []}', '{"rows": 3}',
    )  # fmt: skip
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


# ---------------------------------------------------------------- searching runs


@pytest.fixture(scope="module")
def many(url: str) -> tuple[str, dict[str, str]]:
    """(experiment, run id → name) of runs in which filters find something and miss something."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient(tracking_uri=url)
    made = client.create_experiment(f"many-{uuid.uuid4().hex}")
    names = {}
    for number in range(12):
        run = client.create_run(made, run_name=f"run-{number}", start_time=1_000_000 + number)
        id_ = run.info.run_id
        names[id_] = f"run-{number}"
        client.log_batch(
            id_,
            metrics=[Metric("auc", number / 10, 1, 0)] if number % 4 else [],
            params=[Param("lr", str(number % 3)), Param("opt", "adam" if number % 2 else "SGD")],
            tags=[RunTag("team", "red" if number < 6 else "blue")] if number != 3 else [],
        )
        if number % 3 == 0:
            client.set_terminated(id_, "FINISHED" if number % 2 else "FAILED")
    client.log_metric(next(iter(names)), "a b/c", 2.0)
    return made, names


FILTERS = {
    "": range(12),
    "metrics.auc > 0.5": (6, 7, 9, 10, 11),
    "metrics.auc >= 0.5 and metrics.auc < 0.9": (5, 6, 7),
    "metric.auc != 0.5": (1, 2, 3, 6, 7, 9, 10, 11),
    "metrics.`a b/c` = 2": (0,),
    "params.lr = '2'": (2, 5, 8, 11),
    "params.lr != '2' and params.opt = 'adam'": (1, 3, 7, 9),
    "param.opt LIKE 'a%'": (1, 3, 5, 7, 9, 11),
    "params.opt ILIKE 'sg%'": (0, 2, 4, 6, 8, 10),
    "tags.team = 'red'": (0, 1, 2, 4, 5),
    "tags.team != 'red'": (6, 7, 8, 9, 10, 11),
    "attributes.status = 'FINISHED'": (3, 9),
    "status != 'RUNNING'": (0, 3, 6, 9),
    "attributes.run_name = 'run-4'": (4,),
    "run_name LIKE 'run-1%'": (1, 10, 11),
    "attributes.start_time >= 1000010": (10, 11),
    "tags.`mlflow.runName` = 'run-7'": (7,),
    'params.lr = "0" and metrics.auc <= 0.6': (3, 6),
}


@pytest.mark.parametrize("text", list(FILTERS))
def test_a_filter_finds_what_it_says(client: MlflowClient, many: tuple[str, dict[str, str]], text: str) -> None:
    found = client.search_runs([many[0]], text)
    assert {run.info.run_name for run in found} == {f"run-{number}" for number in FILTERS[text]}


ORDERS = {
    (): range(11, -1, -1),
    ("metrics.auc DESC",): (11, 10, 9, 7, 6, 5, 3, 2, 1, 8, 4, 0),
    ("metrics.auc ASC",): (1, 2, 3, 5, 6, 7, 9, 10, 11, 8, 4, 0),
    ("attributes.start_time ASC",): range(12),
    ("params.opt ASC", "attributes.start_time ASC"): (0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11),
    ("tags.team DESC", "start_time DESC"): (5, 4, 2, 1, 0, 11, 10, 9, 8, 7, 6, 3),
}


@pytest.mark.parametrize("order", list(ORDERS), ids=" ".join)
def test_runs_come_in_the_order_asked_for(
    client: MlflowClient, many: tuple[str, dict[str, str]], order: tuple[str, ...]
) -> None:
    found = client.search_runs([many[0]], order_by=list(order))
    assert [run.info.run_name for run in found] == [f"run-{number}" for number in ORDERS[order]]


@pytest.mark.parametrize("order", [[], ["metrics.auc DESC"]])
def test_pages_hold_every_run_once(client: MlflowClient, many: tuple[str, dict[str, str]], order: list[str]) -> None:
    found: list[str] = []
    token = None
    while True:
        page = client.search_runs([many[0]], order_by=order, max_results=5, page_token=token)
        found += [run.info.run_id for run in page]
        token = page.token
        if not token:
            break
    assert sorted(found) == sorted(many[1])


def test_runs_are_found_by_a_list_of_ids(client: MlflowClient, many: tuple[str, dict[str, str]]) -> None:
    ids = list(many[1])[2:5]
    listed = ", ".join(f"'{each}'" for each in ids)
    assert {run.info.run_id for run in client.search_runs([many[0]], f"run_id IN ({listed})")} == {*ids}


@pytest.mark.parametrize(
    "text", ["metrics.auc >", "nonsense.x = 1", "metrics.auc = 'text'", "attributes.nothing = 'x'", "params.a > 'b' or"]
)
def test_a_filter_that_cannot_be_read_is_refused(
    client: MlflowClient, many: tuple[str, dict[str, str]], text: str
) -> None:
    with refused("INVALID_PARAMETER_VALUE"):
        client.search_runs([many[0]], text)


def test_an_experiment_that_is_not_there_has_no_runs(client: MlflowClient) -> None:
    assert list(client.search_runs(["987654321"])) == []


def test_runs_of_several_experiments_are_found_together(client: MlflowClient, experiment: str, run: str) -> None:
    other = client.create_experiment(named("e"))
    second = client.create_run(other).info.run_id
    found = {each.info.run_id for each in client.search_runs([experiment, other])}
    assert found == {run, second}


# ---------------------------------------------------------------- files


def test_files_go_up_and_come_down(client: MlflowClient, run: str, tmp_path: Path) -> None:
    folder = tmp_path / "up"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "deep" / "ünï cøde.bin").write_bytes(bytes(range(256)))
    (folder / "deep" / "empty").touch()
    client.log_artifacts(run, str(folder), "out")
    listed = {each.path: (each.is_dir, each.file_size) for each in client.list_artifacts(run, "out")}
    assert listed == {"out/a.txt": (False, 3), "out/deep": (True, None)}
    down = Path(client.download_artifacts(run, "out", str(tmp_path)))
    assert (down / "a.txt").read_text() == "one"
    assert (down / "deep" / "ünï cøde.bin").read_bytes() == bytes(range(256))
    assert (down / "deep" / "empty").read_bytes() == b""


def test_a_file_is_replaced(client: MlflowClient, run: str) -> None:
    client.log_text(run, "old", "a.txt")
    client.log_text(run, "new", "a.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run}/a.txt") == "new"


def test_a_file_that_is_not_there_is_told(client: MlflowClient, run: str, tmp_path: Path) -> None:
    assert client.list_artifacts(run, "nothing") == []
    with pytest.raises(MlflowException):
        client.download_artifacts(run, "nothing.txt", str(tmp_path))


def test_files_are_deleted(client: MlflowClient, run: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run, "a", "keep.txt")
    client.log_text(run, "b", "go/b.txt")
    get_artifact_repository(client.get_run(run).info.artifact_uri).delete_artifacts("go/b.txt")
    assert [each.path for each in client.list_artifacts(run)] in (["keep.txt"], ["go", "keep.txt"])
    assert client.list_artifacts(run, "go") == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "%2e%2e/x", "a/%252e%252e/x", "/etc/passwd"])
def test_no_path_leaves_its_run(url: str, experiment: str, run: str, path: str) -> None:
    address = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{path}"
    status, _ = raw(url, "PUT", address, b"x")
    assert status in (400, 404, 405) or path == "/etc/passwd", status


# ---------------------------------------------------------------- registry


def test_a_model_is_made_described_and_found(client: MlflowClient) -> None:
    name = named()
    made = client.create_registered_model(name, tags={"team": "red"}, description="what it is")
    assert (made.name, made.description, made.tags) == (name, "what it is", {"team": "red"})
    client.update_registered_model(name, "better words")
    found = client.get_registered_model(name)
    assert (found.description, found.latest_versions) == ("better words", [])
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(named())


@pytest.mark.parametrize("name", ["", "a/b", "a:b"])
def test_a_model_name_has_no_slash_and_no_colon(client: MlflowClient, name: str) -> None:
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_registered_model(name)


def test_versions_count_up(client: MlflowClient, run: str) -> None:
    name = named()
    client.create_registered_model(name)
    source = client.get_run(run).info.artifact_uri + "/model"
    made = [client.create_model_version(name, source, run, tags={"n": str(n)}) for n in range(3)]
    assert [each.version for each in made] in ([1, 2, 3], ["1", "2", "3"])
    found = client.get_model_version(name, "2")
    assert (found.run_id, found.source, found.status, found.tags["n"]) == (run, source, "READY", "1")
    assert found.current_stage == "None"
    assert client.get_model_version_download_uri(name, "2") == source
    client.update_model_version(name, "2", "the second")
    assert client.get_model_version(name, "2").description == "the second"


def test_a_version_needs_its_model(client: MlflowClient, run: str) -> None:
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.create_model_version(named(), client.get_run(run).info.artifact_uri + "/model", run)


@pytest.fixture
def model(client: MlflowClient, run: str) -> str:
    """A model with three versions."""
    name = named()
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, client.get_run(run).info.artifact_uri + "/model", run)
    return name


def test_an_alias_moves_and_goes(client: MlflowClient, model: str) -> None:
    client.set_registered_model_alias(model, "champion", "1")
    client.set_registered_model_alias(model, "champion", "2")
    client.set_registered_model_alias(model, "challenger", "3")
    assert str(client.get_model_version_by_alias(model, "champion").version) == "2"
    assert {k: str(v) for k, v in client.get_registered_model(model).aliases.items()} == {
        "champion": "2",
        "challenger": "3",
    }
    assert client.get_model_version(model, "2").aliases == ["champion"]
    client.delete_registered_model_alias(model, "champion")
    with refused("INVALID_PARAMETER_VALUE"):
        client.get_model_version_by_alias(model, "champion")


def test_an_alias_needs_a_version_that_is_there(client: MlflowClient, model: str) -> None:
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.set_registered_model_alias(model, "champion", "99")


@pytest.mark.parametrize("alias", ["latest", "v1", "V22"])
def test_some_aliases_are_reserved(client: MlflowClient, model: str, alias: str) -> None:
    with refused("INVALID_PARAMETER_VALUE"):
        client.set_registered_model_alias(model, alias, "1")


def test_stages_still_work(client: MlflowClient, model: str) -> None:
    client.transition_model_version_stage(model, "1", "Production")
    client.transition_model_version_stage(model, "2", "production", archive_existing_versions=True)
    stages = {str(each.version): each.current_stage for each in client.search_model_versions(f"name = '{model}'")}
    assert stages == {"1": "Archived", "2": "Production", "3": "None"}
    latest = {each.current_stage: str(each.version) for each in client.get_latest_versions(model)}
    assert latest == {"Archived": "1", "Production": "2", "None": "3"}
    assert [str(each.version) for each in client.get_latest_versions(model, ["Production"])] == ["2"]
    with refused("INVALID_PARAMETER_VALUE"):
        client.transition_model_version_stage(model, "1", "Nirvana")


def test_a_deleted_version_takes_its_aliases_and_its_number_along(client: MlflowClient, model: str, run: str) -> None:
    client.set_registered_model_alias(model, "champion", "2")
    client.delete_model_version(model, "2")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_model_version(model, "2")
    assert client.get_registered_model(model).aliases == {}
    made = client.create_model_version(model, client.get_run(run).info.artifact_uri + "/model", run)
    assert str(made.version) == "4"


def test_a_renamed_model_keeps_its_versions_and_aliases(client: MlflowClient, model: str) -> None:
    client.set_registered_model_alias(model, "champion", "2")
    name = named("new")
    client.rename_registered_model(model, name)
    assert str(client.get_model_version_by_alias(name, "champion").version) == "2"
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(model)
    other = client.create_registered_model(named()).name
    with refused("RESOURCE_ALREADY_EXISTS"):
        client.rename_registered_model(name, other)


def test_a_deleted_model_is_gone(client: MlflowClient, model: str) -> None:
    client.delete_registered_model(model)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_registered_model(model)
    assert list(client.search_model_versions(f"name = '{model}'")) == []


def test_models_are_searched(client: MlflowClient) -> None:
    mark = uuid.uuid4().hex
    for letter in "bca":
        client.create_registered_model(f"{mark}-{letter}", tags={"mark": mark, "n": letter})
    names = lambda found: [each.name[-1] for each in found]  # noqa: E731
    assert names(client.search_registered_models(f"name LIKE '{mark}%'")) == list("abc")
    assert names(client.search_registered_models(f"name ILIKE '{mark.upper()}%'", order_by=["name DESC"])) == list(
        "cba"
    )
    assert names(client.search_registered_models(f"tags.mark = '{mark}' and tags.n != 'b'")) == ["a", "c"]
    first = client.search_registered_models(f"name LIKE '{mark}%'", max_results=2)
    assert names(first) + names(client.search_registered_models(f"name LIKE '{mark}%'", page_token=first.token)) == (
        list("abc")
    )


def test_versions_are_searched(client: MlflowClient, model: str, run: str) -> None:
    client.set_model_version_tag(model, "2", "good", "yes")
    numbers = lambda text, **more: [str(v.version) for v in client.search_model_versions(text, **more)]  # noqa: E731
    assert sorted(numbers(f"name = '{model}'")) == ["1", "2", "3"]
    assert sorted(numbers(f"run_id = '{run}'")) == ["1", "2", "3"]
    assert numbers(f"name = '{model}' and tags.good = 'yes'") == ["2"]
    assert numbers(f"name = '{model}'", order_by=["version_number DESC"]) == ["3", "2", "1"]
    client.delete_model_version_tag(model, "2", "good")
    assert numbers(f"name = '{model}' and tags.good = 'yes'") == []


def test_prompts_are_kept_apart_from_models(client: MlflowClient) -> None:
    name = named("prompt")
    mlflow.register_prompt(name=name, template="Say {{word}}")
    assert mlflow.load_prompt(f"prompts:/{name}/1").template == "Say {{word}}"
    assert list(client.search_registered_models(f"name = '{name}'")) == []
    assert [each.name for each in client.search_prompts(f"name = '{name}'")] == [name]


def test_a_prompt_has_versions_and_an_alias_that_a_console_moves_and_the_client_follows(
    client: MlflowClient, url: str, tmp_path: Path
) -> None:
    """Made by MLflow's own client; looked at, promoted and rolled back by the console, over the protocol."""
    from backends.connect import connect
    from backends.contract import Mutation, Refused
    from backends.login import Login
    from console.promotion.promote import promote
    from console.promotion.prompts import text_of, variables_of
    from console.promotion.rollback import rollback

    name, ann = named("greet"), Mutation("ann@box", reason="because")
    for template in ("Say {{word}}", "Please say {{word}}", "Say {{word}} to {{whom}}"):
        mlflow.genai.register_prompt(name=name, template=template, commit_message="kinder")
    mlflow.genai.set_prompt_alias(name, alias="production", version=1)
    login = Login(env="MLFLOW_TRACKING_TOKEN") if "MLFLOW_TRACKING_TOKEN" in os.environ else Login()
    backend = connect("prompts", f"mlflow+{url}", sidecar=tmp_path / "sidecar", login=login)
    try:
        registry = backend.need("registry")
        assert name in [each.name for each in registry.page(kind="prompt", limit=1_000).items]
        assert name not in [each.name for each in registry.page(limit=1_000).items]
        found = registry.versions(name)
        assert [each.version for each in found.items] == ["3", "2", "1"]
        assert (text_of(found.items[0]), variables_of(found.items[0])) == ("Say {{word}} to {{whom}}", ("word", "whom"))
        assert (found.items[2].aliases, found.items[2].note) == (("production",), "kinder")
        with pytest.raises(Refused, match="adds whom"):
            promote(backend, name, "3", "production", ann, expected="1")
        promote(backend, name, "2", "production", ann, expected="1")
        assert mlflow.genai.load_prompt(f"prompts:/{name}@production").template == "Please say {{word}}"
        rollback(backend, name, "production", ann, expected="2")
        assert mlflow.genai.load_prompt(f"prompts:/{name}@production", cache_ttl_seconds=0).template == "Say {{word}}"
        assert [(move.version, move.actor) for move in registry.history(name, alias="production")][:2] == [
            ("1", "ann@box"), ("2", "ann@box"),
        ]  # fmt: skip
    finally:
        backend.close()


def test_a_chat_prompt_is_read_as_its_messages(client: MlflowClient, url: str, tmp_path: Path) -> None:
    from backends.connect import connect
    from backends.login import Login
    from console.promotion.prompts import text_of, type_of

    name = named("chat")
    said = [{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "{{question}}"}]
    mlflow.genai.register_prompt(name=name, template=said)
    login = Login(env="MLFLOW_TRACKING_TOKEN") if "MLFLOW_TRACKING_TOKEN" in os.environ else Login()
    backend = connect("prompts", f"mlflow+{url}", sidecar=tmp_path / "sidecar", login=login)
    try:
        found = backend.need("registry").version(name, "1")
        assert (type_of(found), text_of(found)) == ("chat", "system: Be {{mood}}.\n\nuser: {{question}}")
    finally:
        backend.close()


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("kind", ["linear", "tree"])
def test_a_logged_model_is_registered_aliased_and_loaded(client: MlflowClient, experiment: str, kind: str) -> None:
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(60, 3)), chance.integers(0, 2, 60)
    fitted = (LogisticRegression() if kind == "linear" else RandomForestClassifier(5)).fit(x, y)
    name = named()
    with mlflow.start_run(experiment_id=experiment) as run:
        info = mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name=name, serialization_format="cloudpickle", pip_requirements=[]
        )
    client.set_registered_model_alias(name, "champion", "1")
    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert (loaded.predict(x) == fitted.predict(x)).all()
    found = client.get_model_version(name, "1")
    assert (found.run_id, found.source) == (run.info.run_id, f"models:/{info.model_id}")
    model = client.get_logged_model(info.model_id)
    assert (model.status, model.source_run_id, model.name) == ("READY", run.info.run_id, "model")
    assert [out.model_id for out in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    assert mlflow.search_logged_models([experiment], output_format="list")[0].model_id == info.model_id


def test_logged_models_have_tags_params_metrics_and_an_end(client: MlflowClient, experiment: str, run: str) -> None:
    model = client.create_logged_model(experiment, name="check", source_run_id=run, params={"a": "1"}, tags={"t": "1"})
    assert (model.status, model.params) == ("PENDING", {"a": "1"})
    client.log_metric(run, "auc", 0.75, model_id=model.model_id, dataset_name="d", dataset_digest="x")
    client.set_logged_model_tags(model.model_id, {"u": "2"})
    client.delete_logged_model_tag(model.model_id, "t")
    client.finalize_logged_model(model.model_id, "READY")
    found = client.get_logged_model(model.model_id)
    assert (found.status, found.tags.get("u"), "t" in found.tags) == ("READY", "2", False)
    assert [(m.key, m.value, m.dataset_name, m.run_id) for m in found.metrics] == [("auc", 0.75, "d", run)]
    searched = client.search_logged_models([experiment], filter_string="metrics.auc > 0.5")
    assert [each.model_id for each in searched] == [model.model_id]
    assert list(client.search_logged_models([experiment], filter_string="name = 'other'")) == []
    client.delete_logged_model(model.model_id)
    assert list(client.search_logged_models([experiment])) == []


# ---------------------------------------------------------------- requests as such


def post(url: str, path: str, body: Any) -> tuple[int, Any]:
    import httpx

    answer = httpx.post(
        f"{url}/api/2.0/mlflow/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    )
    return answer.status_code, answer.json()


def raw(url: str, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Without a library that would tidy the path."""
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_numbers_may_come_as_texts_and_unknown_fields_are_passed_over(url: str, run: str) -> None:
    body = {"run_id": run, "key": "m", "value": "0.5", "timestamp": "17", "step": "3", "brand_new": {"x": 1}}
    status, answer = post(url, "runs/log-metric", body)
    assert status == 200, answer


def test_a_missing_field_is_named(url: str) -> None:
    status, answer = post(url, "experiments/create", {})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "name" in answer["message"]
