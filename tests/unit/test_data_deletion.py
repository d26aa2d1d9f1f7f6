"""Deleting versions: numbers are not used again, shared files are counted once, what callers get is protected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import DatasetInput, DatasetVersion, ModelFile, Signature
from backends.local import open_local
from console.cli.main import main
from console.data.deletion import delete_data, trained_on
from console.data.kept import kept_profile, profile_kept
from tests.unit.test_data_profile import keep

BY = Mutation(actor="tester@here")
WHY = Mutation(actor="tester@here", reason="a mistake")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def made(backend: Backend, name: str, *values: int) -> DatasetVersion:
    found = backend.need("datasets").version(keep(backend, pa.table({"x": values}), name))
    assert isinstance(found, DatasetVersion)
    return found


def test_one_version_goes_and_its_number_is_not_used_again(backend: Backend) -> None:
    datasets = backend.need("datasets")
    first, second = made(backend, "d", 1, 2), made(backend, "d", 3, 4, 5)
    profile_kept(datasets, backend.home, second.ref)
    assert delete_data(backend, "d@2", BY) == second.bytes
    assert (datasets.get("d").versions, datasets.get("d").latest, datasets.get("d").rows) == (1, "1", 2)
    assert kept_profile(backend.home, second) is None
    with pytest.raises(NotFound):
        datasets.version("d@2")
    assert datasets.version("d").ref == first.ref
    assert made(backend, "d", 6).ref == "d@3"
    entry = backend.need("journal").page().items[1]
    assert (entry.action, entry.target, entry.before["digest"]) == ("dataset.delete", "d@2", second.digest)


def test_the_only_version_goes_with_its_dataset_alone(backend: Backend) -> None:
    made(backend, "d", 1)
    with pytest.raises(Refused, match="only version"):
        delete_data(backend, "d@1", BY)
    delete_data(backend, "d", BY)
    with pytest.raises(NotFound):
        backend.need("datasets").get("d")


def test_files_that_others_name_are_not_counted_and_shared_ones_once(backend: Backend) -> None:
    a = made(backend, "a", 1, 2, 3)
    again = made(backend, "a", 1, 2, 3)
    assert a.object == again.object
    other = made(backend, "b", 1, 2, 3)
    assert other.object == a.object
    assert delete_data(backend, "b", BY) == 0
    assert delete_data(backend, "a", BY) == a.bytes


def test_what_an_alias_names_protects_what_it_was_trained_on(backend: Backend) -> None:
    old, used = made(backend, "d", 1), made(backend, "d", 2)
    read = DatasetInput(dataset="d", version=used.version, digest=used.digest)
    run = backend.need("runs").create(name="fit", mutation=BY, inputs=[read])
    registry = backend.need("registry")
    registry.register("m", run=run.id, file=ModelFile(sha256="ab" * 32), signature=Signature(), mutation=BY)
    assert trained_on(backend, [used]) == []
    registry.set_alias("m", "champion", "1", expected=None, mutation=BY)
    assert trained_on(backend, [old, used]) == ["m@1 (champion)"]
    for ref in ("d@2", "d"):
        with pytest.raises(Refused, match=r"m@1 \(champion\) was trained on it"):
            delete_data(backend, ref, BY)
    with pytest.raises(Invalid, match="reason"):
        delete_data(backend, "d@2", BY, override=True)
    assert backend.need("datasets").version("d@2") == used
    assert delete_data(backend, "d@2", WHY, override=True) == used.bytes


def test_the_command_wants_the_name_again(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    made(backend, "d", 1)
    version = made(backend, "d", 2)
    place = ["--workspace", str(backend.home)]
    assert main(["dataset", "delete", "d@2", *place]) == 2
    assert backend.need("datasets").version("d@2") == version
    assert main(["dataset", "delete", "d@2", "--confirm", "d@2", "--json", *place]) == 0
    assert f'"bytes":{version.bytes}' in capsys.readouterr().out
