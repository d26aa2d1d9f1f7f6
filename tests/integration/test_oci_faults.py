"""A container registry that fails, a network that cuts, a console that is killed: nothing is half there, and errors say
what to do."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.contract import (
    BackendError,
    Mutation,
    Unauthorized,
    Unreachable,
)
from backends.entities import ModelFile, Outcome, Signature
from backends.oci import upload
from console.promotion.promote import promote
from tests import fault_proxy as faults
from tests.oci_server import OciServer, needs_registry, start_registry
from tests.oci_world import ANN, World, oci_world, register, story

pytestmark = needs_registry
ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(container_registry: OciServer, tmp_path: Path) -> Iterator[World]:
    with oci_world(container_registry, tmp_path) as made:
        yield made


KILLED = """
import sys
from pathlib import Path
from backends.connect import connect
from backends.contract import Mutation
from backends.entities import ModelFile, Signature
url, sidecar, verb, run = sys.argv[1:]
backend = connect("team", url, sidecar=Path(sidecar))
said = Mutation("ann@box", reason="better", key="once")
registry = backend.need("registry")
if verb == "register":
    file = ModelFile(path="model/model.skops", format="skops")
    registry.register("churn", run=run, file=file, signature=Signature(), mutation=said)
else:
    registry.set_alias("churn", "champion", "2", expected="1", mutation=said)
