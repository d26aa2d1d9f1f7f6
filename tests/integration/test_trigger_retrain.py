"""Retraining unattended: fresh rows, checks, a run, the gates, a challenger; and an agent killed at every step."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Mutation
from backends.entities import Alert, AlertState, Firing, FiringState, Monitor
from backends.local import open_local
from console.agent import agent_log, ensure_agent, stop_agent
from console.data.importing import import_file
from console.triggers.create import create_trigger, fire, told
from console.triggers.definition import parse_trigger
from tests.monitored import FEATURES, register, traffic, until

ME = Mutation("ann@box", "a test")
RECIPE = """\
dataset = "{dataset}"
target = "late"
task = "classification"
positive = "yes"
columns = ["weight", "distance", "carrier"]
system_metrics = false
[split]
test = 0.3
[estimator]
class = "{estimator}"
params = {{ {params} }}
"""
GOOD = RECIPE.format(dataset="fresh", estimator="sklearn.linear_model.LogisticRegression", params="C = 1.0")
USELESS = RECIPE.format(dataset="noise", estimator="sklearn.dummy.DummyClassifier", params='strategy = "uniform"')

NURSERY = """\
import importlib, os, pathlib, signal, sys
from backends.local.triggers import LocalTriggers
for name in sys.argv.pop(1).split(","):
    importlib.import_module(name)
from console.agent.__main__ import main
marks = pathlib.Path(os.environ["MARKS"])
put, fire = LocalTriggers.put_firing, LocalTriggers.fire
def once(point):
    try:
        (marks / point).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
def deadly(self, firing):
    point = f"{firing.step or 'none'}-{firing.state}-{len(firing.steps)}"
    once(f"{point}-before")
    put(self, firing)
    once(f"{point}-after")
def deadly_fire(self, firing, status):
    once("fire-before")
    fired = fire(self, firing, status)
    once("fire-after")
    return fired
LocalTriggers.put_firing, LocalTriggers.fire = deadly, deadly_fire
for _ in sys.stdin:
    child = os.fork()
    if not child:
        os.setsid()
        os._exit(main())
    os.write(1, b"%d\\n" % child)
    os.write(1, b"%d\\n" % os.waitpid(child, 0)[1])
"""
"""Bears an agent for each line that it is told: a process of its own, killed as any other, that need not import all of
it again. A score of starts would take minutes otherwise."""
ALL = (
    "console.agent.work,console.agent.protocol,console.triggers.carry,console.triggers.round,console.triggers.gather,"
    "console.data.offloaded,console.training.start,console.training.admit,console.promotion.promote,"
    "console.promotion.register,uvicorn"
)


class Nursery:
    """Agents of a workspace, one after the other, that are killed at every point at which nobody was killed yet."""

    def __init__(self, home: Path, marks: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY, ALL, "--workspace", str(home)],
            env={**os.environ, "MARKS": str(marks), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is not read yet has to be seen by select
        )
        self.pid = 0

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def bear(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"one more\n")
        self.pid = int(self._said())

    def is_dead(self) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def end(self) -> int:
        """Which signal it ended by; one that lives is asked to."""
        if not self.is_dead():
            os.kill(self.pid, signal.SIGTERM)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status := int(self._said())) else 0

    def _said(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a champion `deliveries`, a monitor on a folder, and rows with late labels in it."""
    place = tmp_path_factory.mktemp("retrain")
    home = place / "workspace"
    backend = open_local(home)
    train, held = traffic(1500, 1), traffic(1000, 1001)
    labels, truth = train["late"].to_numpy(), held["late"].to_numpy()
    register(backend, home / "made", "deliveries", train[FEATURES], labels, held[FEATURES], truth, iterations=5)
    folder = place / "in"
    folder.mkdir()
    for day in (1, 2, 3):
        rows = traffic(500, day, day=f"2024-04-0{day}", shift=1.0)
        rows[["id", "at", *FEATURES]].to_csv(folder / f"day{day}.csv", index=False)
        rows[["id", "late"]].iloc[:400].to_csv(folder / f"labels{day}.csv", index=False)
    backend.need("monitors").put(
        Monitor(
            name="live", model="deliveries", source=str(folder), id_column="id", label_column="late", time_column="at",
            paused=True,
        ),
        ME,
    )  # fmt: skip
    for name in ("fresh", "noise"):
        traffic(1500, 9).drop(columns=["id"]).to_csv(place / f"{name}.csv", index=False)
        import_file(backend.need("datasets"), place / f"{name}.csv", name, ME)
    backend.close()
    return place


