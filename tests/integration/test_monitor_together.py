"""All columns of a monitor's rows together: by the command, and by whoever scores, kept with the newest window."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backends.contract import Backend, Invalid, NotFound
from console.cli.main import main
from console.monitoring.counted.profile import REFERENCE_SAMPLE
from console.monitoring.create import create_monitor
from console.monitoring.drift.multivariate_review import review_together
from console.monitoring.feeds.ingest import ingest_batch
from tests.monitored import FEATURES, WHO, deliveries, traffic


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together") / "w"


@pytest.fixture(scope="module")
def backend(home: Path) -> Iterator[Backend]:
    made = deliveries(home)
    yield made
    made.close()


def test_a_relation_that_turned_is_told_and_kept(
    backend: Backend, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    create_monitor(backend, "d", "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id")
    with pytest.raises(Invalid, match="counted nothing yet"):
        review_together(backend, "d")
    day = traffic(600, 3)
    # Heavy parcels go far now: each column keeps its values, in another order.
    order = np.argsort(day["weight"].to_numpy(), kind="stable")
    day.loc[day.index[order], "distance"] = np.sort(day["distance"].to_numpy())
    file = home / "day.csv"
    day.to_csv(file, index=False)
    assert ingest_batch(backend, "d", file).state == "stored"
    with pytest.raises(NotFound, match="kept no rows to hold others against"):
        review_together(backend, "d")
    run = backend.need("registry").version("deliveries", "1").run
    kept = home / "sample.parquet"
    traffic(1500, 77)[FEATURES].to_parquet(kept)
    backend.need("artifacts").put(run, REFERENCE_SAMPLE, kept)
    assert main(["--workspace", str(home), "--json", "monitor", "together", "d"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["domain"]["low"] > 0.6
    (window,) = backend.need("monitors").windows("d")
    assert set(window.multivariate) == {"reconstruction", "domain"}
    assert [score.fault for score in window.columns] == ["", "", ""]
    # Rows that come later leave it there.
    more = traffic(50, 4)
    more["id"] = "later-" + more["id"]
    more.to_csv(file, index=False)
    assert ingest_batch(backend, "d", file).state == "stored"
    (window,) = backend.need("monitors").windows("d")
    assert (window.rows, set(window.multivariate)) == (650, {"reconstruction", "domain"})
    assert main(["--workspace", str(home), "monitor", "together", "d"]) == 0
    assert "area under its ROC curve" in capfd.readouterr().out
