"""One suite for every adapter: each test here takes `backend` and says what the contract promises, whoever keeps it.

Another adapter joins with one row in `ADAPTERS`. A test that needs what an adapter says it lacks is skipped, with the
reason. `mlflow` is our client on a real MLflow server, each test in a workspace of its own (its rows are in SQLite, or
where `CONTRACT_MLFLOW_STORE` says, `postgresql+psycopg://…`); `own` is our client on our own server; `oci` is a
container registry.
"""

from __future__ import annotations

import os
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.contract import Backend, Mutation
from backends.local import open_local
from backends.login import Login
from tests.mlflow_server import MlflowServer, start_mlflow
from tests.oci_server import OciServer
from tests.protocol_server import TOKEN, start_own


def _local(request: pytest.FixtureRequest, folder: Path) -> Backend:
    return open_local(folder / "workspace")


def _mlflow(request: pytest.FixtureRequest, folder: Path) -> Backend:
    server: MlflowServer = request.getfixturevalue("workspaces_server")
    name = f"w{uuid.uuid4().hex[:20]}"
    body = f'{{"name": "{name}"}}'.encode()
    ask = urllib.request.Request(
        f"{server.url}/api/3.0/mlflow/workspaces", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(ask, timeout=30) as answer:
        assert answer.status == 201
    return connect("remote", f"mlflow+{server.url}", sidecar=folder / "sidecar", options={"workspace": name})


def _gto(request: pytest.FixtureRequest, folder: Path) -> Backend:
    """Models in a repository that everybody pushes to; each version is a major one, so that they are 1, 2, 3."""
    subprocess.run(["git", "init", "--quiet", "--bare", folder / "models.git"], check=True)
    url = f"gto+file://{folder / 'models.git'}"
    return connect("git", url, sidecar=folder / "sidecar", options={"bump": "major"})


def _own(request: pytest.FixtureRequest, folder: Path) -> Backend:
    """Our client on our own server, over an embedded store."""
    server = start_own(folder / "served")
    request.addfinalizer(server.stop)
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    return connect("own", f"mlflow+{server.url}", sidecar=folder / "sidecar", login=Login(file=str(token)))


def _oci(request: pytest.FixtureRequest, folder: Path) -> Backend:
    """A real container registry, each test under a prefix of its own."""
    server: OciServer = request.getfixturevalue("container_registry")
    return connect("oci", f"oci+{server.url}/t{uuid.uuid4().hex[:20]}", sidecar=folder / "sidecar")


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest, Path], Backend]] = {
    "gto": _gto,
    "local": _local,
    "mlflow": _mlflow,
    "oci": _oci,
    "own": _own,
}


MODELS_ALONE = ("oci",)


@pytest.fixture(scope="session")
def workspaces_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server with workspaces, so that every test has an empty one."""
    store = os.environ.get("CONTRACT_MLFLOW_STORE", "")
    server = start_mlflow(tmp_path_factory.mktemp("workspaces"), "--enable-workspaces", store=store)
    yield server
    server.stop()


@pytest.fixture(params=sorted(ADAPTERS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    beside = request.node.get_closest_marker("kept_here")
    if beside and request.param != "local":
        pytest.skip(f"{request.param} takes it from the sidecar, which is the local adapter")
    if request.param in MODELS_ALONE and "registry" not in request.fixturenames:
        pytest.skip(f"{request.param} keeps models alone; all else is the sidecar's, which is the local adapter")
    made = ADAPTERS[request.param](request, tmp_path)
    wanted = request.node.get_closest_marker("needs")
    for capability in wanted.args if wanted else ():
        if getattr(made, capability) is None:
            made.close()
            pytest.skip(f"{request.param} has no {capability}: {made.missing.get(capability, 'not offered')}")
    yield made
    made.close()


@pytest.fixture
def ann() -> Mutation:
    return Mutation("ann@box", reason="because")


@pytest.fixture
def bob() -> Mutation:
    return Mutation("bob@box", reason="why not")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): what of a backend the test is about")
    config.addinivalue_line("markers", "kept_here: remote adapters have it from their sidecar")
