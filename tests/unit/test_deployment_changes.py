"""Changes of deployments as people make them, their files, and what the agent counts for the guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound, Refused
from backends.entities import Deployment, DeploymentWish, Guard, ModelFile, Signature, Target
from backends.local import open_local
from backends.local.process_identity import is_alive
from console.agent import server_process
from console.agent.deployment_guard import Watchman
from console.agent.server_process import ServerRecord
from console.serving.deployment import change
from console.serving.deployment.context import label, pinned
from console.serving.deployment.figures import needs_of
from console.serving.deployment.place import LONGEST, MARK, folder_of, launched_with, socket_for
from console.serving.deployment.watched import watched_of
from console.serving.state import State, TargetState, TargetTally, VersionState
from tests.hostile import HOSTILE

ANN = Mutation("ann@box")


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    made = open_local(tmp_path / "w")
    run = made.need("runs").create(name="fit", mutation=ANN)
    for _ in range(3):
        made.need("registry").register(
            "churn", run=run.id, file=ModelFile(sha256="ab" * 32), signature=Signature(), mutation=ANN
        )
    made.need("registry").set_alias("churn", "champion", "1", expected=None, mutation=ANN)
    made.need("registry").set_alias("churn", "challenger", "2", expected=None, mutation=ANN)
    return made


def begun(backend: Backend) -> Deployment:
    return change.start(backend, Deployment(name="live", model="churn"), ANN)


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("10", 0.1), ("0.1", 0.1), ("1", 0.01), ("1.0", 1.0), ("0", 0.0), ("0.5%", 0.005)]
)
def test_shares_are_read_as_people_write_them(text: str, share: float) -> None:
    assert change.parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "ten", "110", "-1", "1e9%", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        change.parse_share(text)


def test_targets_are_aliases_or_versions() -> None:
    assert change.parse_model("churn@champion") == ("churn", Target(alias="champion"))
    assert change.parse_model("a@b@7") == ("a@b", Target(version="7"))
    assert change.parse_model("churn") == ("churn", Target(alias="champion"))
    assert change.parse_split("v7=10%") == Target(version="7", share=0.1)
    for wrong in ("champion", "=10"):
        with pytest.raises(Invalid):
            change.parse_split(wrong)


def test_a_target_that_names_nothing_is_said_before_anything_is_kept(backend: Backend) -> None:
    with pytest.raises(NotFound):
        change.start(backend, Deployment(name="live", model="churn", targets=(Target(alias="nobody"),)), ANN)
    assert backend.need("deployments").page().items == ()
    begun(backend)
    with pytest.raises(NotFound):
        change.canary(backend, "live", 0.1, ANN, target=Target(version="9"))


def test_what_serves_is_not_started_twice_and_what_is_stopped_is_again(backend: Backend) -> None:
    begun(backend)
    with pytest.raises(Conflict, match="serves churn already"):
        begun(backend)
    change.stop(backend, "live", ANN)
    again = change.start(backend, Deployment(name="live", model="churn", workers=2), ANN)
    assert (again.desired, again.workers, again.revision) == (DeploymentWish.SERVING, 2, 3)


def test_a_canary_keeps_the_shadow_and_sets_the_guard(backend: Backend) -> None:
    begun(backend)
    change.shadow(backend, "live", Target(version="3"), ANN)
    found = change.canary(backend, "live", 0.1, ANN)
    assert [(each.label, each.share, each.shadow) for each in found.targets] == [
        ("champion", 0.9, False),
        ("challenger", 0.1, False),
        ("v3", 1.0, True),
    ]
    assert found.guard == Guard()
    found = change.canary(backend, "live", 0, ANN)
    assert ([each.label for each in found.targets], found.guard) == (["champion", "v3"], None)
    with pytest.raises(Refused):
        change.canary(backend, "live", 0.1, ANN, target=Target(alias="champion"))
    with pytest.raises(Refused):
        change.shadow(backend, "live", Target(alias="champion"), ANN)


def test_who_follows_an_alias_is_known(backend: Backend) -> None:
    begun(backend)
    change.start(backend, Deployment(name="fixed", model="churn", targets=(Target(version="1"),)), ANN)
    assert [each.name for each in change.following(backend, "churn", "champion")] == ["live"]
    assert change.following(backend, "churn", "challenger") == ()
    change.stop(backend, "live", ANN)
    assert change.following(backend, "churn", "champion") == ()


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(
    "name", [*(text for text in HOSTILE.values() if text.strip()), ".", "..", "../../etc", "x" * 5000]
)
def test_a_name_never_leaves_its_folder(name: str, tmp_path: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        pytest.skip("the store takes no lone surrogate")
    found = folder_of(tmp_path, name)
    assert found.parent == tmp_path / "deployments"
    assert found.resolve() == found
    found.mkdir(parents=True)


def test_names_that_differ_have_folders_that_do(tmp_path: Path) -> None:
    names = ["a", "A", "a/b", "a%2Fb", ".", "..", "x" * 500, "x" * 501]
    assert len({folder_of(tmp_path, name) for name in names}) == len(names)


def test_a_socket_path_is_short_enough_wherever_the_workspace_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    for folder in (tmp_path, deep):
        assert len(os.fsencode(socket_for(folder))) <= LONGEST + 10
    assert socket_for(deep) == socket_for(deep) != socket_for(deep / "x")


def test_only_what_a_running_server_cannot_be_told_makes_it_start_anew(backend: Backend) -> None:
    made = begun(backend)
    before = launched_with(made)
    split = (Target(alias="champion", share=0.5), Target(alias="challenger", share=0.5))
    for same in ({"targets": split}, {"workers": 4}, {"note": "x"}, {"guard": Guard()}):
        assert launched_with(msgspec.structs.replace(made, **same)) == before
    for other in ({"port": 8081}, {"token_file": "/t"}, {"sample": 0.5}, {"redact": ("name",)}, {"key": "customer"}):
        assert launched_with(msgspec.structs.replace(made, **other)) != before


# ---------------------------------------------------------------- a server that an agent left


def test_a_server_whose_agent_died_before_noting_it_is_found_by_its_mark(tmp_path: Path) -> None:
    record = ServerRecord(socket="s", launched="l")
    (tmp_path / "server.json").write_bytes(msgspec.json.encode(record))
    assert server_process.find(tmp_path) is None
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, MARK: str(tmp_path)}
    )
    try:
        found = server_process.find(tmp_path)
        assert found is not None
        assert found.process is not None
        assert found.process.pid == process.pid
        assert server_process.find(tmp_path) == found  # it is noted
        assert server_process.end_leftovers(tmp_path) == 1
        assert process.wait(120) == -signal.SIGKILL
        assert not is_alive(found.process)
        assert server_process.find(tmp_path) is None
    finally:
        process.kill()


# ---------------------------------------------------------------- counting for the guard


def said(
    requests: dict[str, tuple[int, int]], keys: dict[str, tuple[int, int]] | None = None, *, started: int = 1
) -> State:
    """Of each version (requests, of which failed), of each target (keys, of which failed)."""
    return State(
        deployment="live",
        model="churn",
        url="",
        pid=7,
        started_at=started,
        at=0,
        draining=False,
        targets=(
            TargetState(target="@champion", alias="champion", version="1", share=0.5),
            TargetState(target="@challenger", alias="challenger", version="2", share=0.5),
        ),
        versions=tuple(
            VersionState(version=version, requests=count, errors={"500": failed}, times=(count, 0))
            for version, (count, failed) in requests.items()
        ),
        tallies=tuple(
            TargetTally(target=target, keys=count, failed=failed, times=(count, 0), scores=(count,))
            for target, (count, failed) in (keys or {}).items()
        ),
        workers=(),
        swaps=0,
        logged=0,
        log_dropped=0,
        log_trouble="",
        shadow_dropped=0,
    )


def test_the_guard_counts_from_the_split_on_over_servers_and_agents(backend: Backend, tmp_path: Path) -> None:
    begun(backend)
    deployment = change.canary(backend, "live", 0.5, ANN)
    told: list[str] = []
    Watchman(backend, tmp_path, told.append).look(deployment, said({"1": (1000, 500)}))  # before the split
    first = said({"1": (1030, 500), "2": (20, 1)}, {"@champion": (30, 0), "@challenger": (20, 1)})
    Watchman(backend, tmp_path, told.append).look(deployment, first)
    watchman = Watchman(backend, tmp_path, told.append)
    # Another server counts from nothing, and knows its own callers alone.
    anew = said({"1": (5, 0), "2": (5, 0)}, {"@champion": (4, 0), "@challenger": (3, 0)}, started=2)
    watchman.look(deployment, anew)
    courses = watched_of(tmp_path).courses
    assert {name: (each.requests, each.keys, each.failed) for name, each in courses.items()} == {
        "@champion": (35, 4, 0),
        "@challenger": (25, 3, 0),
    }
    assert told == []
    bad = {"@champion": (300, 3), "@challenger": (300, 60)}
    watchman.look(deployment, said({"1": (305, 3), "2": (305, 60)}, bad, started=2))
    halted = backend.need("deployments").get("live")
    assert [each.label for each in halted.targets] == ["champion"]
    assert "challenger (v2) was stopped" in halted.halted
    assert len(told) == 1
    entry = backend.need("journal").page(limit=1).items[0]
    assert (entry.action, entry.actor) == ("deploy.halt", "agent")
    assert "errors" in [gate.gate for gate in entry.gates if gate.status == "fail"]


def test_the_guard_does_not_overrule_what_a_person_changed_meanwhile(backend: Backend, tmp_path: Path) -> None:
    begun(backend)
    seen = change.canary(backend, "live", 0.5, ANN)
    watchman = Watchman(backend, tmp_path, lambda _: None)
    watchman.look(seen, said({}))
    change.split(backend, "live", [Target(alias="challenger")], ANN)
    bad = {"@champion": (300, 3), "@challenger": (300, 60)}
    watchman.look(seen, said({"1": (300, 3), "2": (300, 60)}, bad))
    assert [each.label for each in backend.need("deployments").get("live").targets] == ["challenger"]


def test_one_caller_of_many_bad_requests_stops_nothing_and_a_person_is_asked(backend: Backend, tmp_path: Path) -> None:
    begun(backend)
    deployment = change.canary(backend, "live", 0.5, ANN)
    watchman = Watchman(backend, tmp_path, lambda _: None)
    watchman.look(deployment, said({}))
    one = {"@champion": (14, 0), "@challenger": (2, 2)}
    watchman.look(deployment, said({"1": (5_000, 0), "2": (1_000, 1_000)}, one))
    assert backend.need("deployments").get("live").halted == ""
    assert "only 2 callers" in watched_of(tmp_path).undecided
    assert "only 2 callers" in needs_of(deployment, (), watched_of(tmp_path))


# ---------------------------------------------------------------- container context


@pytest.mark.parametrize(
    ("name", "expected"), [("Churn Model", "churn-model"), ("7", "m-7"), ("../x", "x"), ("日本", "m")]
)
def test_names_become_labels_that_registries_take(name: str, expected: str) -> None:
    assert label(name) == expected


def test_everything_is_pinned_and_what_the_model_was_made_with_to_what_it_was_then(backend: Backend) -> None:
    version = backend.need("registry").version("churn", "1")
    old = msgspec.structs.replace(version, file=ModelFile(libraries={"scikit-learn": "1.7.0", "python": "3.11.7"}))
    pins = pinned(old)
    assert "scikit-learn==1.7.0" in pins
    assert all("==" in pin for pin in pins)
    names = {pin.partition("==")[0] for pin in pins}
    assert {"httptools", "numpy", "pandas", "skops"} <= names
    assert not {"textual", "httpx", "optuna", "mlflow"} & names
