"""Models in a real container registry: the whole path, what others push there, two consoles at once, kill -9, faults.

What the contract promises of every registry is in `tests/contract`, row `oci`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LogisticRegression

from backends.connect import connect
from backends.contract import (
    Backend,
    BackendError,
    Conflict,
    Invalid,
    Mutation,
    Refused,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from backends.entities import ModelFile, Outcome, RunStatus, Signature
from backends.login import Login
from backends.oci import upload
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.serving.fetched import fetch_version
from console.serving.invocations import Call
from console.serving.loaded import load
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.oci_server import HTPASSWD, MANIFEST, OciServer, TokenServer, needs_registry, start_registry
from tests.serving import fitted, json_rows, keep_version, labels, point, rows, serving

pytestmark = needs_registry
ROOT = Path(__file__).parents[2]
ANN = Mutation("ann@box", reason="better")
BOB = Mutation("bob@other", reason="mine is better still")
KIT = "application/vnd.kitops.modelkit"
FRAME = rows(200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciServer]:
    made = start_registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def proxy(server: OciServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as made:
        yield made


class World:
    """One prefix of the registry, and consoles with a sidecar each."""

    def __init__(self, server: OciServer, proxy: FaultProxy, folder: Path) -> None:
        self.server, self.proxy, self.folder = server, proxy, folder
        self.prefix = f"t{uuid.uuid4().hex[:20]}"
        self._open: list[Backend] = []

    def console(self, sidecar: str = "ann", *, behind: bool = False, **options: str) -> Backend:
        """`behind` the proxy. Each call is a console of its own, as a new process would be."""
        url = f"oci+{self.proxy.url if behind else self.server.url}/{self.prefix}"
        made = connect("team", url, sidecar=self.folder / sidecar, options=options)
        self._open.append(made)
        return made

    def close(self) -> None:
        self.proxy.calm()
        for each in self._open:
            each.close()


@pytest.fixture
def world(server: OciServer, proxy: FaultProxy, tmp_path: Path) -> Iterator[World]:
    proxy.calm()
    made = World(server, proxy, tmp_path)
    yield made
    made.close()


def register(backend: Backend, folder: Path, content: bytes | Path, key: str = "", model: str = "churn") -> str:
    """A version with a file that nobody can load; its number."""
    runs = backend.need("runs")
    run = runs.create(name="trained", mutation=ANN).id
    runs.start(run)
    runs.end(run, RunStatus.FINISHED, exit_code=0)
    file = content if isinstance(content, Path) else folder / f"{uuid.uuid4().hex}.skops"
    if isinstance(content, bytes):
        file.write_bytes(content)
    kept = backend.need("artifacts").put(run, "model/model.skops", file)
    made = ModelFile(sha256=kept.sha256, bytes=kept.bytes, format="skops", path="model/model.skops")
    said = Mutation("ann@box", reason="better", key=key)
    version = backend.need("registry").register(model, run=run, file=made, signature=Signature(), mutation=said)
    return str(version.version)


def story(backend: Backend, alias: str = "champion") -> list[tuple[str | None, str | None, str]]:
    """(from, to, by whom), newest first."""
    moves = backend.need("registry").history("churn", alias=alias)
    return [(move.previous, move.version, move.actor) for move in moves]


# ---------------------------------------------------------------- the whole path


def test_a_model_goes_its_whole_way_and_another_console_reads_serves_and_promotes_it(world: World) -> None:
    ann = world.console("ann")
    for number, target in enumerate((labels(FRAME), labels(FRAME)[::-1])):
        pipeline = fitted(FRAME, target, LogisticRegression(max_iter=200))
        assert keep_version(ann, world.folder / str(number), pipeline, FRAME).version == str(number + 1)
    promote(ann, "parcels", "1", "champion", ANN, expected=None)
    promote(ann, "parcels", "2", "champion", ANN, expected="1")
    rollback(ann, "parcels", "champion", ANN, expected="2")
    assert world.server.tags(f"{world.prefix}/parcels")[:3] == ["1", "2", "champion"]

    bob = world.console("bob")
    registry = bob.need("registry")
    assert [(each.name, each.versions, each.aliases) for each in registry.page().items] == [
        ("parcels", 2, {"champion": "1"})
    ]
    moves = registry.history("parcels", alias="champion")
    assert [(move.previous, move.version, move.actor, move.action) for move in moves] == [
        ("2", "1", "ann@box", "rollback"),
        ("1", "2", "ann@box", "promote"),
        (None, "1", "ann@box", "promote"),
    ]
    assert {move.reason for move in moves} == {"better"}
    # Bob has neither the run nor the file: both the model and its description come out of the registry, by digest.
    file = fetch_version(bob, "parcels", "2")
    loaded = load(file)
    answered = loaded.answer(Call("instances", json_rows(rows(3, seed=4))).rows(loaded.shape))
    assert len(answered.values) == 3
    assert len(list((world.folder / "bob" / "oci" / "unpacked").iterdir())) == 2
    move = promote(bob, "parcels", "2", "champion", BOB, expected="1")
    assert (move.actor, move.previous) == ("bob@other", "1")
    assert ann.need("registry").history("parcels", alias="champion")[0].actor == "bob@other"
    assert ann.need("journal").verify()[1] == ""

    environment = {
        **os.environ,
        "MLOPS_CONSOLE_CONFIG": str(world.folder / "config.toml"),
        "PYTHONPATH": str(ROOT),
        "XDG_DATA_HOME": str(world.folder / "data"),
    }
    (world.folder / "config.toml").write_text(f'[contexts.team]\nregistry = "oci+{world.server.url}/{world.prefix}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "console.launch", "--context", "team", "model", "history", "parcels", "--json"],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [each["actor"] for each in json.loads(done.stdout)["items"]][:2] == ["bob@other", "ann@box"]


def test_a_version_is_served_out_of_the_registry_and_its_alias_followed(world: World) -> None:
    ann = world.console("ann")
    pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(max_iter=200))
    keep_version(ann, world.folder / "made", pipeline, FRAME)
    point(ann, "champion", "1")
    bob = world.console("bob")
    new = rows(4, seed=4)
    with serving(bob, world.folder / "server") as served:
        answer = httpx.post(f"{served.url}/invocations", json={"dataframe_records": json_rows(new)}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 4


# ---------------------------------------------------------------- the layout


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


def archive(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("model/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return made.getvalue()


def kit(server: OciServer, repository: str, tags: Iterable[str], files: dict[str, bytes], path: str) -> str:
    """As `kit pack` and `kit push` leave a ModelKit: no mediaType, no annotation but the program's own."""
    layer = server.blob(repository, archive(files), f"{KIT}.model.v1.tar+gzip")
    config = {
        "manifestVersion": "1.0.0",
        "package": {"name": "churn", "version": "1.2.0", "description": "who leaves", "authors": ["Cem"]},
        "model": {
            "name": "churn", "path": path, "framework": "scikit-learn", "license": "Apache-2.0",
            "parameters": {"lr": 0.1, "deep": {"a": 1}}, "digest": layer["digest"],
        },
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "config": server.blob(repository, json.dumps(config).encode(), f"{KIT}.config.v1+json"),
        "layers": [layer],
        "annotations": {"ml.kitops.modelkit.cli-version": "1.7.0"},
    }
    return next(iter([server.put(repository, tag, manifest) for tag in tags]))


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


