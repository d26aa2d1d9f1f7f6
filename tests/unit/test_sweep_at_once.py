"""How many trials of a sweep run at once where nobody says so: one here, on a cluster as many as it has room for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.entities import ClusterRoom, LauncherRef, LaunchSpec, Needs
from backends.local import open_local
from backends.ray.engine import open_ray
from backends.slurm.engine import open_slurm
from backends.slurm.room import read_sinfo
from console.training.channel import Channel
from console.training.recipe import parse_recipe
from console.training.sweep import controller as controller_module
from console.training.sweep.at_once import MOST, at_once
from console.training.sweep.controller import Controller, SweepJob
from console.training.sweep.space import SweepPlan
from tests.instant import ME, Instant, begun, found, recipe


@pytest.mark.parametrize(
    ("given", "fits", "wanted"),
    [
        ({"sampler": "random"}, None, 1),
        ({"sampler": "random", "parallel": 7}, None, 7),
        ({"sampler": "random", "parallel": 7}, 500, 7),
        ({"sampler": "random", "trials": 200}, 12, 12),
        ({"sampler": "random", "trials": 5}, 12, 5),
        ({"sampler": "grid", "trials": 5_000}, 4_000, MOST),
        ({"sampler": "tpe", "trials": 200}, 80, 50),
        ({"sampler": "tpe", "trials": 20}, 80, 10),
        ({"sampler": "tpe", "trials": 4}, 80, 4),
        ({"sampler": "tpe", "trials": 200}, 0, 1),
    ],
)
def test_as_many_as_fit_within_bounds(given: dict[str, Any], fits: int | None, wanted: int) -> None:
    assert at_once(SweepPlan(**given), fits) == wanted


def test_a_recipe_that_says_nothing_leaves_it_open_and_a_negative_number_is_refused() -> None:
    base = (
        'dataset = "d"\ntarget = "y"\ntask = "regression"\n[estimator]\nclass = "sklearn.linear_model.X"\n'
        "[sweep.space.a]\nlow = 1\nhigh = 2\n"
    )
    plan = parse_recipe(base).sweep
    assert plan is not None
    assert plan.parallel == 0
    with pytest.raises(Exception, match=r"sweep\.parallel: is -1, wanted 0 to"):
        parse_recipe(base + "[sweep]\nparallel = -1\n")


RAY = ClusterRoom(
    nodes=3, total=Needs(cpu=16, memory=64_000_000_000, gpu=2), taken=Needs(cpu=9), totals={"tpu": 3.0}
)  # fmt: skip


@pytest.mark.parametrize(
    ("needs", "options", "fits"),
    [
        (Needs(), {}, 16),
        (Needs(cpu=0.5), {}, 32),
        (Needs(cpu=5), {}, 3),
        (Needs(gpu=1), {}, 2),
        (Needs(cpu=1, memory=30_000_000_000), {}, 2),
        (Needs(), {"resource.tpu": "1"}, 3),
        (Needs(cpu=8), {"resource.tpu": "1"}, 2),
        (Needs(), {"resource.unheard_of": "1"}, 0),
        (Needs(cpu=100), {"partition": "work"}, 0),
    ],
)
def test_rays_room_is_counted_in_what_a_run_asks_for(needs: Needs, options: Mapping[str, str], fits: int) -> None:
    engine = open_ray(LauncherRef(url="ray+http://127.0.0.1:1"))
    assert engine.fits(needs, options, RAY) == fits
    engine.close()


def line(node: str, partition: str, cpus: str, gres: str = "(null)") -> str:
    widths = (128, 64, 32, 32, 20, 20, 128, 128)
    values = (node, partition, "idle", cpus, "64000", "0", gres, "gpu:0")
    return "".join(value.ljust(width) for value, width in zip(values, widths, strict=True))


SLURM = read_sinfo(
    "\n".join([line("a", "work", "4/12/0/16"), line("b", "work", "0/16/0/16"), line("g", "cards", "0/8/0/8", "gpu:4")])
)


@pytest.mark.parametrize(
    ("needs", "options", "fits"),
    [
        (Needs(), {}, 40),
        (Needs(cpu=1.5), {}, 20),
        (Needs(), {"partition": "work"}, 32),
        (Needs(cpu=4), {"partition": "cards"}, 2),
        (Needs(cpu=4), {"partition": "cards,work"}, 10),
        (Needs(gpu=1), {}, 4),
        (Needs(), {"qos": "high"}, 40),
    ],
)
def test_slurms_room_is_that_of_the_partition(needs: Needs, options: Mapping[str, str], fits: int) -> None:
    assert open_slurm(LauncherRef(url="slurm:")).fits(needs, options, SLURM) == fits
    if "partition" in options:
        site = open_slurm(LauncherRef(url="slurm:", options=dict(options)))
        assert site.fits(needs, {}, SLURM) == fits


class Cluster(Instant):
    """A launcher that keeps its runs until as many as wanted are there, and tells what room it has."""

    engine = "lab"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.room: int | None = None
        self.held: list[LaunchSpec] = []
        self.most = 0
        self.asked: list[tuple[Needs, dict[str, str]]] = []

    def fits(self, needs: Needs, options: Mapping[str, str]) -> int | None:
        self.asked.append((needs, dict(options)))
        return self.room

    def submit(self, spec: LaunchSpec, mutation: Any) -> None:
        self.held.append(spec)
        self.most = max(self.most, len(self.held))

    def let_go(self) -> None:
        for spec in self.held:
            super().submit(spec, ME)
        self.held.clear()


def test_a_sweep_on_a_cluster_fills_it_and_follows_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "ROOM_S", 0.0)
    text = recipe(24, parallel=0, sampler="random")
    text = text.replace("[sweep]\n", '[needs]\ncpu = 2\n[launch]\npartition = "work"\n[sweep]\n', 1)
    sweep = begun(tmp_path, text)
    backend = open_local(tmp_path)
    cluster = Cluster(backend)
    stand_in = msgspec.structs.replace(backend, launcher=cluster, launches_on=LauncherRef(url="lab:"))
    channel, notes, most = Channel(), list[str](), list[int]()
    monkeypatch.setattr(channel, "note", notes.append)
    monkeypatch.setattr(channel, "say", lambda **_: None)
    job = SweepJob(place=str(tmp_path), sweep=sweep.id, actor=ME.actor, root=sweep.id)
    controller = Controller(stand_in, job, text, channel)

    def wait() -> None:
        most.append(len(cluster.held))
        cluster.room = {1: 4, 2: 9}.get(len(most), 3)
        cluster.let_go()

    monkeypatch.setattr(controller, "_wait", wait)
    assert controller.run() == "24 trials were tried"
    backend.close()
    assert most[:4] == [1, 4, 9, 3], "one while nothing is known of it"
    assert cluster.asked[0] == (Needs(cpu=2), {"partition": "work"})
    assert "up to 9 trials run at once: the cluster has room for 9 such runs" in notes
    assert len(found(tmp_path, sweep)) == 24
