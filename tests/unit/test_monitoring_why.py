"""Why a monitor is off: since when, by which feature, carried by which segment, after which changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from backends.contract import Backend, NotFound
from backends.entities import DatasetInput, Monitor, Segment
from console.data.importing import import_file
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import load_champion
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.reasons import data_difference, upstream
from console.monitoring.reasons.data_difference import with_differences
from console.monitoring.reasons.why import why
from console.monitoring.reasons.why_offloaded import explain_offloaded, slices_offloaded
from console.monitoring.reasons.why_rows import explain, find_slices
from tests.monitored import WHO, deliveries, traffic

if TYPE_CHECKING:
    import pandas as pd

DAY = 86_400_000
BEGAN = 12
"""Of 20 days, the first on which hermes is late whatever the rule says, and parcels are heavier."""


def broken(day: int) -> pd.DataFrame:
    frame = traffic(300, day, day=f"2024-03-{day + 1:02d}", shift=1.5 if day >= BEGAN else 0.0)
    if day >= BEGAN:
        hermes = (frame["carrier"] == "hermes").to_numpy()
        flipped = np.where(frame["late"] == "yes", "no", "yes")
        frame["late"] = np.where(hermes, flipped, frame["late"])
    return frame


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    home: Path = tmp_path_factory.mktemp("workspace")
    made = deliveries(home)
    create_monitor(
        made,
        "live",
        "deliveries",
        mutation=WHO,
        time_column="at",
        label_column="late",
        id_column="id",
        segments=(Segment(name="hermes", where="carrier = hermes"), Segment(name="ups", where="carrier = ups")),
    )
    champion = load_champion(made, made.need("monitors").get("live"))
    for day in range(20):
        broken(day).to_csv(home / f"{day}.csv", index=False)
        assert ingest_batch(made, "live", home / f"{day}.csv", champion=champion).state == "stored"
    yield made
    made.close()


def test_why_names_the_day_the_feature_and_the_segment(backend: Backend) -> None:
    found = why(backend, "live")
    began = backend.need("monitors").windows("live")[BEGAN].start
    assert found.onset is not None
    assert found.onset.certain
    assert found.onset.start == found.since == began
    assert found.onset.windows == 8
    assert found.rows == found.labelled == 2400
    assert found.causes[0].column == "weight"
    drawn = found.causes[0].histogram
    assert drawn is not None
    assert sum(drawn.current) == pytest.approx(1.0, abs=0.05)
    assert drawn.current_rows == 2400
    assert sum(cause.weight for cause in found.causes) == pytest.approx(1.0)
    worst, other = found.carriers
    assert worst.name == "hermes"
    assert worst.contribution is not None
    assert worst.contribution > 0.8
    assert other.contribution is not None
    assert other.contribution < 0.2
    assert "AUC" in found.headline
    assert "2024-03-13" in found.headline or "13 Mar" in found.headline
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_changes_near_the_onset_are_told_those_of_the_model_first(backend: Backend) -> None:
    registry = backend.need("registry")
    version = registry.version("deliveries", "@champion")
    registry.set_alias("deliveries", "challenger", version.version, expected=None, mutation=WHO)
    entry = backend.need("journal").page(limit=1).items[0]
    monitor = backend.need("monitors").get("live")
    found, notes = upstream.upstream(backend, monitor, version, entry.at - DAY, entry.at + DAY)
    assert notes == ()
    assert found[0].near
    assert found[0].kind == "promotion"
    assert "deliveries" in found[0].what
    assert not any(each.what.startswith("monitor.") for each in found)
    none, _ = upstream.upstream(backend, monitor, version, 0, DAY)
    assert none == ()
    silent = msgspec.structs.replace(backend, journal=None)
    _, notes = upstream.upstream(silent, monitor, version, 0, DAY)
    assert "no journal" in notes[0]


def test_an_alert_that_is_not_there_and_a_monitor_without_windows_say_so(backend: Backend) -> None:
    with pytest.raises(NotFound, match="no alert nope"):
        why(backend, "live", alert="nope")
    create_monitor(backend, "empty", "deliveries", mutation=WHO)
    with pytest.raises(NotFound, match="counted nothing yet"):
        why(backend, "empty")


def test_sampled_rows_add_the_effect_on_error_slices_and_examples(backend: Backend) -> None:
    found = explain(backend, "live")
    assert found.sampled == 2400
    heavy = next(cause for cause in found.causes if cause.column == "weight")
    assert heavy.effect is not None
    assert "weight from" in heavy.part
    assert sum(cause.weight for cause in found.causes) == pytest.approx(1.0)
    slices = [carrier for carrier in found.carriers if carrier.kind == "slice"]
    assert slices[0].where == "carrier = hermes"
    assert slices[0].contribution is not None
    assert slices[0].contribution > 0.7
    assert found.examples
    assert all(example.answer != example.truth for example in found.examples)
    surest = [abs(example.score - 0.5) for example in found.examples]
    assert surest == sorted(surest, reverse=True)
    assert set(found.examples[0].values) == {"weight", "distance", "carrier"}


def test_reasons_and_slices_are_looked_for_apart(backend: Backend) -> None:
    assert explain_offloaded(backend, "live") == explain(backend, "live")
    began = backend.need("monitors").windows("live")[BEGAN].start
    found = slices_offloaded(backend, "live", since=began)
    assert found.slices[0].where == "carrier = hermes"
    assert found.error is not None
    assert all("hermes" not in each.where for each in find_slices(backend, "live", until=began).slices)
    assert find_slices(backend, "live", until=0).notes


def test_redacted_columns_are_in_no_example(backend: Backend, tmp_path: Path) -> None:
    create_monitor(
        backend, "shy", "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id",
        redact=("distance",),
    )  # fmt: skip
    champion = load_champion(backend, backend.need("monitors").get("shy"))
    broken(15).to_csv(tmp_path / "rows.csv", index=False)
    ingest_batch(backend, "shy", tmp_path / "rows.csv", champion=champion)
    found = explain(backend, "shy")
    assert found.examples
    assert all("distance" not in example.values for example in found.examples)


def test_the_data_by_now_is_held_against_what_the_version_was_trained_on(tmp_path: Path) -> None:
    """Only the worker reads rows; what stored records tell is there before."""
    made = deliveries(tmp_path / "w")
    store, runs = made.need("datasets"), made.need("runs")
    refs = []
    for day, shift in ((1, 0.0), (2, 1.5)):
        frame = traffic(600, day, shift=shift)
        if shift:
            frame = frame.assign(depot="north")
        frame.to_csv(tmp_path / f"{day}.csv", index=False)
        refs.append(import_file(store, tmp_path / f"{day}.csv", "parcels", WHO)[0])
    old, new = refs
    run = runs.create(
        name="trained",
        inputs=(DatasetInput(dataset="parcels", version=old.version, digest=old.digest),),
        mutation=WHO,
    )
    version = msgspec.structs.replace(made.need("registry").version("deliveries", "@champion"), run=run.id)
    monitor = Monitor(name="live", model="deliveries")
    changes, _ = upstream.upstream(made, monitor, version, 0, DAY)  # nothing near the onset
    (change,) = changes
    assert (change.before, change.after, change.near, change.difference) == (old.ref, new.ref, True, ())
    assert "trained on" in change.what
    (told,) = with_differences(made, changes).upstream
    assert any("depot" in line for line in told.difference)
    assert any(line.startswith("weight moved far: PSI") for line in told.difference)
    assert store.version("parcels").ref == new.ref
    made.close()


def test_versions_that_are_large_are_not_read_for_it(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_difference, "CELLS", 0)
    held = backend.need("datasets")
    wide = SimpleNamespace(rows=10, columns=(1, 2))
    monkeypatch.setattr(type(held), "version", lambda _, ref: wide)
    change = upstream.Upstream(at=1, kind="dataset", what="x", before="a@1", after="a@2")
    (told,) = with_differences(backend, [change]).upstream
    assert "mlops-console dataset diff a@1 a@2" in told.difference[0]
