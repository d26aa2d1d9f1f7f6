"""Registries in git for tests: repositories, and what is done to them through the console. A test file that imports a
fixture of this lists it in `__all__`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.connect import connect
from backends.contract import Backend, Conflict, ModelRegistry, Mutation
from backends.entities import ModelFile, Signature

ANN, BOB = Mutation("ann@box", reason="because"), Mutation("bob@box", reason="why not")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def shown(folder: Path, *words: str) -> Any:
    command = [Path(sys.executable).with_name("gto"), *words, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def bare(folder: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a work tree and one commit, as a team has it."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Gus Tagger")
    git(folder, "config", "user.email", "gus@team")
    (folder / "models").mkdir()
    (folder / "models" / "fraud.pkl").write_bytes(b"pickled")
    (folder / "artifacts.yaml").write_text("# ours\nfraud:\n  type: model\n  path: models/fraud.pkl\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Open contexts on a url, each with a sidecar of its own."""
    backends: list[Backend] = []

    def open_(url: str, name: str = "git", **options: str) -> Backend:
        made = connect(name, url, sidecar=tmp_path / f"sidecar-{name}", options=options)
        backends.append(made)
        return made

    yield open_
    for each in backends:
        each.close()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of ssh: a program that runs git's own server here, for as long as a file says that the host is up."""
    up = tmp_path / "up"
    up.touch()
    program = tmp_path / "ssh"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\n[ -e "{up}" ] || {{ echo "ssh: connect to host git.test port 22: '
        'Connection refused" >&2; exit 255; }\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    return up


def registry_of(backend: Backend) -> ModelRegistry:
    assert backend.registry is not None
    return backend.registry


def register(backend: Backend, model: str = "churn", mutation: Mutation = ANN) -> str:
    file = ModelFile(sha256="a" * 64)
    made = registry_of(backend).register(model, run="r1", file=file, signature=Signature(), mutation=mutation)
    return made.version


def move(backend: Backend, version: str | None, expected: str | None, who: Mutation = ANN, alias: str = "prod") -> None:
    registry_of(backend).set_alias("churn", alias, version, expected=expected, mutation=who)


def actions(backend: Backend) -> list[tuple[str, str, str, str]]:
    """(what, on what, by whom, why) of the whole journal."""
    assert backend.journal is not None
    found = backend.journal.page(limit=500).items
    return sorted((entry.action, entry.target, entry.actor, entry.reason) for entry in found)


def promote_at_once(ann: Backend, bob: Backend) -> str:
    """Both move prod away from 0.0.1, ann to 0.0.2 and bob to 0.0.3: what won. The other is told who was first."""
    ready, told = threading.Barrier(2), []

    def promote(backend: Backend, version: str, who: Mutation) -> None:
        ready.wait()
        try:
            move(backend, version, "0.0.1", who)
            told.append((version, ""))
        except Conflict as lost:
            told.append((version, str(lost)))

    threads = [threading.Thread(target=promote, args=each) for each in ((ann, "0.0.2", ANN), (bob, "0.0.3", BOB))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [version for version, error in told if not error]
    (lost,) = [error for _, error in told if error]
    assert f"moved from v0.0.1 to v{won} by {'ann' if won == '0.0.2' else 'bob'}@box at 20" in lost
    return won