# ---------------------------------------------------------------- two at once


def comparing(world: World) -> faults.Fault:
    """A server that looks at If-Match and If-None-Match, as the next generation of registries does."""
    alone = threading.Lock()

    def fault(asked: faults.Asked, forward: faults.Forward) -> Iterator[bytes]:
        wanted = asked.headers.get("if-match", "").strip('"')
        with alone:
            there = httpx.head(f"{world.server.url}{asked.path}", headers={"Accept": MANIFEST})
            at = there.headers.get("docker-content-digest", "") if there.status_code == 200 else ""
            if (wanted and wanted != at) or (asked.headers.get("if-none-match") == "*" and at):
                yield faults.raw(412, b"{}")
            else:
                yield forward()

    return fault


@pytest.mark.parametrize("compares", [False, True], ids=["docker-registry", "a server that compares"])
def test_two_consoles_that_promote_at_once(world: World, compares: bool) -> None:
    if compares:
        world.proxy.plan("PUT", "/manifests/", comparing(world))
    people = [world.console(name, behind=True) for name in ("ann", "bob")]
    for content in (b"a", b"b", b"c"):
        register(people[0], world.folder, content)
    promote(people[0], "churn", "1", "champion", ANN, expected=None)
    people[1].need("registry").get("churn")
    won: list[str] = []
    for _ in range(4):
        held = people[0].need("registry").get("churn").aliases["champion"]
        others = [each for each in ("1", "2", "3") if each != held]
        ready = threading.Barrier(2)

        def move(number: int, held: str = held, others: list[str] = others, ready: Any = ready) -> str:
            ready.wait()
            said = Mutation(f"user{number}@box")
            try:
                promote(people[number], "churn", others[number], "champion", said, expected=held)
                return others[number]
            except Conflict:
                return ""

        with ThreadPoolExecutor(2) as pool:
            told = [each for each in pool.map(move, range(2)) if each]
        now = {each.need("registry").get("churn").aliases["champion"] for each in people}
        # Whoever won last is where it stands, for both; on a server that compares there is one winner.
        assert len(now) == 1
        assert told
        assert now <= set(told)
        assert len(told) == 1 or not compares
        won += told
    for each in people:
        assert each.need("journal").verify()[1] == ""
        assert story(each)[0][1] == next(iter(now))
    if compares:
        assert world.console("ann", behind=True).features.compare_and_set


