"""Models in a real container registry: the whole path, and two consoles at once.

What the contract promises of every registry is in `tests/contract`, row `oci`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LogisticRegression

from backends.contract import (
    Conflict,
    Mutation,
)
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.serving.fetched import fetch_version
from console.serving.invocations import Call
from console.serving.loaded import load
from tests.oci_server import OciServer, needs_registry
from tests.oci_world import ANN, BOB, World, comparing, oci_world, register, story
from tests.serving import fitted, json_rows, keep_version, labels, point, rows, serving

pytestmark = needs_registry
ROOT = Path(__file__).parents[2]
FRAME = rows(200)


@pytest.fixture
def world(container_registry: OciServer, tmp_path: Path) -> Iterator[World]:
    with oci_world(container_registry, tmp_path) as made:
        yield made


def test_a_model_goes_its_whole_way_and_another_console_reads_serves_and_promotes_it(world: World) -> None:
    ann = world.console("ann")
    for number, target in enumerate((labels(FRAME), labels(FRAME)[::-1])):
        pipeline = fitted(FRAME, target, LogisticRegression(max_iter=200))
        assert keep_version(ann, world.folder / str(number), pipeline, FRAME).version == str(number + 1)
    # No rule of retention takes their runs, though the sidecar knows of no versions.
    held = {run.needed for run in ann.need("retention").holdings().runs}
    assert held == {"registered as parcels@1", "registered as parcels@2"}
    # A registration is one line of the journal.
    assert [entry.action for entry in ann.need("journal").page().items if entry.action != "run.create"] == [
        "model.register", "model.register"
    ]  # fmt: skip
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


# ---------------------------------------------------------------- two at once


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
    for _ in range(2):
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