@pytest.fixture
def backend(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    shutil.copytree(template / "workspace", tmp_path / "workspace")
    made = open_local(tmp_path / "workspace")
    yield made
    stop_agent(tmp_path / "workspace")
    made.close()


def home_of(backend: Backend) -> Path:
    assert backend.home is not None
    return backend.home


def add(backend: Backend, name: str, recipe: str, when: str, do: str = "", limits: str = "") -> None:
    deed = f"[do]\nretrain = '''\n{recipe}'''\nmodel = \"deliveries\"\n{do}"
    text = f'name = "{name}"\n[when]\n{when}\n{deed}\n{limits}\n'
    create_trigger(backend, parse_trigger(text, "test", base=home_of(backend)), ME)


def ended(backend: Backend, name: str) -> Firing:
    def look() -> Firing | None:
        return next((each for each in backend.need("triggers").firings(name) if each.state.ended), None)

    try:
        found: Firing = until(look, seconds=240, what=f"the end of {name}")
    except AssertionError:
        raise AssertionError(f"{backend.need('triggers').firings(name)}\n{agent_log(home_of(backend))}") from None
    return found


def test_an_agent_that_is_killed_at_every_step_retrains_once(backend: Backend, tmp_path: Path) -> None:
    add(
        backend,
        "again",
        GOOD.replace('"fresh"', '"live-labelled"'),
        'alert = "live"\nseverity = "critical"',
        'rows_of = "live"',
    )
    backend.need("monitors").put_alert(
        Alert(id="a1", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="AUC 0.61",
              severity="critical")
    )  # fmt: skip
    marks = tmp_path / "marks"
    marks.mkdir()
    store = backend.need("triggers")
    deaths = 0
    with Nursery(home_of(backend), marks) as nursery:

        def settled() -> bool:
            """It was killed, or nothing is left to be killed at."""
            over = len(list(marks.glob("*-done-*"))) == 2 and any(e.state.ended for e in store.firings("again"))
            return over or nursery.is_dead()

        for _ in range(60):
            nursery.bear()
            try:
                until(settled, seconds=240)
            finally:
                killed = nursery.end() == signal.SIGKILL
                deaths += killed
            if not killed:
                break
    done = ended(backend, "again")
    assert done.state is FiringState.DONE, done
    assert deaths >= 18, sorted(each.name for each in marks.iterdir())
    assert [step.step for step in done.steps] == [
        "data", "check", "train", "wait", "register", "judge", "challenger", "promote",
    ]  # fmt: skip
    assert done.dataset == "live-labelled@1"
    data = backend.need("datasets").version("live-labelled")
    assert (data.version, data.rows) == ("1", 1200)
    assert {column.name for column in data.columns} == {*FEATURES, "late"}
    runs = backend.need("runs").page(limit=50).items
    assert len([run for run in runs if run.tags.get("console.trigger") == "again"]) == 1
    aliases = backend.need("registry").get("deliveries").aliases
    assert aliases == {"champion": "1", "challenger": "2"}
    assert backend.need("registry").version("deliveries", "2").run == done.run
    journal = backend.need("journal")
    entries = [entry for entry in journal.page(limit=500).items if entry.actor == "trigger:again"]
    counted = [entry.action for entry in entries]
    for action in ("trigger.fire", "trigger.end", "model.register", "model.promote", "dataset.import"):
        assert counted.count(action) <= 1, counted
    assert {"trigger.fire", "trigger.end", "model.register", "model.promote"} <= set(counted)
    assert all("alert a1 on live: AUC 0.61" in entry.reason for entry in entries)
    assert journal.verify()[1] == ""


def test_a_version_that_fails_its_gates_stays_a_version_alone(backend: Backend) -> None:
    add(backend, "noisy", USELESS, "hand = true", "promote = true", "[limits]\nfailures = 1")
    (home_of(backend) / "policies.toml").write_text("[[promotion]]\nunattended = true\n")
    ensure_agent(home_of(backend))
    fire(backend, "noisy", ME)
    refused = ended(backend, "noisy")
    assert refused.state is FiringState.REFUSED
    assert "deliveries v2 stays a version alone, judged against champion v1: " in refused.reason
    assert backend.need("registry").get("deliveries").aliases == {"champion": "1"}
    store = backend.need("triggers")
    until(lambda: store.get("noisy").status.state == "stopped")
    assert "failed 1 time in a row" in store.get("noisy").status.reason


def test_it_promotes_only_where_trigger_and_policy_both_say_so(backend: Backend) -> None:
    add(backend, "live", GOOD, 'dataset = "fresh"', "promote = true", '[limits]\ncooldown = "0"')
    would = told(backend, "live")
    assert "train on fresh@1 (1\u202f500 rows)" in would.replace("\u2009", "\u202f")
    assert would.endswith("the policy keeps a trigger from promoting it to champion")
    policy = home_of(backend) / "policies.toml"
    ensure_agent(home_of(backend))
    fire(backend, "live", ME)
    first = ended(backend, "live")
    assert (first.state, "does not let a trigger promote to champion" in first.reason) == (FiringState.DONE, True)
    assert backend.need("registry").get("deliveries").aliases == {"champion": "1", "challenger": "2"}
    policy.write_text(
        '[[promotion]]\nunattended = true\n[[promotion]]\nalias = "challenger"\ngates = { holder = "off" }\n'
    )
    more = traffic(1600, 10).drop(columns=["id"])
    more.to_csv(home_of(backend) / "more.csv", index=False)
    import_file(backend.need("datasets"), home_of(backend) / "more.csv", "fresh", ME)
    until(lambda: sum(each.state.ended for each in backend.need("triggers").firings("live")) == 2, seconds=240)
    second = backend.need("triggers").firings("live")[0]
    assert second.cause == "new version fresh@2 with 1\u2009600 rows".replace("\u2009", second.cause[-9])
    assert (second.state, second.reason) == (FiringState.DONE, "deliveries champion: v1 → v3"), second
    assert backend.need("registry").get("deliveries").aliases["champion"] == "3"
    (moved,) = [
        each
        for each in backend.need("journal").page(limit=200).items
        if each.action == "model.promote" and each.actor == "trigger:live" and each.after.get("alias") == "champion"
    ]
    assert "new version fresh@2" in moved.reason
