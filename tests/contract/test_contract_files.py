"""What every `DatasetStore` and `ArtifactStore` promises."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from backends.contract import ArtifactStore, Backend, DatasetStore, Invalid, Mutation, NotFound
from backends.entities import Column, ColumnType, DatasetVersion
from backends.query import DATASET_FIELDS, parse


@pytest.fixture
def datasets(backend: Backend) -> DatasetStore:
    if backend.datasets is None:
        pytest.skip("this backend has no datasets")
    return backend.datasets


@pytest.fixture
def artifacts(backend: Backend) -> ArtifactStore:
    if backend.artifacts is None:
        pytest.skip("this backend has no artifacts")
    return backend.artifacts


@pytest.fixture
def run(backend: Backend, ann: Mutation) -> str:
    assert backend.runs is not None
    return backend.runs.create(name="leaves files", mutation=ann).id


def add(
    datasets: DatasetStore, folder: Path, mutation: Mutation, content: bytes, name: str = "flights"
) -> tuple[DatasetVersion, bool]:
    file = folder / "finished.parquet"
    file.write_bytes(content)
    digest = hashlib.sha256(b"canonical" + content).hexdigest()
    made = datasets.add(
        name,
        file,
        digest=digest,
        rows=len(content),
        columns=[Column(name="a", type=ColumnType.INT, nulls=2)],
        source="flights.csv",
        mutation=mutation,
        note="n",
    )
    assert not file.exists()
    return made


def test_a_new_content_is_a_new_version(datasets: DatasetStore, tmp_path: Path, ann: Mutation) -> None:
    first, new = add(datasets, tmp_path, ann, b"one")
    second, _ = add(datasets, tmp_path, ann, b"three")
    assert (new, first.version, second.version) == (True, "1", "2")
    assert datasets.version("flights@1") == first
    assert datasets.version("flights") == second
    dataset = datasets.get("flights")
    assert (dataset.versions, dataset.latest, dataset.rows, dataset.created_by) == (2, "2", 5, "ann@box")
    assert [version.version for version in datasets.versions("flights").items] == ["2", "1"]
    assert datasets.path("flights@1").read_bytes() == b"one"


def test_the_same_content_is_the_same_version(datasets: DatasetStore, tmp_path: Path, ann: Mutation) -> None:
    first, _ = add(datasets, tmp_path, ann, b"one")
    again, new = add(datasets, tmp_path, ann, b"one")
    assert (again, new) == (first, False)
    other, new = add(datasets, tmp_path, ann, b"one", name="copy")
    assert (other.ref, new, other.object) == ("copy@1", True, first.object)


def test_a_version_is_found_by_its_digest(datasets: DatasetStore, tmp_path: Path, ann: Mutation) -> None:
    first, _ = add(datasets, tmp_path, ann, b"one")
    add(datasets, tmp_path, ann, b"two")
    assert datasets.version(first.digest) == first
    assert datasets.version(first.digest[:8]) == first
    for unknown in (first.digest[:7], "f" * 64, "flights@9", "flights@x", "none", "none@1", "@", ""):
        with pytest.raises(NotFound):
            datasets.version(unknown)


@pytest.mark.parametrize("name", ["", " ", "a@b"])
def test_a_dataset_needs_a_name_that_can_be_referred_to(
    datasets: DatasetStore, tmp_path: Path, ann: Mutation, name: str
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x")
    with pytest.raises(Invalid):
        datasets.add(name, file, digest="d" * 64, rows=1, columns=[], source="s", mutation=ann)
    assert file.exists()


def test_a_missing_file_is_invalid_and_changes_nothing(datasets: DatasetStore, tmp_path: Path, ann: Mutation) -> None:
    with pytest.raises(Invalid):
        datasets.add("d", tmp_path / "none", digest="d" * 64, rows=1, columns=[], source="s", mutation=ann)
    assert datasets.page().items == ()


def test_importing_twice_with_one_key_gives_the_first(datasets: DatasetStore, tmp_path: Path) -> None:
    once = Mutation("ann@box", key="import-1")
    first, _ = add(datasets, tmp_path, once, b"one")
    again = datasets.add(
        "flights", tmp_path / "gone", digest=first.digest, rows=3, columns=[], source="s", mutation=once
    )
    assert again == (first, True)


def test_datasets_are_paged_filtered_and_deleted(datasets: DatasetStore, tmp_path: Path, ann: Mutation) -> None:
    for number, name in enumerate(("b", "c", "a")):
        add(datasets, tmp_path, ann, b"x" * (number + 1), name=name)
    assert [dataset.name for dataset in datasets.page().items] == ["a", "b", "c"]
    query = parse("rows > 1 order by rows desc", DATASET_FIELDS)
    assert [dataset.name for dataset in datasets.page(query).items] == ["a", "c"]
    page = datasets.page(limit=2)
    assert page.next is not None
    assert [dataset.name for dataset in datasets.page(at=page.next, limit=2).items] == ["c"]
    datasets.delete("b", ann)
    with pytest.raises(NotFound):
        datasets.get("b")
    with pytest.raises(NotFound):
        datasets.delete("b", ann)


def test_an_artifact_is_kept_by_content(artifacts: ArtifactStore, run: str, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights" * 1000)
    made = artifacts.put(run, "model/model.bin", file)
    assert (made.bytes, made.sha256) == (7000, hashlib.sha256(b"weights" * 1000).hexdigest())
    file.write_bytes(b"changed")
    assert artifacts.open(run, "model/model.bin").read_bytes() == b"weights" * 1000
    assert artifacts.verify(run, "model/model.bin")
    artifacts.put(run, "plots/a.png", file)
    assert [artifact.path for artifact in artifacts.list(run)] == ["model/model.bin", "plots/a.png"]
    assert [artifact.path for artifact in artifacts.list(run, prefix="plots/")] == ["plots/a.png"]


def test_a_stored_file_cannot_be_written_to(artifacts: ArtifactStore, run: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    artifacts.put(run, "a", file)
    assert artifacts.open(run, "a").stat().st_mode & 0o222 == 0


@pytest.mark.kept_here
def test_damage_to_a_stored_file_is_noticed(artifacts: ArtifactStore, run: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"precious")
    artifacts.put(run, "a", file)
    stored = artifacts.open(run, "a")
    stored.chmod(0o600)
    stored.write_bytes(b"prexious")
    assert not artifacts.verify(run, "a")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        ".",
        "a//b",
        "a/",
        "./a",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        "x" * 300,
        "a/" * 600 + "a",
    ],
)
def test_an_artifact_path_cannot_leave_the_run(artifacts: ArtifactStore, run: str, tmp_path: Path, path: str) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    with pytest.raises(Invalid) as caught:
        artifacts.put(run, path, file)
    assert caught.value.field == "path"
    assert artifacts.list(run) == ()


def test_only_regular_files_are_kept(artifacts: ArtifactStore, run: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "."):
        with pytest.raises(Invalid):
            artifacts.put(run, "a", tmp_path / name)


def test_files_of_unknown_runs_are_not_found(artifacts: ArtifactStore, run: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    for call in (
        lambda: artifacts.put("0" * 32, "a", file),
        lambda: artifacts.open(run, "a"),
        lambda: artifacts.verify(run, "a"),
        lambda: artifacts.list("0" * 32),
    ):
        with pytest.raises(NotFound):
            call()


def test_notes_are_kept_on_datasets_and_versions(
    backend: Backend, datasets: DatasetStore, tmp_path: Path, ann: Mutation
) -> None:
    add(datasets, tmp_path, ann, b"one")
    datasets.set_note("flights", "all of 2013", ann)
    datasets.set_note("flights@1", "without December", ann)
    assert datasets.get("flights").note == "all of 2013"
    assert datasets.version("flights@1").note == "without December"
    with pytest.raises(NotFound):
        datasets.set_note("flights@2", "nothing there", ann)
    actions = [entry.action for entry in backend.need("journal").page().items]
    assert actions.count("dataset.note") == 2
    assert backend.need("journal").verify()[1] == ""
