"""What lies in a container registry: our versions as ModelKits, those of others, thousands of tags, rules of names."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backends.connect import connect
from backends.contract import (
    Invalid,
    Refused,
    Unsupported,
)
from console.promotion.promote import promote
from tests import fault_proxy as faults
from tests.oci_server import MANIFEST, OciServer, needs_registry, start_registry
from tests.oci_world import ANN, KIT, World, kit, oci_world, register

pytestmark = needs_registry


@pytest.fixture
def world(container_registry: OciServer, tmp_path: Path) -> Iterator[World]:
    with oci_world(container_registry, tmp_path) as made:
        yield made


def test_what_we_push_is_a_model_kit_that_others_unpack(world: World) -> None:
    register(world.console(), world.folder, b"one")
    repository = f"{world.prefix}/churn"
    manifest = json.loads(world.server.raw(repository, "1"))
    assert manifest["config"]["mediaType"] == f"{KIT}.config.v1+json"
    assert manifest["annotations"]["org.opencontainers.image.version"] == "1"
    kit = httpx.get(f"{world.server.url}/v2/{repository}/blobs/{manifest['config']['digest']}").json()
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == f"{KIT}.model.v1.tar"
    # `kit unpack` compares these, takes the layer's name for the folder, and needs the folders above a file.
    assert (kit["model"]["digest"], kit["model"]["path"]) == (layer["digest"], "model/model.skops")
    raw = httpx.get(f"{world.server.url}/v2/{repository}/blobs/{layer['digest']}").content
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == layer["digest"]
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [(each.name, each.isdir()) for each in tar] == [("model", True), ("model/model.skops", False)]
        file = tar.extractfile("model/model.skops")
        assert file is not None
        assert file.read() == b"one"


def test_what_versions_share_is_sent_once(world: World) -> None:
    ann = world.console(behind=True)
    register(ann, world.folder, b"same" * 10_000)
    before = world.proxy.count("POST", "/blobs/uploads")
    register(ann, world.folder, b"same" * 10_000)
    assert world.proxy.count("POST", "/blobs/uploads") - before == 1  # the config, which says another run


def test_model_kits_of_others_are_versions_with_files_notes_and_aliases(world: World) -> None:
    repository = f"{world.prefix}/churn"
    kit(world.server, repository, ["v1.2.0", "stable"], {"model/m.skops": b"one", "../out": b"!"}, "./model/m.skops")
    kit(world.server, repository, ["v1.10.0", "latest"], {"model/m.skops": b"two"}, "model/m.skops")
    kit(world.server, repository, ["experiment"], {"model/MLmodel": b"flavors: {}\n"}, "./model")
    registry = (ann := world.console()).need("registry")
    model = registry.get("churn")
    assert (model.latest, model.versions) == ("v1.10.0", 3)
    assert model.aliases == {"latest": "v1.10.0", "stable": "v1.2.0"}
    assert [each.version for each in registry.versions("churn").items] == ["v1.10.0", "v1.2.0", "experiment"]
    one = registry.version("churn", "@stable")
    assert (one.note, one.created_by, one.params, one.file.format) == ("who leaves", "Cem", {"lr": "0.1"}, "skops")
    artifacts = ann.need("artifacts")
    assert artifacts.open(one.file.owner, one.file.path).read_bytes() == b"one"
    # Neither a link nor a path that leaves the folder is unpacked.
    assert [each.path for each in artifacts.list(one.file.owner)] == ["model/m.skops"]
    assert not list(world.folder.rglob("out"))
    # Promoting, and going back, works with what others pushed; so does saying what it is.
    promote(ann, "churn", "v1.10.0", "stable", ANN, expected="v1.2.0")
    registry.set_note("churn", "v1.2.0", "the old one", ANN)
    assert registry.get("churn").aliases["stable"] == "v1.10.0"
    assert registry.version("churn", "v1.2.0").note == "the old one"
    # Moved behind our back, by `kit tag` say: noted as somebody else's.
    world.server.put(repository, "stable", world.server.raw(repository, "v1.2.0"))
    assert registry.get("churn").aliases["stable"] == "v1.2.0"
    assert [move.action for move in registry.history("churn", alias="stable")] == ["elsewhere", "promote"]


def test_a_folder_pushed_by_oras_is_a_version_too(world: World) -> None:
    repository = f"{world.prefix}/plain"
    layer = world.server.blob(repository, b"weights", "application/octet-stream")
    layer["annotations"] = {"org.opencontainers.image.title": "model.onnx"}
    empty = world.server.blob(repository, b"{}", "application/vnd.oci.empty.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x", "config": empty}
    said = {"org.opencontainers.image.created": "2026-11-01T10:00:00Z"}
    world.server.put(repository, "3", {**manifest, "layers": [layer], "annotations": said})
    ann = world.console()
    found = ann.need("registry").version("plain", "3")
    assert (found.file.format, found.file.path, found.created_at) == ("onnx", "model.onnx", 1_793_527_200_000)
    assert found.file.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert ann.need("artifacts").open(found.file.owner, "model.onnx").read_bytes() == b"weights"
    assert ann.need("artifacts").verify(found.file.owner, "model.onnx")


def test_what_is_no_model_at_all_stops_no_list(world: World) -> None:
    repository = f"{world.prefix}/odd"
    deep = {"schemaVersion": 2, "config": {"digest": 7}, "layers": [{"digest": "sha256:zz", "size": -1}, 3, None]}
    with pytest.raises(AssertionError):
        world.server.put(repository, "1", deep)  # this server refuses it; others may not
    config = world.server.blob(repository, b"[" * 5_000, f"{KIT}.config.v1+json")
    world.server.put(repository, "1", {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
    registry = world.console().need("registry")
    assert [each.version for each in registry.versions("odd").items] == ["1"]
    assert [each.name for each in registry.page().items] == ["odd"]


def test_ten_thousand_tags_cost_a_few_requests_and_a_page_of_versions_its_own(world: World) -> None:
    ann = world.console(behind=True)
    for content in (b"a", b"b", b"c"):
        register(ann, world.folder, content)
    promote(ann, "churn", "2", "champion", ANN, expected=None)
    tags = [str(number) for number in range(4, 10_001)] + ["1", "2", "3", "champion"]
    listed = json.dumps({"name": "churn", "tags": [*tags, "\x1b[31m", "../../x", "a" * 300, 7, None]}).encode()
    cold = world.console("bob", behind=True)
    world.proxy.calm()
    world.proxy.plan("GET", "/tags/list", faults.says(listed))
    model = cold.need("registry").get("churn")
    assert (model.versions, model.latest, model.aliases) == (10_000, "10000", {"champion": "2"})
    assert len(world.proxy.asked) <= 6
    page = cold.need("registry").versions("churn", at=">9997~4", limit=10)
    assert [each.version for each in page.items] == ["3", "2", "1"]


def test_names_that_no_registry_has_are_told_the_rule(world: World) -> None:
    ann = world.console()
    for name in ("Churn", "my model", "a//b", "-a", "ä", "x" * 250):
        with pytest.raises(Invalid):
            ann.need("registry").create(name, ANN)
    register(ann, world.folder, b"a")
    for alias in ("", "a b", "2", "v3", ".x", "mlops-console.about", "x" * 129, "sha256-" + "a" * 64):
        with pytest.raises(Invalid):
            ann.need("registry").set_alias("churn", alias, "1", expected=None, mutation=ANN)
    for url in (
        "oci+http://registry.example.org/team", "oci+https://ann:pw@h/team", "oci+https://h/Team", "oci+ftp://h",
        "oci+https://h/team?x=1",
    ):  # fmt: skip
        with pytest.raises(Invalid):
            connect("team", url, sidecar=world.folder / "other")
    with pytest.raises(Invalid, match="no option 'colour'"):
        world.console("other", colour="red")


def test_a_server_that_deletes_nothing_keeps_versions_and_lets_go_of_aliases(tmp_path: Path) -> None:
    server = start_registry(tmp_path / "registry", delete=False)
    try:
        ann = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "s")
        register(ann, tmp_path, b"a")
        registry = ann.need("registry")
        promote(ann, "churn", "1", "champion", ANN, expected=None)
        for refused in (lambda: registry.delete_version("churn", "1", ANN), lambda: registry.delete("churn", ANN)):
            with pytest.raises(Unsupported, match="REGISTRY_STORAGE_DELETE_ENABLED"):
                refused()
        registry.set_alias("churn", "champion", None, expected="1", mutation=ANN)
        assert (registry.get("churn").aliases, registry.get("churn").versions) == ({}, 1)
        registry.set_alias("churn", "champion", "1", expected=None, mutation=ANN)
        assert registry.get("churn").aliases == {"champion": "1"}
        ann.close()
    finally:
        server.stop()


def test_a_server_that_lists_no_repositories_is_told_the_models(world: World) -> None:
    register(world.console(), world.folder, b"a")
    world.proxy.plan("GET", "/_catalog", faults.answer(401, b"{}"))
    with pytest.raises(Unsupported, match="models = "):
        world.console(behind=True).need("registry").page()
    named = world.console(behind=True, models="churn, fraud").need("registry")
    assert [each.name for each in named.page().items] == ["churn"]


def test_versions_with_the_same_content_are_not_deleted_together_by_mistake(world: World) -> None:
    kit(world.server, f"{world.prefix}/churn", ["1.0", "2.0"], {"m.skops": b"a"}, "m.skops")
    with pytest.raises(Refused, match="both would go"):
        world.console().need("registry").delete_version("churn", "2.0", ANN)