"""


def killed(world: World, verb: str, run: str, *, method: str, path: str, after: bool, nth: int = 0) -> None:
    """A console of its own process, killed at this request: before the server hears of it, or once it was done."""
    process: list[subprocess.Popen[bytes]] = []

    def fault(_: faults.Asked, forward: faults.Forward) -> list[bytes]:
        if after:
            forward()
        end = time.monotonic() + 120
        while not process and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process[0].pid, signal.SIGKILL)
        return []

    world.proxy.plan(method, path, fault, after=nth, times=1)
    url = f"oci+{world.proxy.url}/{world.prefix}"
    words = [sys.executable, "-c", KILLED, url, str(world.folder / "ann"), verb, run]
    process.append(subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}))
    assert process[0].wait(120) == -signal.SIGKILL
    world.proxy.calm()


def test_killed_in_mid_upload_nothing_is_there_and_the_same_again_is_one_version(world: World) -> None:
    ann = world.console(behind=True)
    run = ann.need("runs").create(name="trained", mutation=ANN).id
    large = world.folder / "large"
    large.write_bytes(os.urandom(1 << 20) * 20)
    sha256 = ann.need("artifacts").put(run, "model/model.skops", large).sha256
    killed(world, "register", run, method="PATCH", path="/blobs/uploads/", after=True)
    with pytest.raises(BackendError, match="no model churn"):
        ann.need("registry").get("churn")
    # Killed once more, after the version was put and before that could be written down.
    killed(world, "register", run, method="PUT", path="/manifests/1", after=True)
    file = ModelFile(path="model/model.skops", format="skops", sha256=sha256)
    once = Mutation("ann@box", reason="better", key="once")
    registry = world.console().need("registry")
    assert registry.register("churn", run=run, file=file, signature=Signature(), mutation=once).version == "1"
    assert registry.get("churn").versions == 1
    bob = world.console("bob")
    version = bob.need("registry").version("churn", "1")
    assert bob.need("artifacts").verify(version.run, "model/model.skops", sha256)


@pytest.mark.parametrize("after", [False, True], ids=["before it was put", "after"])
def test_killed_in_mid_promotion_alias_and_journal_tell_one_story(world: World, after: bool) -> None:
    ann = world.console()
    for content in (b"a", b"b"):
        register(ann, world.folder, content)
    promote(ann, "churn", "1", "champion", ANN, expected=None)
    killed(world, "promote", "", method="PUT", path="/manifests/champion", after=after)
    cold = world.console()
    once = Mutation("ann@box", reason="better", key="once")
    cold.need("registry").get("churn")
    cold.need("registry").set_alias("churn", "champion", "2", expected="1", mutation=once)
    assert story(cold) == [("1", "2", "ann@box"), (None, "1", "ann@box")]
    entries = [each for each in cold.need("journal").page(limit=50).items if each.key == "once"]
    assert sum(each.outcome is Outcome.DONE for each in entries) == 1
    assert cold.need("journal").verify()[1] == ""
    bob = world.console("bob")
    assert story(bob) == [("1", "2", "ann@box"), (None, "1", "ann@box")]


# ---------------------------------------------------------------- faults


@pytest.fixture(scope="module")
def one_model(container_registry: OciServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The prefix of a model with one version, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("one")
    made = connect("team", f"oci+{container_registry.url}/shared", sidecar=folder / "s")
    register(made, folder, b"a")
    made.close()
    return "shared"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (faults.answer(401, b"{}"), Unauthorized, "does not accept who we are"),
        (faults.answer(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), Unauthorized, "forbids it"),
        (faults.answer(429, b"{}", Retry_After="7"), Unreachable, "asked too often"),
        (faults.answer(500, b"oops"), Unreachable, r"in trouble \(500\): oops"),
        (faults.answer(503, b"", Retry_After="60"), Unreachable, "in trouble"),
        (faults.answer(307, b"", Location="https://elsewhere.example/x?token=s3cret"), Unreachable, "sends on to"),
        (faults.says(faults.LOGIN_PAGE, "text/html"), Unreachable, "web page"),
        (faults.says(b'{"name": "churn", "ta'), Unreachable, "half an answer"),
        (faults.says(b'{"tags": {"a": 1}}'), Unreachable, "half an answer"),
        (faults.cut(keeping_length=True), Unreachable, "broke off"),
        (faults.drop_before, Unreachable, "broke off"),
        (faults.bytes_of(b"SSH-2.0-OpenSSH_9\r\n\r\n"), Unreachable, "broke off|does not speak HTTP"),
    ],
)
def test_each_fault_has_words_that_say_what_to_do(
    world: World, one_model: str, fault: faults.Fault, kind: type[BackendError], words: str
) -> None:
    world.prefix = one_model
    ann = world.console(behind=True)
    world.proxy.plan("GET", "/tags/list", fault)
    asked = time.time() * 1000
    with pytest.raises(kind, match=words) as told:
        ann.need("registry").get("churn")
    assert "s3cret" not in str(told.value)
    if "too often" in words:
        assert isinstance(told.value, Unreachable)
        assert told.value.retry_at is not None
        assert asked + 2_000 < told.value.retry_at < time.time() * 1000 + 9_000


def test_a_slow_server_is_waited_for_no_longer_than_the_context_says(world: World) -> None:
    ann = world.console(behind=True, timeout="0.5")
    world.proxy.plan("GET", "/tags/list", world.proxy.drip(0.05))
    with pytest.raises(Unreachable, match="does not answer in time"):
        ann.need("registry").get("churn" * 20)


def test_a_dead_server_is_said_to_be_down_and_what_was_seen_is_still_shown(world: World, tmp_path: Path) -> None:
    other = start_registry(tmp_path / "other")
    try:
        ann = connect("team", f"oci+{other.url}/team", sidecar=tmp_path / "s")
        register(ann, tmp_path, b"a")
        promote(ann, "churn", "1", "champion", ANN, expected=None)
        assert ann.need("registry").version("churn", "@champion").version == "1"
    finally:
        other.stop()
    again = connect("team", f"oci+{other.url}/team", sidecar=tmp_path / "s")
    assert again.need("registry").version("churn", "@champion").version == "1"
    assert [move.version for move in again.need("registry").history("churn")] == ["1"]
    with pytest.raises(Unreachable, match="nothing was changed"):
        again.need("registry").set_alias("churn", "champion", None, expected="1", mutation=ANN)
    with pytest.raises(Unreachable, match="nothing listens"):
        again.need("registry").get("other")
    for each in (ann, again):
        each.close()


def test_a_file_that_was_cut_or_changed_on_the_way_is_not_used(world: World) -> None:
    sha256 = hashlib.sha256(b"x" * 3_000_000).hexdigest()
    register(world.console(), world.folder, b"x" * 3_000_000)
    manifest = json.loads(world.server.raw(f"{world.prefix}/churn", "1"))
    layer = manifest["layers"][0]["digest"]
    bob = world.console("bob", behind=True)
    version = bob.need("registry").version("churn", "1")

    def changed(_: faults.Asked, forward: faults.Forward) -> list[bytes]:
        return [forward().replace(b"x" * 64, b"y" * 64)]

    world.proxy.plan("GET", layer, changed)
    with pytest.raises(Unreachable, match="another digest"):
        bob.need("artifacts").open(version.run, "model/model.skops")
    world.proxy.calm()
    # Cut in the middle once: it goes on from there.
    world.proxy.plan("GET", layer, faults.cut(keeping_length=True), times=1)
    assert bob.need("artifacts").verify(version.run, "model/model.skops", sha256)
    assert [each.headers.get("range", "") for each in world.proxy.asked if layer in each.path][1].startswith("bytes=")
    assert not list((world.folder / "bob" / "oci" / "blobs").iterdir())


@pytest.mark.parametrize("fault", [faults.drop_before, faults.drop_after])
def test_an_upload_that_broke_off_arrives_whole(
    world: World, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server heard of the piece and its answer was lost, docker-registry forgets the whole upload: that
    begins anew. Others tell how much they have, and it goes on there."""
    monkeypatch.setattr(upload, "CHUNK", 1 << 20)
    ann = world.console(behind=True)
    large = world.folder / "large"
    large.write_bytes(os.urandom(3 << 20))
    world.proxy.plan("PATCH", "/blobs/uploads/", fault, after=1, times=1)
    register(ann, world.folder, large)
    assert world.proxy.count("PATCH", "/blobs/uploads/") >= 4
    version = (bob := world.console("bob")).need("registry").version("churn", "1")
    assert bob.need("artifacts").verify(version.run, "model/model.skops", version.file.sha256)


def test_a_hundred_and_fifty_megabytes_pass_in_bounded_memory(world: World) -> None:
    large = world.folder / "large"
    piece = os.urandom(1 << 20)
    with large.open("wb") as file:
        for number in range(150):
            file.write(number.to_bytes(4, "big") + piece[4:])
    ann, bob = world.console("ann"), world.console("bob")
    run = ann.need("runs").create(name="trained", mutation=ANN).id
    kept = ann.need("artifacts").put(run, "model/model.skops", large)
    file_ = ModelFile(sha256=kept.sha256, bytes=kept.bytes, format="skops", path="model/model.skops")
    tracemalloc.start()
    try:
        ann.need("registry").register("churn", run=run, file=file_, signature=Signature(), mutation=ANN)
        version = bob.need("registry").version("churn", "1")
        assert bob.need("artifacts").verify(version.run, "model/model.skops", kept.sha256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24_000_000
