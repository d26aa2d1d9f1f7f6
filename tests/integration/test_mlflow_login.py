"""Who we are, to a real MLflow server that asks: passwords from three places, missing rights, and no secret seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backends.connect import connect
from backends.contract import Backend, Mutation, Unauthorized
from backends.entities import ModelFile, Outcome, Signature
from backends.login import Login
from tests.mlflow_server import MlflowServer, start_mlflow

pytest.importorskip("flask_wtf", reason="mlflow's login needs mlflow[auth]")

ANN = Mutation("ann@box", reason="because")
NO_READING = f"hunter{uuid.uuid4().hex}"
"""Of these tests alone: what runs beside them may show secrets of its own."""
ADMIN, READER = f"admin-{NO_READING}-pass", f"reader-{NO_READING}-pass"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """With an admin, a reader who may look at everything and change nothing, and a model of two versions."""
    folder = tmp_path_factory.mktemp("mlflow-login")
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\nadmin_username = admin\n"
        "auth_cache_ttl_seconds = 600\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key-for-tests",
    }
    found = start_mlflow(folder, "--app-name", "basic-auth", env=env)
    body = {"username": "reader", "password": READER}
    made = httpx.post(f"{found.url}/api/2.0/mlflow/users/create", json=body, auth=("admin", ADMIN), timeout=60)
    assert made.status_code == 200, made.text
    yield found
    found.stop()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(ADMIN + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def model(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("admin")
    (folder / "secret").write_text(ADMIN)
    (folder / "secret").chmod(0o600)
    admin = opened(server, folder, Login(username="admin", file=str(folder / "secret")))
    run = admin.need("runs").create(name="trained", mutation=ANN).id
    for _ in range(2):
        admin.need("registry").register("churn", run=run, file=ModelFile(), signature=Signature(), mutation=ANN)
    admin.close()
    return "churn"


def opened(server: MlflowServer, folder: Path, login: Login) -> Backend:
    return connect("prod", f"mlflow+{server.url}", sidecar=folder / "side", login=login)


def written(folder: Path) -> list[Path]:
    """Files that hold a secret, but for those that are its place."""
    files = [each for each in folder.rglob("*") if each.is_file() and each.name != "secret"]
    return [each for each in files if NO_READING.encode() in each.read_bytes()]


# ---------------------------------------------------------------- the three places


@pytest.mark.parametrize("place", ["file", "env", "command"])
def test_a_password_comes_from_its_place_and_goes_nowhere_else(
    server: MlflowServer, model: str, secret: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_PASSWORD", ADMIN)
    where = {"file": str(secret), "env": "THE_PASSWORD", "command": f"cat {secret}"}[place]
    admin = opened(server, tmp_path, Login(username="admin", **{place: where}))
    registry = admin.need("registry")
    held = registry.get(model).aliases.get("champion")
    wanted = "2" if held == "1" else "1"
    registry.set_alias(model, "champion", wanted, expected=held, mutation=ANN)
    assert registry.get(model).aliases["champion"] == wanted
    assert NO_READING not in repr(admin) + repr(admin.need("journal").page().items)
    admin.close()
    assert written(tmp_path) == []


def test_a_wrong_password_is_told_and_nothing_of_it(server: MlflowServer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"wrong-{NO_READING}")
    (tmp_path / "secret").chmod(0o600)
    wrong = opened(server, tmp_path, Login(username="admin", file=str(tmp_path / "secret")))
    for act in (
        lambda: wrong.need("runs").page(limit=5),
        lambda: wrong.need("registry").create("m", ANN),
        lambda: wrong.need("artifacts").open("0" * 32, "a.txt"),
    ):
        with pytest.raises(Unauthorized, match=r"\(401\); see that the context's token or password is right") as caught:
            act()
        assert NO_READING not in "".join(traceback.format_exception(caught.value))
    (tmp_path / "secret").write_text(ADMIN)
    assert wrong.need("runs").page(limit=5).items is not None, "a password that was mended is taken up by itself"
    wrong.close()


def test_who_may_only_read_is_refused_a_move_with_the_reason(server: MlflowServer, model: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(READER)
    (tmp_path / "secret").chmod(0o600)
    reader = opened(server, tmp_path, Login(username="reader", file=str(tmp_path / "secret")))
    registry = reader.need("registry")
    before = registry.get(model).aliases
    with pytest.raises(Unauthorized, match=r"forbids it \(403\).*ask its admin for the right"):
        registry.set_alias(model, "challenger", "1", expected=None, mutation=ANN)
    assert registry.get(model).aliases == before
    ended = [each for each in reader.need("journal").page().items if each.target == model]
    assert [each.outcome for each in ended] == [Outcome.FAILED, Outcome.INTENT]
    assert "403" in ended[0].detail
    with pytest.raises(Unauthorized):
        registry.register(model, run="", file=ModelFile(), signature=Signature(), mutation=ANN)
    assert registry.history(model, alias="challenger") == ()
    reader.close()


# ---------------------------------------------------------------- the command line


def shell(server: MlflowServer, folder: Path, login: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run it, and look at the command lines of all processes meanwhile: the secret is in none."""
    config = folder / "config.toml"
    config.write_text(f'[contexts.prod]\nregistry = "mlflow+{server.url}"\nworkspace = "{folder}/side"\n{login}\n')
    env = {
        **os.environ,
        "MLOPS_CONSOLE_CONFIG": str(config),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "MLOPS_CONSOLE_TRACEBACK": "1",
    }
    command = [sys.executable, "-m", "console.launch", "--context", "prod", *args]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < until:
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    assert NO_READING.encode() not in each.read_bytes()
                except OSError:
                    pass
            time.sleep(0.05)
        out, err = process.communicate(timeout=60)
    assert NO_READING not in out + err
    assert "Traceback" not in err
    assert written(folder) == []
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_the_command_line_shows_no_secret_and_leaves_with_the_right_code(
    server: MlflowServer, model: str, secret: Path, tmp_path: Path
) -> None:
    command = f'username = "admin"\ntoken_command = "cat {secret}"'
    done = shell(server, tmp_path, command, "model", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert model in [each["name"] for each in json.loads(done.stdout)["items"]]
    secret.write_text(f"wrong-{NO_READING}")
    done = shell(server, tmp_path, f'username = "admin"\ntoken_file = "{secret}"', "run", "list", "--json")
    assert (done.returncode, json.loads(done.stderr)["error"]["kind"]) == (4, "Unauthorized")
    secret.write_text(READER)
    reader = f'username = "reader"\ntoken_file = "{secret}"'
    words = ("model", "promote", model, "1", "--alias", "challenger", "--override", "--reason", "a try")
    done = shell(server, tmp_path, reader, *words)
    assert done.returncode == 4, done.stderr
    assert "403" in done.stderr
    assert "ask its admin" in done.stderr
