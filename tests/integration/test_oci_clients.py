"""A registry that other programs fill and read too: the `oras` client pushes, lists, tags and pulls beside us."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Conflict
from console.promotion.promote import promote
from tests.oci_server import OciServer, needs_registry
from tests.oci_world import ANN, KIT, World, archive, oci_world, register

oras_client = pytest.importorskip("oras.client", reason="the oras client is not installed here (pip install oras)")
pytestmark = needs_registry


@pytest.fixture
def world(container_registry: OciServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path))  # the client looks for logins there
    monkeypatch.chdir(tmp_path)  # and takes files of the folder where it is alone
    with oci_world(container_registry, tmp_path) as made:
        yield made


class Oras:
    """The client, at the repositories of one prefix."""

    def __init__(self, world: World) -> None:
        host = world.server.url.removeprefix("http://")
        self._client: Any = oras_client.OrasClient(hostname=host, insecure=True)
        self._at = f"{host}/{world.prefix}"

    def push(self, model: str, tag: str, *files: str, config: str = "", **annotations: str) -> None:
        said = {key.replace("_", "."): value for key, value in annotations.items()}
        self._client.push(
            f"{self._at}/{model}:{tag}", files=list(files), manifest_config=config or None, manifest_annotations=said
        )

    def pull(self, model: str, tag: str, folder: Path) -> dict[str, bytes]:
        found = self._client.pull(f"{self._at}/{model}:{tag}", outdir=str(folder))
        return {str(Path(each).relative_to(folder)): Path(each).read_bytes() for each in found}

    def tags(self, model: str) -> list[str]:
        return sorted(self._client.get_tags(f"{self._at}/{model}"))

    def manifest(self, model: str, tag: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get_manifest(f"{self._at}/{model}:{tag}")
        return found

    def retag(self, model: str, tag: str, to: str) -> None:
        container = self._client.get_container(f"{self._at}/{model}:{to}")
        self._client.upload_manifest(self.manifest(model, tag), container)


def model_kit(folder: Path, name: str, content: bytes) -> tuple[str, str]:
    """(the layer, the config) of a ModelKit, as files that the client is told to push."""
    layer = archive({"model/model.skops": content})
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "manifestVersion": "1.0.0",
        "package": {"name": "churn", "version": name, "description": "who leaves", "authors": ["Cem"]},
        "model": {"name": "churn", "path": "model/model.skops", "framework": "scikit-learn", "digest": digest},
    }
    (folder / f"{name}.tar.gz").write_bytes(layer)
    (folder / f"{name}.json").write_text(json.dumps(config))
    return f"{name}.tar.gz:{KIT}.model.v1.tar+gzip", f"{name}.json:{KIT}.config.v1+json"


def test_model_kits_that_oras_pushes_are_versions_that_are_promoted_and_rolled_back(world: World) -> None:
    oras = Oras(world)
    for name, content in (("v1.2.0", b"one"), ("v1.10.0", b"two")):
        layer, config = model_kit(world.folder, name, content)
        oras.push("churn", name, layer, config=config)
    oras.retag("churn", "v1.2.0", "champion")
    ann = world.console()
    registry, artifacts = ann.need("registry"), ann.need("artifacts")
    assert registry.get("churn").aliases == {"champion": "v1.2.0"}
    assert [each.version for each in registry.versions("churn").items] == ["v1.10.0", "v1.2.0"]
    one = registry.version("churn", "@champion")
    assert (one.note, one.created_by, one.file.format) == ("who leaves", "Cem", "skops")
    assert artifacts.open(one.file.owner, one.file.path).read_bytes() == b"one"
    promote(ann, "churn", "v1.10.0", "champion", ANN, expected="v1.2.0")
    assert oras.pull("churn", "champion", world.folder / "got")["v1.10.0.tar.gz"] == archive_of(world, "v1.10.0")
    # The other program puts the alias back behind our back: seen, told, and no promotion over what was not seen.
    oras.retag("churn", "v1.2.0", "champion")
    with pytest.raises(Conflict):
        promote(ann, "churn", "v1.10.0", "champion", ANN, expected="v1.10.0")
    assert registry.get("churn").aliases == {"champion": "v1.2.0"}
    moves = registry.history("churn", alias="champion")
    assert [(each.action, each.version) for each in moves] == [("elsewhere", "v1.2.0"), ("promote", "v1.10.0")]


def archive_of(world: World, name: str) -> bytes:
    return (world.folder / f"{name}.tar.gz").read_bytes()


def test_plain_files_and_folders_that_oras_pushes_are_versions_with_those_files(world: World) -> None:
    oras = Oras(world)
    (world.folder / "model.onnx").write_bytes(b"weights")
    (world.folder / "labels.txt").write_bytes(b"no\nyes\n")
    (world.folder / "notes").mkdir()
    (world.folder / "notes" / "card.md").write_text("who leaves")
    said = {"org_opencontainers_image_created": "2026-11-01T10:00:00Z", "team": "growth"}
    oras.push("plain", "3", "model.onnx:application/octet-stream", "labels.txt:text/plain", "notes", **said)
    ann = world.console()
    found = ann.need("registry").version("plain", "3")
    assert (found.file.format, found.file.path, found.created_at) == ("onnx", "model.onnx", 1_793_527_200_000)
    assert found.tags["team"] == "growth"
    artifacts = ann.need("artifacts")
    held = {each.path: artifacts.open(found.file.owner, each.path) for each in artifacts.list(found.file.owner)}
    assert {path: place.read_bytes() for path, place in held.items()} == {
        "labels.txt": b"no\nyes\n", "model.onnx": b"weights", "notes/card.md": b"who leaves",
    }  # fmt: skip


def test_oras_pulls_what_we_registered_and_leaves_what_we_keep_beside_it_alone(world: World) -> None:
    oras = Oras(world)
    ann = world.console()
    for content in (b"one", b"two"):
        register(ann, world.folder, content)
    promote(ann, "churn", "1", "champion", ANN, expected=None)
    promote(ann, "churn", "2", "champion", ANN, expected="1")
    got = world.folder / "got"
    pulled = oras.pull("churn", "champion", got)
    assert list(pulled) == ["model/model.skops.tar"]
    with tarfile.open(got / "model/model.skops.tar") as tar:
        file = tar.extractfile("model/model.skops")
        assert file is not None
        assert file.read() == b"two"
    assert {"1", "2", "champion"} <= set(oras.tags("churn"))
    # `kit list` and `kit unpack` go by the type of the config, and pass over every tag that has another.
    kits = [
        tag
        for tag in oras.tags("churn")
        if oras.manifest("churn", tag).get("config", {}).get("mediaType") == f"{KIT}.config.v1+json"
    ]
    assert kits == ["1", "2", "champion"]