def test_two_consoles_that_register_at_once_get_two_numbers(world: World) -> None:
    world.proxy.plan("PUT", "/manifests/", comparing(world))
    people = [world.console(name, behind=True) for name in ("ann", "bob")]
    register(people[0], world.folder, b"first")
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda number: register(people[number], world.folder, b"%d" % number), range(2)))
    assert sorted(told) == ["2", "3"]


# ---------------------------------------------------------------- killed

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
        end = time.monotonic() + 30
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
def one_model(server: OciServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The prefix of a model with one version, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("one")
    made = connect("team", f"oci+{server.url}/shared", sidecar=folder / "s")
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
    with pytest.raises(kind, match=words) as told:
        ann.need("registry").get("churn")
    assert "s3cret" not in str(told.value)
    if "too often" in words:
        assert isinstance(told.value, Unreachable)
        assert told.value.retry_at is not None
        assert 2_000 < told.value.retry_at - time.time() * 1000 < 9_000


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


# ---------------------------------------------------------------- rules and limits


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


# ---------------------------------------------------------------- logins


def test_a_password_opens_a_registry_and_stands_in_no_error(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD + "\n")
    auth = {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}}
    server = start_registry(tmp_path / "registry", auth=auth)
    try:
        for said, word in (("right", ""), ("wr0ng-secret", "does not accept who we are")):
            secret = tmp_path / said
            secret.touch(mode=0o600)
            secret.write_text(said)
            login = Login(username="ann", file=str(secret))
            backend = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / f"s{said}", login=login)
            if not word:
                assert register(backend, tmp_path, b"a") == "1"
                assert promote(backend, "churn", "1", "champion", ANN, expected=None).version == "1"
            else:
                with pytest.raises(Unauthorized, match=word) as told:
                    backend.need("registry").get("churn")
                assert said not in str(told.value)
            backend.close()
        nobody = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "nobody")
        with pytest.raises(Unauthorized, match="username"):
            nobody.need("registry").get("churn")
        nobody.close()
    finally:
        server.stop()


def test_a_token_is_fetched_for_each_purpose_where_the_registry_says_and_anew_when_it_ends(tmp_path: Path) -> None:
    tokens = TokenServer(tmp_path)
    server = start_registry(tmp_path / "registry", auth=tokens.auth)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("right")
    try:
        login = Login(username="ann", file=str(secret))
        ann = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "s", login=login)
        assert register(ann, tmp_path, b"a") == "1"
        assert {"repository:team/churn:pull", "repository:team/churn:pull,push"} <= set(tokens.given)
        before = len(tokens.given)
        promote(ann, "churn", "1", "champion", ANN, expected=None)
        assert len(tokens.given) == before  # those that are there are good enough
        assert [each.name for each in ann.need("registry").page().items] == ["churn"]
        assert "registry:catalog:*" in tokens.given
        ann.close()

        secret.write_text("wr0ng-secret")
        bob = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "bob", login=login)
        with pytest.raises(Unauthorized) as told:
            bob.need("registry").get("churn")
        assert "wr0ng-secret" not in str(told.value)
        # The password is mended where it is kept: no console has to be started anew.
        secret.write_text("right")
        assert bob.need("registry").get("churn").aliases == {"champion": "1"}
        bob.close()
    finally:
        server.stop()
        tokens.stop()
