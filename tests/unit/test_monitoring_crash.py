"""A scorer that dies before or after any of its writes: what it did is not done twice, what it did not is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.contract import Backend
from backends.entities import Segment
from backends.local.database import Database
from console.monitoring.counted.counts import unpack
from console.monitoring.create import create_monitor
from console.monitoring.feeds import labels, scored
from console.monitoring.feeds.champion import Champion, load_champion
from console.monitoring.feeds.ingest import ingest_batch
from tests.monitored import WHO, deliveries, traffic


class DiedError(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


class Moments:
    """Counts the moments before and after each write, and dies at one of them."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.seen = at, 0
        write = Database.write

        @contextmanager
        def counted(database: Database, **options: Any) -> Iterator[Any]:
            self.pass_by()
            with write(database, **options) as connection:
                yield connection
            self.pass_by()

        patched.setattr(Database, "write", counted)
        replaced = self._around(scored.write_atomically)
        patched.setattr(scored, "write_atomically", replaced)
        patched.setattr(labels, "write_atomically", replaced)

    def _around(self, write: Callable[..., None]) -> Callable[..., None]:
        def counted(*args: Any, **options: Any) -> None:
            self.pass_by()
            write(*args, **options)
            self.pass_by()

        return counted

    def pass_by(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise DiedError


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


def dropped(folder: Path) -> list[Path]:
    """Early labels, rows of two days, and labels for all with corrections, in the order of their names."""
    rows = pd.concat([traffic(60, 1, day="2024-03-01"), traffic(40, 2, day="2024-03-02")])
    truth = rows[["id", "late"]]
    wrong = truth.iloc[:30].assign(late=np.where(truth.iloc[:30]["late"] == "yes", "no", "yes"))
    files = {"1-early.csv": wrong, "2-rows.csv": rows.drop(columns="late"), "3-labels.csv": truth}
    for name, frame in files.items():
        frame.to_csv(folder / name, index=False)
    return [folder / name for name in files]


def watch(backend: Backend, name: str) -> Champion:
    monitor = create_monitor(
        backend,
        name,
        "deliveries",
        mutation=WHO,
        time_column="at",
        label_column="late",
        id_column="id",
        segments=(Segment(name="far", where="distance > 300"), Segment(name="ups", where="carrier = ups")),
        protected=("carrier",),
    )
    return load_champion(backend, monitor)


def counted(backend: Backend, name: str) -> list[tuple[Any, ...]]:
    """Of the whole, then of each segment: windows, rows, labels, cells, groups, sums."""
    store = backend.need("monitors")
    return [
        (
            (segment, window.start),
            window.rows,
            window.labelled,
            tuple(unpack(window.counts).cells),
            unpack(window.counts).groups,
            unpack(window.counts).sums,
        )
        for segment in ("", "far", "ups")
        for window in store.windows(name, segment=segment)
    ]


def test_every_file_counts_once_wherever_the_scorer_dies(backend: Backend, tmp_path: Path) -> None:
    files = dropped(tmp_path)
    champion = watch(backend, "undisturbed")
    for file in files:
        ingest_batch(backend, "undisturbed", file, champion=champion)
    wanted = counted(backend, "undisturbed")
    assert [found[1:3] for found in wanted[:2]] == [(60, 60), (40, 40)]
    assert len(wanted) == 6
    assert all(rows == labelled > 0 for _, rows, labelled, *_ in wanted)
    at, dead = 1, True
    while dead:
        name = f"dies-{at}"
        watch(backend, name)
        with pytest.MonkeyPatch.context() as patched:
            moments = Moments(patched, at)
            try:
                for file in files:
                    ingest_batch(backend, name, file, champion=champion)
                dead = False
            except DiedError:
                pass
        for file in files:  # as a scorer does that starts again
            ingest_batch(backend, name, file, champion=champion)
        got = counted(backend, name)
        assert len(got) == len(wanted), f"moment {at}"
        for one, other in zip(got, wanted, strict=True):
            assert one[:5] == other[:5], f"moment {at}"
            assert one[5] == pytest.approx(other[5]), f"moment {at}"
        at += 1
    assert moments.seen > 15
