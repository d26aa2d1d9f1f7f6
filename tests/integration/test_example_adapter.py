"""The worked example of `Plug in a backend`: a package of somebody else's, installed beside the console and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="the example reads YAML; PyYAML comes with the test extra")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_adapter"
VERSIONS = {"churn": ["3vl5n7qk", "b2qk7x1a", "zz91mmqo"], "fraud": ["aa00bb11"]}


def install(target: Path) -> None:
    """What an installer does with a package of one module: the module, and what its metadata says of entry points."""
    said = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    (target / "bento_adapter.py").write_text((EXAMPLE / "bento_adapter.py").read_text())
    info = target / f"{said['name'].replace('-', '_')}-{said['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in said["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


def a_store(folder: Path) -> Path:
    """As `bentoml models` leaves it."""
    store = folder / "bentoml" / "models"
    for model, versions in VERSIONS.items():
        for day, version in enumerate(versions, start=1):
            home = store / model / version
            home.mkdir(parents=True)
            (home / "model.yaml").write_text(
                f"name: {model}\nversion: {version}\nmodule: bentoml.sklearn\nlabels:\n  team: red\noptions: {{}}\n"
                f"metadata:\n  auc: 0.7{day}\ncontext:\n  framework_name: sklearn\napi_version: v1\n"
                f"creation_time: '2026-11-0{day}T05:04:24.573158+00:00'\n"
            )
            (home / "saved_model.pkl").write_bytes(b"model")
        (store / model / "latest").write_text(versions[-1])
    return store


class Console:
    """The real program, in processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.packages = folder / "site"
        self.packages.mkdir()
        install(self.packages)
        self.env = os.environ | {
            "PYTHONPATH": f"{self.packages}{os.pathsep}{ROOT}",
            "MLOPS_CONSOLE_CONFIG": str(folder / "config.toml"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def __call__(self, *args: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "console.cli.main", *args],
            env=self.env, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Console:
    console = Console(tmp_path_factory.mktemp("console"))
    code, _, said = console("context", "add", "bento", f"bento+file://{store}", "--use")
    assert code == 0, said
    return console


def test_it_keeps_what_an_adapter_promises(console: Console) -> None:
    code, told, said = console("context", "test", "bento", "--json")
    assert code == 0, told + said
    checks = json.loads(told)["checks"]
    assert [each["promise"] for each in checks if each["verdict"] == "wrong"] == []
    seen = {each["promise"] for each in checks if each["verdict"] == "ok"}
    assert "@alias is the version that the model's aliases name" in seen
    assert "pages hold each of the versions of a model once, in one order" in seen
    assert json.loads(told)["missing"]["aliases but latest"] == "BentoML knows no other"


def test_its_models_are_listed_and_shown(console: Console) -> None:
    code, told, said = console("model", "list", "--json")
    assert code == 0, said
    assert [each["name"] for each in json.loads(told)["items"]] == ["churn", "fraud"]
    code, told, _ = console("model", "versions", "churn", "--json")
    assert [each["version"] for each in json.loads(told)["items"]] == VERSIONS["churn"][::-1]
    assert (code, console("run", "list", "--json")[0]) == (0, 0)


def test_latest_moves_and_is_written_down(console: Console, store: Path) -> None:
    first, _, third = VERSIONS["churn"]
    code, _, said = console("model", "promote", "churn", first, "--alias", "latest", "--reason", "the newest is slow")
    assert code == 0, said
    assert (store / "churn" / "latest").read_text() == first
    code, told, _ = console("model", "history", "churn", "--json")
    (move,) = json.loads(told)["items"]
    assert (code, move["version"], move["previous"], move["reason"]) == (0, first, third, "the newest is slow")
    code, _, said = console("model", "promote", "churn", first, "--alias", "champion")
    assert (code, "one alias, latest" in said) == (1, True), said
    assert console("journal", "verify")[0] == 0


def test_a_store_that_is_away_is_exit_3(console: Console, tmp_path: Path) -> None:
    code, _, said = console("context", "add", "gone", f"bento+file://{tmp_path}/nowhere", "--no-test")
    assert code == 0, said
    code, _, said = console("context", "test", "gone")
    assert (code, "is the disk there?" in " ".join(said.split())) == (3, True), said
