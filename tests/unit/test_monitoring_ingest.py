"""Batches and labels into windows: once each, in any order, by the right version, with changed columns named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from backends.contract import Backend, Conflict, Invalid, NotFound
from backends.entities import AlertState, MonitorState
from console.monitoring.counted.counts import unpack
from console.monitoring.create import create_monitor, delete_monitor
from console.monitoring.drift.histograms import histogram
from console.monitoring.feeds import ingest
from console.monitoring.feeds.batch_log import recent_batches
from console.monitoring.feeds.champion import load_champion, scores_of
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.feeds.labels import ingest_labels
from console.monitoring.folder import monitor_folder
from console.monitoring.read import monitor_view
from tests.monitored import FEATURES, WHO, deliveries, register, traffic

DAY = 86_400_000


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


@pytest.fixture
def monitor(backend: Backend, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name[:60].replace("[", ".").rstrip("]")
    create_monitor(backend, name, "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id")
    yield name
    delete_monitor(backend, name, WHO)


def windows(backend: Backend, monitor: str) -> Any:
    return backend.need("monitors").windows(monitor)


def send(backend: Backend, monitor: str, file: Path, frame: pd.DataFrame) -> Any:
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    elif file.suffix == ".jsonl":
        file.write_text(
            "".join(
                json.dumps(row) + "\n" for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
            )
        )
    else:
        frame.to_csv(file, index=False)
    return ingest_batch(backend, monitor, file)


def test_the_same_rows_count_alike_from_csv_jsonl_and_parquet(backend: Backend, monitor: str, tmp_path: Path) -> None:
    frame = traffic(400, 71)
    frame.loc[:9, "weight"] = np.nan
    frame.loc[5:14, "carrier"] = None
    packed = set()
    for number, suffix in enumerate((".csv", ".jsonl", ".parquet")):
        day = frame.assign(at=frame["at"].str.replace("2024-03-01", f"2024-03-0{number + 1}"))
        record = send(backend, monitor, tmp_path / f"batch{suffix}", day)
        assert (record.state, record.rows, record.scored, record.reason) == ("stored", 400, 400, "")
        packed.add(tuple(unpack(windows(backend, monitor)[-1].counts).cells))
    assert len(packed) == 1


def test_rows_fall_into_their_days_and_batches_of_a_day_add_up(backend: Backend, monitor: str, tmp_path: Path) -> None:
    first = pd.concat([traffic(100, 1, day="2024-03-01"), traffic(50, 2, day="2024-03-02")])
    assert send(backend, monitor, tmp_path / "a.csv", first).windows == 2
    send(backend, monitor, tmp_path / "b.csv", traffic(30, 3, day="2024-03-02"))
    found = windows(backend, monitor)
    assert [window.rows for window in found] == [100, 80]
    assert found[1].start - found[0].start == DAY
    assert backend.need("monitors").get(monitor).rows == 180


def test_the_performance_of_a_window_is_that_of_its_rows(backend: Backend, monitor: str, tmp_path: Path) -> None:
    frame = traffic(1500, 4)
    send(backend, monitor, tmp_path / "a.csv", frame)
    champion = load_champion(backend, backend.need("monitors").get(monitor))
    expected = roc_auc_score(frame["late"] == "yes", scores_of(champion, frame[FEATURES]))
    window = windows(backend, monitor)[0]
    assert window.performance["auc"].value == pytest.approx(expected, abs=2e-3)
    assert window.labelled == 1500


def test_answers_that_are_suddenly_all_wrong_are_told_on_the_second_day(
    backend: Backend, monitor: str, tmp_path: Path
) -> None:
    said = []
    for day in range(1, 6):
        frame = traffic(900, 50 + day, day=f"2024-03-{day:02d}")
        if day > 3:
            frame["late"] = frame["late"].map({"yes": "no", "no": "yes"})
        send(backend, monitor, tmp_path / f"{day}.csv", frame.assign(id=[f"{day}-{row}" for row in range(900)]))
        found = backend.need("monitors").alerts(monitor, open_only=True)
        said.append([(alert.rule, alert.severity) for alert in found if alert.metric == "auc"])
    assert said == [[], [], [], [], [("collapse", "critical")]]
    assert backend.need("monitors").get(monitor).state is MonitorState.FIRING


def test_a_crash_between_two_windows_counts_no_row_twice(
    backend: Backend, monitor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.concat([traffic(100, day, day=f"2024-03-0{day}") for day in (1, 2, 3)])
    calls = []

    def dies(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest, "review", dies)
        with pytest.raises(KeyboardInterrupt):
            send(backend, monitor, tmp_path / "a.csv", frame)
    assert len(windows(backend, monitor)) == 2
    assert ingest_batch(backend, monitor, tmp_path / "a.csv").state == "stored"
    assert [window.rows for window in windows(backend, monitor)] == [100, 100, 100]
    assert ingest_batch(backend, monitor, tmp_path / "a.csv").state == "duplicate"


def test_labels_may_come_later_earlier_twice_and_corrected(backend: Backend, monitor: str, tmp_path: Path) -> None:
    frame = traffic(600, 5)
    truth = frame[["id", "late"]]
    champion = load_champion(backend, backend.need("monitors").get(monitor))
    early = tmp_path / "early.csv"
    truth.iloc[:100].to_csv(early, index=False)
    assert "wait for their prediction" in ingest_batch(backend, monitor, early, champion=champion).reason
    send(backend, monitor, tmp_path / "rows.csv", frame.drop(columns="late"))
    assert windows(backend, monitor)[0].labelled == 100

    wrong = truth.iloc[100:400].assign(late="no")
    record = send(backend, monitor, tmp_path / "wrong.csv", wrong)
    assert (record.state, record.labelled) == ("labels", 300)
    assert send(backend, monitor, tmp_path / "right.csv", truth.iloc[100:]).state == "labels"
    late = tmp_path / "again.csv"
    truth.iloc[::-1].to_csv(late, index=False)
    assert ingest_labels(backend, monitor, late, champion).labelled == 0

    window = windows(backend, monitor)[0]
    assert window.labelled == 600
    assert window.rows == 600
    expected = roc_auc_score(truth["late"] == "yes", scores_of(champion, frame[FEATURES]))
    assert window.performance["auc"].value == pytest.approx(expected, abs=2e-3)
    counts = unpack(window.counts)
    right = (scores_of(champion, frame[FEATURES]) >= 0.5) == (truth["late"] == "yes")
    assert counts.sums[1] == pytest.approx(right.sum())
    assert min(counts.cells) == 0


def test_a_missing_renamed_or_retyped_column_is_an_event_and_no_crash(
    backend: Backend, monitor: str, tmp_path: Path
) -> None:
    store = backend.need("monitors")
    send(backend, monitor, tmp_path / "good.csv", traffic(100, 1, day="2024-03-01"))
    renamed = traffic(100, 2, day="2024-03-02").rename(columns={"distance": "distances"})
    record = send(backend, monitor, tmp_path / "renamed.csv", renamed)
    assert (record.state, record.rows, record.scored) == ("stored", 100, 0)
    assert "'distance' is not in renamed.csv; it has 'distances'" in record.reason
    window = windows(backend, monitor)[-1]
    gone = next(score for score in window.columns if score.column == "distance")
    assert gone.state is MonitorState.FIRING
    assert "not in the newest batch" in gone.reason
    assert window.prediction.reason == "no row was scored"

    retyped = traffic(100, 3, day="2024-03-03").assign(weight="heavy")
    assert "should hold float: no value is, e.g. 'heavy'" in send(backend, monitor, tmp_path / "t.csv", retyped).reason
    some = traffic(100, 4, day="2024-03-04").astype({"weight": object})
    some.loc[:4, "weight"] = "?!"
    record = send(backend, monitor, tmp_path / "some.csv", some)
    assert record.scored == 100
    assert "5 of 100 values are not, e.g. '?!'" in record.reason
    assert {alert.metric for alert in store.alerts(monitor, open_only=True)} == {"schema.weight"}

    send(backend, monitor, tmp_path / "back.csv", traffic(100, 5, day="2024-03-05"))
    assert store.alerts(monitor, open_only=True) == ()
    assert {alert.state for alert in store.alerts(monitor)} == {AlertState.RESOLVED}


def test_when_the_champion_moves_within_a_day_each_version_keeps_its_own_window(
    tmp_path: Path,
) -> None:
    backend = deliveries(tmp_path / "own")
    create_monitor(backend, "m", "deliveries", mutation=WHO, time_column="at", id_column="id", label_column="late")
    frame = traffic(300, 8)
    send(backend, "m", tmp_path / "a.csv", frame.iloc[:200].drop(columns="late"))
    train, held = traffic(2000, 50), traffic(500, 51)
    register(
        backend, tmp_path / "made", "deliveries",
        train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy(),
    )  # fmt: skip
    send(backend, "m", tmp_path / "b.csv", frame.iloc[200:].drop(columns="late"))
    found = windows(backend, "m")
    assert sorted((window.model_version, window.rows) for window in found) == [("1", 200), ("2", 100)]
    send(backend, "m", tmp_path / "labels.csv", frame[["id", "late"]])
    assert sorted((window.model_version, window.labelled) for window in windows(backend, "m")) == [
        ("1", 200),
        ("2", 100),
    ]
    backend.close()


def test_unusable_files_are_recorded_with_their_reason(backend: Backend, monitor: str, tmp_path: Path) -> None:
    frame = traffic(20, 1)
    cases = {
        "times.csv": (frame.assign(at="yesterday").to_csv(index=False), "can be read as a time"),
        "header.csv": ("id,at,weight\n", "no rows"),
        "odd.xlsx": ("x", "a batch is one of"),
        "twice.csv": ("weight,weight\n1,2\n", "more than once"),
        "noid.csv": (frame.drop(columns="id").to_csv(index=False), "no column 'id'"),
    }
    for name, (text, reason) in cases.items():
        (tmp_path / name).write_text(text)
        record = ingest_batch(backend, monitor, tmp_path / name)
        assert record.state == "failed", name
        assert reason in record.reason, record.reason
    assert windows(backend, monitor) == ()
    shown = monitor_view(backend, monitor)
    assert {batch.file for batch in shown.batches} == set(cases)
    assert shown.headline.startswith("Nothing counted yet")
    assert recent_batches(monitor_folder(backend, monitor))[0].file == "noid.csv"


def test_a_view_shows_the_worst_first_and_draws_both_distributions(
    backend: Backend, monitor: str, tmp_path: Path
) -> None:
    for day in range(1, 4):
        send(backend, monitor, tmp_path / f"{day}.csv", traffic(500, day, day=f"2024-03-0{day}", shift=1.5 * (day > 1)))
    view = monitor_view(backend, monitor)
    assert view.features[0].column == "weight"
    assert view.features[0].score.state is MonitorState.FIRING
    assert len(view.features[0].course) == 3
    assert "weight" in view.headline
    assert view.coverage == 1.0
    assert view.profile is not None
    assert view.newest is not None
    counts = unpack(view.newest.counts)
    for column in ("weight", "carrier", "prediction"):
        drawn = histogram(view.profile, counts, column, bars=20)
        for side in (0, 1):
            shares = (drawn.reference, drawn.current)[side]
            extra = [pair[side] for name, pair in drawn.special.items() if name != "other"]
            assert sum(shares) + sum(extra) == pytest.approx(1.0)
    middle = histogram(view.profile, counts, "weight", bars=20)

    def mean(shares: tuple[float, ...]) -> float:
        return float(np.average(middle.edges[:-1], weights=shares))

    assert mean(middle.current) - mean(middle.reference) == pytest.approx(1.5, abs=0.4)


def test_a_monitor_that_could_never_work_is_not_made(backend: Backend, tmp_path: Path) -> None:
    def make(name: str = "new", model: str = "deliveries", **options: Any) -> None:
        create_monitor(backend, name, model, mutation=WHO, **options)

    with pytest.raises(Invalid, match="letters, digits"):
        make("../up")
    with pytest.raises(NotFound):
        make(model="nobody")
    with pytest.raises(NotFound, match="has no alias"):
        make(alias="challenger")
    with pytest.raises(Invalid, match="no folder"):
        make(source=str(tmp_path / "nowhere"))
    with pytest.raises(Invalid, match="did you mean min_effect"):
        make(policy={"min_efect": 0.1})
    with pytest.raises(Invalid, match="never be reached"):
        make(policy={"k": 6})
    with pytest.raises(Invalid, match="window"):
        make(window="week")
    make()
    with pytest.raises(Conflict):
        make()
    delete_monitor(backend, "new", WHO)


def test_a_row_without_a_time_is_left_out_and_no_other_takes_its_values(
    backend: Backend, monitor: str, tmp_path: Path
) -> None:
    frame = traffic(40, 3)
    frame.loc[20:, "weight"] = 9.5
    frame.loc[20:, "carrier"] = "drone"
    send(backend, monitor, tmp_path / "rows.csv", frame.assign(at=frame["at"].mask(frame.index == 3, "soon")))
    (window,) = windows(backend, monitor)
    columns = {column.column: column for column in window.columns}
    assert window.rows == 39
    assert (columns["weight"].missing, columns["carrier"].missing) == (0, 0)
    assert columns["carrier"].new == pytest.approx(20 / 39)


def test_integer_ids_of_nineteen_digits_stay_apart(backend: Backend, monitor: str, tmp_path: Path) -> None:
    first = 1_733_000_000_000_000_001
    frame = traffic(30, 4).assign(id=range(first, first + 30))
    lines = frame.drop(columns="late").to_dict("records")
    del lines[0]["id"]  # a column with a gap is made of floats
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert ingest_batch(backend, monitor, tmp_path / "rows.jsonl").state == "stored"
    record = send(backend, monitor, tmp_path / "labels.csv", frame[["id", "late"]].iloc[10:12])
    assert record.labelled == 2


def test_a_waiting_label_fills_what_rows_with_a_label_column_leave_out(
    backend: Backend, monitor: str, tmp_path: Path
) -> None:
    frame = traffic(30, 6)
    send(backend, monitor, tmp_path / "early.csv", frame[["id", "late"]].iloc[:10])
    send(backend, monitor, tmp_path / "rows.csv", frame.assign(late=frame["late"].where(frame.index >= 5)))
    assert [window.labelled for window in windows(backend, monitor)] == [30]


def test_times_spelled_in_two_ways_share_a_file(backend: Backend, monitor: str, tmp_path: Path) -> None:
    frame = traffic(20, 7)
    seconds = pd.to_datetime(frame["at"]).map(lambda at: str(int(at.timestamp())))
    record = send(
        backend, monitor, tmp_path / "rows.csv", frame.assign(at=frame["at"].where(frame.index % 2 == 1, seconds))
    )
    assert (record.rows, record.windows) == (20, 1)
