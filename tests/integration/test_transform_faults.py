"""A transform that is stopped, or whose process is killed, leaves nothing half made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.contract import BackendError
from backends.entities import Progress
from console.data.transform.job import TransformJob, transform_offloaded
from console.offload import Cancelled
from tests.held import hold_at
from tests.transforming import ACTOR, Bench, bench

RECIPE = """
[[step]]
do = "split"
key = ["id"]
[[step]]
do = "dedupe"
[[step]]
do = "impute"
columns = ["x"]
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        rng = np.random.default_rng(0)
        made.take(pd.DataFrame({"id": np.arange(600_000), "x": rng.normal(size=600_000)}))
        (tmp_path / "recipe.toml").write_text(RECIPE)
        yield made


def nothing_was_made(desk: Bench) -> bool:
    return [each.name for each in desk.backend.need("datasets").page().items] == ["table"] and not desk.backend.need(
        "definitions"
    ).page("transform").items


@pytest.mark.parametrize("stage", ["learning, reading 1", "writing"])
def test_stopped_at_any_stage_it_leaves_nothing_and_can_be_begun_again(
    desk: Bench, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold_at(stage, tmp_path, monkeypatch)
    job = TransformJob(ref="table", file=str(tmp_path / "recipe.toml"))
    seen: list[str] = []

    def follow(progress: Progress) -> None:
        seen.append(progress.stage)

    def stop() -> bool:
        return any(each.startswith(stage) for each in seen)

    with pytest.raises(Cancelled):
        transform_offloaded(desk.backend, job, ACTOR, on_progress=follow, cancel=stop)
    assert nothing_was_made(desk)
    assert not list((desk.home / "tmp").iterdir())
    held.unlink()
    made = transform_offloaded(desk.backend, job, ACTOR)
    assert sum(part.version.rows for part in made.parts) == 600_000


def test_a_killed_process_is_told_and_what_it_left_goes_with_the_next_one(
    desk: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TransformJob(ref="table", file=str(tmp_path / "recipe.toml"))
    tripwire = tmp_path / "site" / "sitecustomize.py"
    tripwire.parent.mkdir()
    tripwire.write_text(
        "import os, sys\n"
        "if 'console.data.worker' in sys.orig_argv:\n"
        "    import console.data.parquet_out as out\n"
        "    out.ParquetOut.finish = lambda self: os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tripwire.parent), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(BackendError, match="ended without a result"):
        transform_offloaded(desk.backend, job, ACTOR)
    assert nothing_was_made(desk)
    assert list((desk.home / "tmp").iterdir())
    tripwire.unlink()
    transform_offloaded(desk.backend, job, ACTOR)
    assert not list((desk.home / "tmp").iterdir())
