"""Saving files: whole, over nothing, and never out of the folder that was asked for."""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest

from backends.contract import Invalid, Mutation, NotFound, Refused
from backends.entities import Artifact, ModelFile, Signature
from backends.local import open_local
from console.cli.main import main
from console.training import download as module
from console.training.download import download

ME = Mutation("ann@box")


@pytest.fixture
def backend(tmp_path):
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def run(backend, tmp_path):
    made = backend.runs.create(name="r", mutation=ME).id
    for path in ("model/MLmodel", "model/code/a.py", "model.txt", "notes/n.txt"):
        (tmp_path / "file").write_text(f"content of {path}")
        backend.artifacts.put(made, path, tmp_path / "file")
    return made


def under(folder):
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_a_file_is_saved_with_its_content(backend, run, tmp_path):
    assert download(backend, run, "notes/n.txt", tmp_path / "n.txt") == (1, 22)
    assert (tmp_path / "n.txt").read_text() == "content of notes/n.txt"


def test_a_folder_is_saved_with_all_that_is_in_it_and_no_more(backend, run, tmp_path):
    said = []
    assert download(backend, run, "model", tmp_path / "out", said.append)[0] == 2
    assert under(tmp_path / "out") == ["MLmodel", "code/a.py"]
    assert said[-1].fraction == 1.0
    assert said[-1].stage == "file 2 of 2"
    assert download(backend, run, "", tmp_path / "all")[0] == 4
    assert under(tmp_path / "all") == ["model.txt", "model/MLmodel", "model/code/a.py", "notes/n.txt"]


@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
@pytest.mark.parametrize("path", ["model", "model.txt"])
def test_what_is_there_stays(backend, run, tmp_path, path, kind):
    target = tmp_path / "out"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused, match="there already"):
        download(backend, run, path, target)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_somebody_makes_meanwhile_stays(backend, run, tmp_path, monkeypatch):
    copied = shutil.copyfileobj

    def busy(*args):
        (tmp_path / "out").write_text("theirs")
        copied(*args)

    monkeypatch.setattr(module.shutil, "copyfileobj", busy)
    with pytest.raises(Refused, match="there already"):
        download(backend, run, "model.txt", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "theirs"


@pytest.mark.parametrize("path", ["model/../../evil", "model//evil", "model/.", "model/a\\..\\evil", "model/a\0b"])
def test_a_path_from_a_server_cannot_leave_its_folder(backend, run, tmp_path, monkeypatch, path):
    store = backend.artifacts
    listed = store.list(run, prefix="model/MLmodel")
    evil = msgspec.structs.replace(listed[0], path=path)
    monkeypatch.setattr(type(store), "list", lambda *_, **__: (evil,))
    monkeypatch.setattr(type(store), "children", lambda *_: ())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused, match="leads out"):
        download(backend, run, "model", tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_what_fails_in_the_middle_leaves_nothing(backend, run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    for path in ("model", "model.txt"):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(OSError, match="No space"):
            download(backend, run, path, tmp_path / "out")
        assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_fit_is_not_begun(backend, run, tmp_path, monkeypatch):
    huge = Artifact(run=run, path="model/x", bytes=1 << 60, sha256="")
    monkeypatch.setattr(type(backend.artifacts), "list", lambda *_, **__: (huge,))
    with pytest.raises(Refused, match="do not fit"):
        download(backend, run, "model", tmp_path / "out")


def test_what_is_not_there_is_said(backend, run, tmp_path):
    with pytest.raises(NotFound, match="no file or folder nothing"):
        download(backend, run, "nothing", tmp_path / "out")
    with pytest.raises(Invalid, match="no folder"):
        download(backend, run, "model", tmp_path / "not" / "there")


def test_the_files_of_a_version_are_listed_and_saved_from_a_script(backend, run, tmp_path, capsys, monkeypatch):
    backend.registry.register(
        "churn", run=run, file=ModelFile(path="model/m.skops"), signature=Signature(), mutation=ME
    )
    monkeypatch.chdir(tmp_path)
    where = ["--workspace", str(tmp_path / "workspace"), "--json"]
    assert main(["model", "artifacts", "churn", "1", *where]) == 0
    assert [each["path"] for each in json.loads(capsys.readouterr().out)["items"]] == ["model/code", "model/MLmodel"]
    assert main(["model", "download", "churn", "1", *where]) == 0
    assert under(tmp_path / "churn-v1") == ["MLmodel", "code/a.py"]
    assert main(["model", "download", "churn", "1", *where]) == 1
    assert main(["model", "download", "churn", "1", "here.py", "--path", "code/a.py", *where]) == 0
    assert (tmp_path / "here.py").read_text() == "content of model/code/a.py"
    assert main(["run", "download", run, "notes", *where]) == 0
    assert under(tmp_path / "notes") == ["n.txt"]
