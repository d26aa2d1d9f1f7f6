"""Models in git: what `gto` writes and what the console writes are one registry."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from gto import api as gto

from backends.contract import (
    BackendError,
    Invalid,
    Mutation,
    NotFound,
    Refused,
)
from tests.gto_world import ANN, git, move, opened, register, registry_of, repo, shown

__all__ = ["opened", "repo"]


def _next_second() -> None:
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


def test_gto_reads_what_the_console_writes(repo: Path, opened: Any) -> None:
    before = git(repo, "rev-parse", "HEAD")
    backend = opened(f"gto+file://{repo}")
    assert [register(backend) for _ in range(3)] == ["0.0.1", "0.0.2", "0.0.3"]
    move(backend, "0.0.1", None)
    move(backend, "0.0.2", "0.0.1", Mutation("bob@box", reason="auc 0.81 → 0.83"))
    move(backend, "0.0.1", "0.0.2", Mutation("bob@box", reason="the feed broke", action="model.rollback"))
    move(backend, "0.0.3", None, alias="canary")
    registry_of(backend).delete_version("churn", "0.0.3", ANN)
    told = shown(repo, "show")["churn"]  # the program itself; the rest by its library, which is quicker
    assert (told["version"], told["stage"]) == ("v0.0.2", {"prod": "v0.0.1"})
    events = [each for each in gto.history(repo, "churn") if each["stage"] == "prod"]
    newest = {(each["event"], each["version"], each["author"], each["author_email"]) for each in events[:2]}
    assert newest == {
        ("assignment", "v0.0.1", "bob", "bob@box"),
        ("unassignment", "v0.0.2", "bob", "bob@box"),
    }
    assert events[0]["message"].startswith("the feed broke\n")
    described = gto.describe(repo, "churn", "churn@v0.0.1")
    assert described is not None
    assert (described.type, described.path) == ("model", "models/churn")
    assert gto.describe(repo, "fraud", "churn@v0.0.1").path == "models/fraud.pkl"
    # Nothing of the person's own is touched: neither branch, nor index, nor work tree.
    assert (git(repo, "rev-parse", "HEAD"), git(repo, "status", "--porcelain")) == (before, "")
    assert git(repo, "branch", "--all") == "* main"
    assert "# ours" in git(repo, "show", "churn@v0.0.1:artifacts.yaml")
    assert register(backend) == "0.0.4"  # a number is not used again
    gto.register(repo, "churn", "HEAD")
    assert registry_of(backend).get("churn").latest == "0.0.5"


def test_the_console_reads_what_gto_writes(repo: Path, opened: Any) -> None:
    backend = opened(f"gto+file://{repo}")
    registry, journal = registry_of(backend), backend.journal
    assert journal is not None
    gto.register(repo, "fraud", "HEAD", message="the first that is any good")
    (found,) = registry.versions("fraud").items
    assert (found.version, found.created_by, found.note) == ("0.0.1", "gus@team", "the first that is any good")
    assert (found.file.path, found.file.format, found.file.bytes) == ("models/fraud.pkl", "pickle", 7)
    assert backend.artifacts is not None
    assert backend.artifacts.open(found.file.owner, found.file.path).read_bytes() == b"pickled"
    gto.assign(repo, "fraud", "prod", version="v0.0.1")
    assert registry.version("fraud", "@prod").version == "0.0.1"
    registry.set_tags("fraud", "0.0.1", {"team": "red"}, ANN)
    assert (registry.version("fraud", "0.0.1").note, registry.get("fraud").tags) == (found.note, {})
    _next_second()  # gto puts tags of one second in no order
    gto.unassign(repo, "fraud", version="v0.0.1", stage="prod")
    assert registry.get("fraud").aliases == {}
    told = [(each.alias, each.previous, each.version, each.actor) for each in registry.history("fraud")]
    assert told == [("prod", "0.0.1", None, "gus@team"), ("prod", None, "0.0.1", "gus@team")]
    gto.deregister(repo, "fraud", version="v0.0.1")
    with pytest.raises(NotFound, match="it was there, and was taken away"):
        registry.version("fraud", "0.0.1")
    _next_second()
    gto.deprecate(repo, "fraud")
    assert [model.name for model in registry.page().items] == []
    entries = {(entry.action, entry.target, entry.actor) for entry in journal.page().items}
    assert entries == {
        ("model.register", "fraud@0.0.1", "gus@team"),
        ("model.promote", "fraud", "gus@team"),
        ("model.tag", "fraud@0.0.1", "ann@box"),
        ("model.unalias", "fraud", "gus@team"),
        ("model.delete_version", "fraud@0.0.1", "gus@team"),
        ("model.delete", "fraud", "gus@team"),
    }
    assert journal.page().items[0].detail.startswith("by git tag fraud@deprecated")
    assert journal.verify() == (6, "")


def test_other_tags_are_left_alone(repo: Path, opened: Any) -> None:
    """Lightweight ones, hostile names, tags of trees, and messages that only look like ours."""
    backend = opened(f"gto+file://{repo}")
    register(backend)
    git(repo, "tag", "churn@v9.0.0")
    git(repo, "tag", "churn#prod#7")
    git(repo, "tag", "-a", "-m", "x", "]red]@v1.0.0")
    git(repo, "tag", "-a", "-m", "x", "release-2024")
    git(repo, "tag", "-a", "-m", "x", "tree@v1.0.0", "HEAD^{tree}")
    git(repo, "tag", "-a", "-m", "mlops-console: {]", "odd@v1.0.0")
    long = "n" * 200
    git(repo, "tag", "-a", "-m", "[/red]\x1b[31m", f"{long}@v1.0.0")
    name = b"refs/tags/caf\xe9@v1.0.0"
    subprocess.run(["git", "-C", repo, "update-ref", name, git(repo, "rev-parse", "odd@v1.0.0")], check=True)
    models = {model.name: model.latest for model in registry_of(backend).page().items}
    assert models == {"churn": "0.0.1", "odd": "1.0.0", long: "1.0.0"}
    for wrong in ("a b", "é", "-x", "a..b", "a/", "x" * 300, "a.lock", "[/red]", "a@v1.0.0", "a#b"):
        with pytest.raises(Invalid, match="nothing was changed"):
            registry_of(backend).create(wrong, ANN)
        with pytest.raises(Invalid, match="nothing was changed"):
            move(backend, "0.0.1", None, alias=wrong)


def test_stages_are_those_that_the_repository_names(repo: Path, opened: Any) -> None:
    (repo / ".gto").write_text("stages: [dev, prod]\n")
    git(repo, "add", ".gto")
    git(repo, "commit", "--quiet", "--message=stages")
    backend = opened(f"gto+file://{repo}")
    register(backend)
    with pytest.raises(Invalid, match=r"dev, prod, and champion is none"):
        move(backend, "0.0.1", None, alias="champion")
    move(backend, "0.0.1", None)


def test_what_cannot_be_opened_is_said(tmp_path: Path, opened: Any) -> None:
    (tmp_path / "plain").mkdir()
    for url, kind, words in (
        (f"gto+file://{tmp_path}/none", NotFound, "no folder"),
        (f"gto+file://{tmp_path}/plain", NotFound, "no git repository"),
    ):
        with pytest.raises(kind, match=words):
            registry_of(opened(url, words.replace(" ", ""))).page()
    for url in ("gto+file://host/repo", "gto+ftp://host/x", "gto+ssh://git:secret@host/x", "gto+ssh://-oProxy/x"):
        with pytest.raises(Invalid) as told:
            opened(url)
        assert "secret" not in str(told.value)
    with pytest.raises(Invalid, match="no option 'bmp'"):
        opened(f"gto+file://{tmp_path}/plain", bmp="major")


def test_a_shallow_copy_and_one_that_may_not_be_written(repo: Path, tmp_path: Path, opened: Any) -> None:
    register(opened(f"gto+file://{repo}"))
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repo}", shallow], check=True)
    git(shallow, "fetch", "--quiet", "--tags", "--depth=1")
    assert registry_of(opened(f"gto+file://{shallow}", "shallow")).get("churn").latest == "0.0.1"
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    backend = opened(f"gto+file://{repo}", "locked")
    folder = repo / ".git" / "objects"
    folder.chmod(0o500)
    try:
        with pytest.raises(Refused, match="may not be written by you"):
            register(backend)
    finally:
        folder.chmod(0o700)


def test_every_error_is_one_of_ours(repo: Path, opened: Any) -> None:
    """A repository that breaks while it is open."""
    backend = opened(f"gto+file://{repo}")
    register(backend)
    (repo / ".git").rename(repo / ".gone")
    with pytest.raises(BackendError):
        register(backend)
