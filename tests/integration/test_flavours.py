"""The managed flavours, each before a real MLflow: who asks, which routes, what is lacking. See "
"`tests/flavour_server.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.connect import connect
from backends.contract import Backend, Conflict, Mutation, NotFound, Unauthorized, Unsupported
from backends.entities import ModelFile, RunStatus, Signature
from backends.login import Login
from backends.query import RUN_FIELDS, parse
from tests.flavour_server import (
    ACCESS,
    ARN,
    BEARER,
    CLIENT,
    CLIENT_SECRET,
    PASSWORD,
    SECRET,
    USER,
    FlavourServer,
)
from tests.mlflow_server import MlflowServer

ANN = Mutation("ann@box", reason="because")
FLAVOURS = ("sagemaker", "databricks", "unity-catalog", "azureml", "dagshub")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a cloud in the environment but what a test puts there."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DATABRICKS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("A_TOKEN", BEARER)
    monkeypatch.setenv("A_PASSWORD", PASSWORD)


@pytest.fixture
def serve(mlflow_server: MlflowServer) -> Iterator[Any]:
    running: list[FlavourServer] = []

    def start(flavour: str, **more: Any) -> FlavourServer:
        running.append(FlavourServer(mlflow_server.url, flavour, **more))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """A backend on a service."""
    made: list[Backend] = []

    def start(server: FlavourServer, **options: str) -> Backend:
        flavour = server.flavour
        login = {
            "sagemaker": Login(),
            "dagshub": Login(username=USER, env="A_PASSWORD"),
        }.get(flavour, Login(env="A_TOKEN"))
        told = {"flavor": flavour} | ({"arn": ARN} if flavour == "sagemaker" else {}) | options
        sidecar = tmp_path / f"sidecar{len(made)}"
        made.append(connect("prod", f"mlflow+{server.url}", sidecar=sidecar, login=login, options=told))
        return made[-1]

    yield start
    for each in made:
        each.close()


class Seeded:
    """What somebody made on the real server: three runs of an experiment, a file, a model of two versions."""

    def __init__(self, url: str) -> None:
        self._api = f"{url}/api/2.0/mlflow"
        word = uuid.uuid4().hex[:12]
        self.experiment = f"/Users/ann/{word}"
        number = self.ask("experiments/create", name=self.experiment)["experiment_id"]
        runs = [
            self.ask("runs/create", experiment_id=number, start_time=at)["run"]["info"] for at in (1000, 2000, 3000)
        ]
        self.runs = [each["run_id"] for each in reversed(runs)]  # newest first
        place = runs[2]["artifact_uri"].removeprefix("mlflow-artifacts:")
        for name in ("notes.txt", "plots/a b+é.txt"):
            files = f"{url}/api/2.0/mlflow-artifacts/artifacts{place}/{name}"
            assert httpx.put(files, content=f"of {name}".encode(), timeout=60).status_code == 200
        self.model = f"main.{word}.churn"
        self.ask("registered-models/create", name=self.model)
        for _ in range(2):
            self.ask("model-versions/create", name=self.model, source=runs[2]["artifact_uri"], run_id=self.runs[0])

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self._api}/{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def seeded(mlflow_server: MlflowServer) -> Seeded:
    return Seeded(mlflow_server.url)


def of(seeded: Seeded) -> Any:
    return parse(f"experiment = '{seeded.experiment}'", RUN_FIELDS)


# ---------------------------------------------------------------- every flavour


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_service_is_opened_listed_and_promoted_on_or_says_why_not(
    flavour: str, serve: Any, opened: Any, seeded: Seeded
) -> None:
    service = serve(flavour)
    backend = opened(service)
    runs = backend.need("runs")
    first = runs.page(of(seeded), limit=2)
    assert [run.id for run in first.items] == seeded.runs[:2]
    assert [run.id for run in runs.page(of(seeded), limit=2, at=first.next).items] == seeded.runs[2:]
    assert runs.count(of(seeded)).value == 3
    made = runs.create(name="mine", experiment=seeded.experiment, mutation=ANN)
    runs.start(made.id)
    runs.end(made.id, RunStatus.FINISHED)
    runs.delete(made.id, ANN)

    registry = backend.need("registry")
    assert seeded.model in {model.name for model in registry.page(limit=1000).items}
    versions = registry.versions(seeded.model).items
    assert [(version.version, version.run) for version in versions] == [("2", seeded.runs[0]), ("1", seeded.runs[0])]
    alias = f"a{uuid.uuid4().hex[:8]}"
    if "aliases" in backend.missing:
        with pytest.raises(Unsupported, match="take flavor unity-catalog"):
            registry.set_alias(seeded.model, alias, "1", expected=None, mutation=ANN)
        assert not [each for each in service.asked if each.path.endswith("registered-models/alias")]
    else:
        registry.set_alias(seeded.model, alias, "1", expected=None, mutation=ANN)
        registry.set_alias(seeded.model, alias, "2", expected="1", mutation=Mutation("bob@box", reason="better"))
        with pytest.raises(Conflict):
            registry.set_alias(seeded.model, alias, "1", expected="1", mutation=ANN)
        assert registry.get(seeded.model).aliases[alias] == "2"
        listed = {model.name: model for model in registry.page(limit=1000).items}[seeded.model]
        assert (listed.aliases[alias], listed.latest, listed.versions) == ("2", "2", 2)
        other = opened(service)
        assert [
            (m.actor, m.previous, m.version) for m in other.need("registry").history(seeded.model, alias=alias)
        ] == [
            ("bob@box", "1", "2"),
            ("ann@box", None, "1"),
        ]
        registry.set_alias(seeded.model, alias, None, expected="2", mutation=ANN)
    for what, change in (
        ("rename", lambda: registry.rename(seeded.model, seeded.model + "2", ANN)),
        ("delete", lambda: registry.delete(seeded.model, ANN)),
        ("register", lambda: register(registry, seeded)),
    ):
        if what in backend.missing:
            with pytest.raises(Unsupported, match=what):
                change()
    assert backend.changed() is not None
    assert backend.runs.page(of(seeded)).items


def register(registry: Any, seeded: Seeded) -> None:
    registry.register(seeded.model, run=seeded.runs[0], file=ModelFile(), signature=Signature(), mutation=ANN)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_files_are_read_and_written_or_it_is_said_where_they_are(
    flavour: str, serve: Any, opened: Any, seeded: Seeded, tmp_path: Path
) -> None:
    service = serve(flavour)
    backend = opened(service)
    if "artifacts" in backend.missing:
        assert backend.artifacts is None
        assert "az ml job download" in backend.missing["artifacts"]
        return
    artifacts = backend.need("artifacts")
    run = seeded.runs[0]
    assert {"notes.txt", "plots/a b+é.txt"} <= {each.path for each in artifacts.list(run)}
    assert artifacts.open(run, "plots/a b+é.txt").read_text() == "of plots/a b+é.txt"
    name = f"up/{uuid.uuid4().hex}.bin"
    mine = tmp_path / "mine.bin"
    mine.write_bytes(b"\x00\x01" * 1_500_000)
    artifacts.put(run, name, mine)
    assert artifacts.open(run, name).read_bytes() == mine.read_bytes()
    assert artifacts.verify(run, name)
    with pytest.raises(NotFound):
        artifacts.open(run, "no/such.txt")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_who_is_not_known_is_told_what_to_look_at(
    flavour: str, serve: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened(serve(flavour))
    for name in ("A_TOKEN", "A_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "wr0ng")
    with pytest.raises(Unauthorized, match=r"secret key|login|token or password") as caught:
        backend.need("runs").page(limit=1)
    assert "wr0ng" not in str(caught.value)


# ---------------------------------------------------------------- SageMaker


def test_files_in_a_bucket_are_read_written_and_removed_with_the_same_keys(
    serve: Any, opened: Any, seeded: Seeded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve("sagemaker", bucket=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", service.root)
    artifacts = opened(service).need("artifacts")
    run = seeded.runs[0]
    assert artifacts.open(run, "plots/a b+é.txt").read_text() == "of plots/a b+é.txt"
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    artifacts.put(run, "mine (1).txt", mine)
    assert artifacts.open(run, "mine (1).txt").read_text() == "mine"
    artifacts.remove(run, "mine (1).txt", ANN)
    with pytest.raises(NotFound):
        artifacts.open(run, "mine (1).txt")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wr0ng")
    with pytest.raises(Unauthorized, match="secret key"):
        opened(service).need("artifacts").open(run, "notes.txt")


def test_a_clock_that_is_off_is_told_by_how_much(serve: Any, opened: Any) -> None:
    service = serve("sagemaker")
    service.now = lambda: time.time() - 20 * 60
    with pytest.raises(Unauthorized, match="clock is 20 minutes ahead"):
        opened(service).need("runs").page(limit=1)


def test_keys_that_ended_are_looked_for_again(
    serve: Any, opened: Any, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import flavour_server

    service = serve("sagemaker")
    backend = opened(service)
    backend.need("runs").page(of(seeded), limit=1)
    ended = flavour_server.Answer(
        403,
        b'{"message":"The security token included in the request is expired"}',
        {"x-amzn-ErrorType": "ExpiredToken"},
    )
    whole = flavour_server.verify
    answers = iter([ended])
    monkeypatch.setattr(flavour_server, "verify", lambda *asked: next(answers, None) or whole(*asked))
    found: list[int] = []
    from backends.mlflow import aws

    find = aws.find
    monkeypatch.setattr(aws, "find", lambda profile: found.append(1) or find(profile))
    assert backend.need("runs").page(of(seeded), limit=1).items
    assert found == [1]


# ---------------------------------------------------------------- Databricks


def profile(tmp_path: Path, text: str) -> None:
    (tmp_path / ".databrickscfg").write_text(text)


def test_a_profile_says_where_and_who(serve: Any, seeded: Seeded, tmp_path: Path) -> None:
    service = serve("databricks")
    profile(
        tmp_path,
        f"[DEFAULT]\nhost = https://elsewhere.example\ntoken = no\n[team]\nhost = {service.root}/\ntoken = {BEARER}\n",
    )
    backend = connect("prod", "mlflow+databricks://team", sidecar=tmp_path / "sidecar")
    assert backend.url == service.root
    assert len(backend.need("runs").page(of(seeded), limit=2).items) == 2
    assert backend.tracking is not None
    child = backend.tracking("")
    assert (child["DATABRICKS_HOST"], child["DATABRICKS_TOKEN"]) == (service.root, BEARER)
    assert child["MLFLOW_TRACKING_URI"] == "databricks"
    backend.close()


def test_a_service_principal_gets_a_token_and_a_new_one_when_it_ends(
    serve: Any, seeded: Seeded, tmp_path: Path
) -> None:
    service = serve("unity-catalog")
    profile(tmp_path, f"[ci]\nhost = {service.root}\nclient_id = {CLIENT}\nclient_secret = {CLIENT_SECRET}\n")
    backend = connect("prod", "mlflow+databricks-uc://ci", sidecar=tmp_path / "sidecar")
    assert backend.need("registry").get(seeded.model).name == seeded.model
    assert backend.need("runs").page(of(seeded), limit=2).items
    assert service.tokens == 1
    backend.close()
    profile(tmp_path, f"[ci]\nhost = {service.root}\nclient_id = {CLIENT}\nclient_secret = wr0ng\n")
    backend = connect("prod", "mlflow+databricks-uc://ci", sidecar=tmp_path / "sidecar2")
    with pytest.raises(Unauthorized, match="profile ci") as caught:
        backend.need("registry").get(seeded.model)
    assert "wr0ng" not in str(caught.value)
    backend.close()


AS_DATABRICKS = """
import sys
from mlflow import MlflowClient
run, model = sys.argv[1:]
client = MlflowClient()
assert open(client.download_artifacts(run, "notes.txt")).read() == "of notes.txt"
experiment = client.get_run(run).info.experiment_id
first = client.search_runs([experiment], max_results=2)
assert len(first) == 2 and len(client.search_runs([experiment], max_results=2, page_token=first.token)) >= 1
if model:
    assert model in {each.name for each in client.search_registered_models()}
    client.set_registered_model_alias(model, "theirs", 2)
    assert client.get_model_version_by_alias(model, "theirs").version == "2"
    assert [each.version for each in client.search_model_versions(f"name='{model}'")] == ["2", "1"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["databricks", "unity-catalog"])
