"""Segments and protected groups: matched as the query language says, counted once, reached by late labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fair
from sklearn.metrics import accuracy_score

from backends.contract import Backend, Conflict, Invalid, NotFound
from backends.entities import Column, ColumnType, Segment
from backends.query import matches
from console.monitoring.counted.counts import Counts, pack, unpack
from console.monitoring.counted.members import count_groups, mask_of, members_of
from console.monitoring.counted.segments import add_segment, protect_columns, read_segment, remove_segment
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import load_champion, scores_of
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.feeds.sample import keep_sample, read_sample
from console.monitoring.folder import monitor_folder
from console.monitoring.quality.bias import MISSING, MOST_GROUPS, OTHER, add_groups, bias_of, rates_of
from console.monitoring.ranges import merged
from tests.monitored import FEATURES, WHO, deliveries, traffic

COLUMNS = (
    Column(name="Weight", type=ColumnType.FLOAT),
    Column(name="carrier", type=ColumnType.STRING),
    Column(name="odd name", type=ColumnType.STRING),
    Column(name="fast", type=ColumnType.BOOL),
)
CONDITIONS = (
    "weight > 1.5",
    "not weight > 1.5",
    "carrier = a and weight < 5",
    "`odd name` in (x, z) or weight >= 7",
    "not has:carrier",
    "carrier is null",
    "fast = true",
    "carrier not in (a)",
    "carrier ~ A",
    "carrier like 'a%' or weight = 2",
    "weight != 2",
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


def watch(backend: Backend, name: str, **more: Any) -> Any:
    monitor = create_monitor(
        backend, name, "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id", **more
    )
    return load_champion(backend, monitor)


def send(backend: Backend, monitor: str, file: Path, frame: pd.DataFrame, champion: Any) -> Any:
    frame.to_csv(file, index=False)
    return ingest_batch(backend, monitor, file, champion=champion)


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_condition_holds_for_the_rows_that_the_query_language_says(where: str) -> None:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "Weight": rng.choice([1, 2, 7.5, np.nan], 60),
            "carrier": rng.choice(np.array(["a", "b", "Ab", None], dtype=object), 60),
            "odd name": rng.choice(np.array(["x", "y", "z", None], dtype=object), 60),
            "fast": pd.array(rng.choice(np.array([True, False, None], dtype=object), 60), dtype="boolean"),
        }
    )
    node = read_segment(Segment(name="s", where=where), COLUMNS)
    by_name = {column.name.lower(): column.name for column in COLUMNS}

    def expected(row: Any) -> bool:
        def lookup(key: Any) -> Any:
            value = row[by_name[key.name]]
            return None if pd.isna(value) else bool(value) if isinstance(value, np.bool_) else value

        return matches(node, lookup)

    assert mask_of(node, rows, COLUMNS).tolist() == [expected(row) for _, row in rows.iterrows()]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("wieght > 1", "did you mean weight?"),
        ("weight > heavy", "'heavy' is no number"),
        ("carrier > 3", "carrier is a text"),
        ("hermes", "compares no column"),
        ("", "has no condition"),
        ("weight > 1 order by weight", "no order"),
        ("(weight > 1", "'(' is not closed"),
    ],
)
def test_a_condition_that_cannot_be_read_says_why(where: str, said: str) -> None:
    with pytest.raises(Invalid, match="segment s") as error:
        read_segment(Segment(name="s", where=where), COLUMNS)
    assert said in str(error.value)


def test_a_segment_is_checked_against_the_features_where_it_is_made(backend: Backend) -> None:
    with pytest.raises(Invalid, match="did you mean distance"):
        watch(backend, "wrong", segments=(Segment(name="far", where="distanse > 300"),))
    with pytest.raises(NotFound):
        backend.need("monitors").get("wrong")
    watch(backend, "checked")
    with pytest.raises(Invalid, match="did you mean carrier"):
        protect_columns(backend, "checked", ["carier"], WHO)
    with pytest.raises(Invalid, match="label column"):
        protect_columns(backend, "checked", ["late"], WHO)
    add_segment(backend, "checked", Segment(name="far", where="distance > 300"), WHO)
    with pytest.raises(Conflict, match="already"):
        add_segment(backend, "checked", Segment(name="far", where="distance > 400"), WHO)
    with pytest.raises(NotFound, match="did you mean far"):
        remove_segment(backend, "checked", "fur", WHO)


def test_segments_count_their_rows_and_late_labels_reach_them(backend: Backend, tmp_path: Path) -> None:
    far = Segment(name="far", where="distance > 300 and carrier in (ups, dhl)")
    champion = watch(
        backend, "late", segments=(far, Segment(name="none", where="weight > 1000")), protected=("carrier",)
    )
    frame = pd.concat([traffic(400, 1, day="2024-03-01"), traffic(300, 2, day="2024-03-02")])
    send(backend, "late", tmp_path / "rows.csv", frame.drop(columns="late"), champion)
    send(backend, "late", tmp_path / "again.csv", traffic(100, 3, day="2024-03-02"), champion)
    inside = (frame["distance"] > 300) & frame["carrier"].isin(["ups", "dhl"])
    store = backend.need("monitors")
    assert store.windows("late", segment="none") == ()
    more = traffic(100, 3, day="2024-03-02")
    added = int(((more["distance"] > 300) & more["carrier"].isin(["ups", "dhl"])).sum())
    first = int(inside[:400].sum())
    assert [window.rows for window in store.windows("late", segment="far")] == [first, int(inside[400:].sum()) + added]
    wrong = frame.iloc[:250][["id", "late"]].assign(late=lambda rows: np.where(rows["late"] == "yes", "no", "yes"))
    send(backend, "late", tmp_path / "wrong.csv", wrong, champion)
    send(backend, "late", tmp_path / "truth.csv", frame[["id", "late"]], champion)
    window = store.windows("late", segment="far")[0]
    day = frame.iloc[:400]
    answers = scores_of(champion, day[FEATURES]) >= 0.5
    right = answers == (day["late"] == "yes").to_numpy()
    assert window.labelled == first
    assert window.performance["accuracy"].value == pytest.approx(right[inside[:400]].mean())
    whole = store.windows("late")[0]
    expected = fair.demographic_parity_difference(day["late"] == "yes", answers, sensitive_features=day["carrier"])
    assert whole.bias["carrier.demographic_parity_difference"].value == pytest.approx(expected)
    odds = fair.equalized_odds_difference(day["late"] == "yes", answers, sensitive_features=day["carrier"])
    assert whole.bias["carrier.equalized_odds_difference"].value == pytest.approx(odds)


def test_a_removed_segment_keeps_its_history_and_its_late_labels(backend: Backend, tmp_path: Path) -> None:
    champion = watch(backend, "gone", segments=(Segment(name="heavy", where="weight > 5"),))
    frame = traffic(200, 8)
    send(backend, "gone", tmp_path / "rows.csv", frame.drop(columns="late"), champion)
    remove_segment(backend, "gone", "heavy", WHO)
    send(backend, "gone", tmp_path / "more.csv", traffic(100, 9), champion)
    send(backend, "gone", tmp_path / "labels.csv", frame[["id", "late"]], champion)
    kept = backend.need("monitors").windows("gone", segment="heavy")
    assert [(window.rows, window.labelled) for window in kept] == [(int((frame["weight"] > 5).sum()),) * 2]
    with pytest.raises(Conflict, match="earlier segment heavy"):
        add_segment(backend, "gone", Segment(name="heavy", where="weight > 6"), WHO)


def test_late_labels_reach_the_sample(backend: Backend, tmp_path: Path) -> None:
    champion = watch(backend, "sampled")
    frame = traffic(80, 11)
    send(backend, "sampled", tmp_path / "rows.csv", frame.drop(columns="late"), champion)
    folder = monitor_folder(backend, "sampled")
    start = backend.need("monitors").windows("sampled")[0].start
    keep_sample(
        folder, frame[FEATURES], at=np.full(80, start), start=start, version=champion.version.version, ids=frame["id"]
    )
    send(backend, "sampled", tmp_path / "labels.csv", frame[["id", "late"]].iloc[:50], champion)
    sample = read_sample(folder).set_index("sample.id")["sample.target"]
    wanted = (frame["late"] == "yes").to_numpy(dtype=float)
    assert np.array_equal(sample.reindex(frame["id"][:50]).to_numpy(), wanted[:50])
    assert sample.reindex(frame["id"][50:]).isna().all()


def test_a_segment_that_does_not_fit_the_version_fails_no_batch(backend: Backend, tmp_path: Path) -> None:
    champion = watch(backend, "unfit")
    store = backend.need("monitors")
    import msgspec

    unfit = (Segment(name="old", where="height > 2"),)
    store.put(msgspec.structs.replace(store.get("unfit"), segments=unfit, protected=("sex",)), WHO)
    record = send(backend, "unfit", tmp_path / "rows.csv", traffic(60, 4), champion)
    assert record.state == "stored"
    assert "segment old" in record.reason
    assert "'sex' is not there" in record.reason


# ---------------------------------------------------------------- bias


def people(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"sex": rng.choice(["f", "m", "x"], rows, p=[0.45, 0.45, 0.1]), "weight": rng.normal(5, 2, rows)}
    )
    scores = rng.random(rows) * np.where(frame["sex"] == "m", 1.0, 0.85)
    return frame, scores, (rng.random(rows) < scores * 0.9).astype(float)


def test_bias_of_windows_together_is_that_of_fairlearn(backend: Backend) -> None:
    champion = watch(backend, "fair", protected=("sex", "weight"))
    monitor = backend.need("monitors").get("fair")
    days = [people(700, seed) for seed in (1, 2, 3)]
    total: Any = {}
    for frame, scores, targets in days:
        members, odd = members_of(frame, frame, monitor, champion.meta.features, champion.profile)
        assert odd == []
        total = add_groups(total, count_groups(members, scores, targets, champion.profile))
    frame = pd.concat([frame for frame, _, _ in days])
    scores, targets = (np.concatenate([day[part] for day in days]) for part in (1, 2))
    found, picked = bias_of(total, "binary"), scores >= 0.5
    for key, oracle in (
        ("demographic_parity_ratio", fair.demographic_parity_ratio),
        ("demographic_parity_difference", fair.demographic_parity_difference),
        ("equalized_odds_difference", fair.equalized_odds_difference),
        ("equal_opportunity_difference", fair.equal_opportunity_difference),
    ):
        estimate = found[f"sex.{key}"]
        assert estimate.value == pytest.approx(oracle(targets, picked, sensitive_features=frame["sex"])), key
        assert estimate.low <= estimate.value <= estimate.high
    gap = fair.MetricFrame(
        metrics=accuracy_score, y_true=targets, y_pred=picked, sensitive_features=frame["sex"]
    ).difference()
    assert found["sex.accuracy_gap"].value == pytest.approx(gap)
    bands = [rates for rates in rates_of(total) if rates.column == "weight"]
    assert len(bands) == 4
    assert sum(rates.rows for rates in bands) == 2100
    rates = next(rates for rates in rates_of(total) if rates.group == "f")
    women = (frame["sex"] == "f").to_numpy()
    assert rates.selection_rate == pytest.approx(picked[women].mean())
    assert rates.accuracy == pytest.approx((picked == targets)[women].mean())


def test_small_groups_are_counted_and_not_compared() -> None:
    groups = {"sex": {"f": (100, 50, 100, 40, 30, 20), "m": (100, 50, 100, 40, 30, 20), "x": (29, 0, 29, 9, 0, 0)}}
    found = bias_of(groups, "binary")
    assert found["sex.demographic_parity_difference"].value == 0
    assert [rates.compared for rates in rates_of(groups)] == [True, True, False]
    few_labels = {"sex": {"f": (100, 50, 20, 4, 3, 2), "m": (100, 25, 100, 40, 30, 20)}}
    assert set(bias_of(few_labels, "binary")) == {
        "sex.demographic_parity_difference",
        "sex.demographic_parity_ratio",
    }


def test_groups_without_end_are_put_together_and_stay_so() -> None:
    many = {"zip": {str(number): (number, 0, 0, 0, 0, 0) for number in range(100)}}
    total = add_groups(add_groups({}, many), {"zip": {"3": (0, 0, 1, 1, 0, 0), "99": (0, 0, 1, 0, 0, 0)}})
    assert len(total["zip"]) == MOST_GROUPS
    assert sum(cells[0] for cells in total["zip"].values()) == sum(range(100))
    assert total["zip"][OTHER][2] == 1
    assert total["zip"]["99"][2] == 1
    assert "zip.demographic_parity_difference" in bias_of(total, "binary")
    assert bias_of({"zip": {OTHER: (500, 9, 0, 0, 0, 0), MISSING: (500, 90, 0, 0, 0, 0)}}, "binary") == {}


def test_groups_are_kept_behind_what_older_consoles_read(backend: Backend, tmp_path: Path) -> None:
    champion = watch(backend, "kept", protected=("carrier",))
    for day in (1, 2):
        send(backend, "kept", tmp_path / f"{day}.csv", traffic(300, day, day=f"2024-03-0{day}"), champion)
    windows = backend.need("monitors").windows("kept")
    counts = unpack(windows[0].counts)
    bare = Counts(counts.layout, counts.rows, counts.cells, counts.sums, counts.new_levels)
    assert len(windows[0].counts) - len(pack(bare)) < 120
    assert unpack(pack(counts)) == counts
    both = merged(windows)
    assert both is not None
    assert sum(cells[0] for cells in both.groups["carrier"].values()) == 600