def test_mlflows_own_client_takes_the_fake_for_the_service(
    flavour: str, serve: Any, opened: Any, seeded: Seeded, tmp_path: Path
) -> None:
    service = serve(flavour)
    ours = opened(service).need("registry")
    unity = flavour == "unity-catalog"
    ours.get(seeded.model)
    env = os.environ | {
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc" if unity else "databricks",
        "DATABRICKS_HOST": service.root,
        "DATABRICKS_TOKEN": BEARER,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-c", AS_DATABRICKS, seeded.runs[0], seeded.model if unity else ""]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    if unity:
        assert ours.get(seeded.model).aliases["theirs"] == "2"
        assert [move.actor for move in ours.history(seeded.model, alias="theirs")] == ["somebody else"]


def test_the_token_goes_to_no_storage(serve: Any, opened: Any, seeded: Seeded) -> None:
    service = serve("databricks")
    opened(service).need("artifacts").open(seeded.runs[0], "notes.txt")
    stored = [each for each in service.asked if each.path.startswith("/storage/")]
    assert len(stored) == 1
    assert not stored[0].headers.get("authorization")


# ---------------------------------------------------------------- from the command line


def test_a_server_is_added_tested_and_listed_by_the_command_line(serve: Any, seeded: Seeded, tmp_path: Path) -> None:
    service = serve("sagemaker")
    env = os.environ | {
        "MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TERM": "dumb",
    }

    def console(*words: str, **more: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "console.launch", *words]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout, done.stderr

    add = ("context", "add", "prod", service.url, "--flavor", "sagemaker")
    code, _, said = console(*add)
    assert (code, "which SageMaker server" in said) == (2, True)
    code, _, said = console(*add, "--option", f"arn={ARN}", "--option", "flavor=oss")
    assert (code, "say two things" in said) == (2, True)
    code, _, said = console(*add, "--option", f"arn={ARN}", AWS_SECRET_ACCESS_KEY="wr0ng")
    assert (code, "secret key" in said, "wr0ng" in said) == (4, True, False)
    assert not (tmp_path / "config.toml").exists()
    code, _, said = console(*add, "--option", f"arn={ARN}", "--use")
    assert code == 0, said
    assert SECRET not in (tmp_path / "config.toml").read_text()
    code, told, said = console("model", "versions", seeded.model, "--json")
    assert (code, '"version": "2"' in told or '"version":"2"' in told) == (0, True), said
    code, told, _ = console("context", "test", "--json")
    assert (code, '"registry": true' in told or '"registry":true' in told) == (0, True)
    databricks = serve("databricks")
    code, _, said = console("context", "add", "db", databricks.url, "--flavor", "databricks", "--token-env", "A_TOKEN")
    assert (code, "without aliases: " in said, "flavor unity-catalog" in said) == (0, True, True)
    code, _, said = console("--context", "db", "model", "promote", seeded.model, "1")
    assert (code, "unity-catalog" in said) == (1, True), said
