"""Ranking: against scikit-learn and a plain count, by simulation, and through late labels to the row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score

from backends.contract import Backend, Invalid
from backends.entities import AlertState, Estimate, Window
from backends.local import open_local
from console.cli.main import main
from console.monitoring.alarms import measures
from console.monitoring.counted.counts import MIXED, add, empty, layout_of, pack, unpack
from console.monitoring.counted.ranked import count_ranked, query_of
from console.monitoring.create import create_monitor, set_rules
from console.monitoring.feeds.champion import load_champion, scores_of
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.quality.ranking import SUMS, TOP, add_ranked, measure_ranked
from console.monitoring.read import Look, monitor_view
from console.monitoring.reference import as_ranked_by
from console.tui.monitor_head import headline_lines
from console.tui.monitor_lines import batch_lines
from tests.monitored import FEATURES, WHO, register, traffic
from tests.unit.test_monitoring_metrics import binary_profile, covers


def drawn(queries: int, seed: int, *, sharp: float = 1.0, ties: bool = False) -> pd.DataFrame:
    """Rows of queries of 1 to 30 rows with grades 0 to 3, and scores that know something of them."""
    rng = np.random.default_rng(seed)
    query = np.repeat(np.arange(queries), rng.integers(1, 31, queries))
    grade = rng.choice([0, 0, 0, 1, 2, 3], len(query)).astype(float)
    score = sharp * grade + rng.normal(0, 1.5, len(query))
    return pd.DataFrame({"query": query, "grade": grade, "score": score.round(0) if ties else score})


def sums_of(rows: pd.DataFrame, top: int = TOP) -> tuple[float, ...]:
    return count_ranked(query_of(rows["query"], None), rows["score"].to_numpy(), rows["grade"].to_numpy(), top)


def plainly(rows: pd.DataFrame, top: int) -> dict[str, float]:
    """The same by a loop: what each metric says in words."""
    found: dict[str, list[float]] = {name: [] for name in ("map", "mrr", "hit_rate", "precision_at_k", "recall_at_k")}
    for _, part in rows.groupby("query"):
        right = (part.sort_values(["score", "grade"], ascending=[False, True])["grade"] > 0).tolist()
        places = [at for at, hit in enumerate(right) if hit]
        found["hit_rate"].append(any(right[:top]))
        found["precision_at_k"].append(sum(right[:top]) / min(top, len(right)))
        if places:
            found["mrr"].append(1 / (places[0] + 1))
            found["recall_at_k"].append(sum(right[:top]) / len(places))
            shares = [sum(right[: at + 1]) / (at + 1) for at in places if at < top]
            found["map"].append(sum(shares) / min(top, len(places)))
    return {name: float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize("top", [1, 3, TOP, 25])
@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_is_scikit_learns_and_the_others_what_they_say(ties: bool, top: int) -> None:
    rows = drawn(300, 1, ties=ties).sample(frac=1, random_state=0)
    found = measure_ranked(sums_of(rows, top))
    several = [part for _, part in rows.groupby("query") if (part["grade"] > 0).any()]
    expected = [
        ndcg_score([part["grade"]], [part["score"]], k=top) if len(part) > 1 else 1.0  # of one row it refuses to tell
        for part in several
    ]
    assert found["ndcg"].value == pytest.approx(np.mean(expected), abs=1e-12)
    assert found["ndcg"].n == len(several)
    for name, value in plainly(rows, top).items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name


def test_queries_without_all_their_labels_wait_and_sums_add_up() -> None:
    rows = drawn(200, 2)
    whole = sums_of(rows)
    halves = [sums_of(rows[rows["query"] % 2 == odd]) for odd in (0, 1)]
    assert add_ranked(*halves) == pytest.approx(whole, rel=1e-12)
    late = rows.copy()
    late.loc[late.groupby("query").head(1).index[:50], "grade"] = np.nan
    assert sums_of(late) == pytest.approx(sums_of(rows[rows["query"] >= 50]))
    assert sums_of(rows.assign(grade=np.nan)) == ()
    assert sums_of(rows.assign(query=None)) == ()
    nothing = measure_ranked(sums_of(rows.assign(grade=0.0)))
    assert set(nothing) == {"hit_rate", "precision_at_k"}
    assert nothing["hit_rate"].value == 0
    alike = measure_ranked(sums_of(rows.assign(score=1.0, grade=(rows.index % 7 == 0) * 1.0)))
    assert alike["mrr"].value < 0.2, "a model that says the same of all rows must not look good"


def test_a_query_with_a_row_that_no_label_can_find_is_not_ranked() -> None:
    named = query_of(pd.Series(["a", "a", "b", None]), pd.Series(["1", None, "3", "4"]))
    assert named.tolist() == [None, None, "b", None]


@pytest.mark.parametrize(("queries", "least"), [(40, 0.905), (200, 0.92)])
def test_intervals_hold_the_truth_as_often_as_they_say(queries: int, least: float) -> None:
    """95 %, less what chance does in 300 draws; of 40 queries a metric near 1 is too skewed for the whole of it."""

    def measured(count: int, seed: int) -> dict[str, Estimate]:
        rows = drawn(count, seed)
        return measure_ranked(count_ranked(*(rows[name].to_numpy() for name in ("query", "score", "grade"))))

    truth = {name: each.value for name, each in measured(100_000, 99).items()}
    hits = dict.fromkeys(truth, 0)
    for seed in range(300):
        found = measured(queries, seed)
        for name, value in truth.items():
            hits[name] += covers(found[name], value)
    assert all(least <= count / 300 <= 0.985 for count in hits.values()), hits


def test_sums_are_kept_with_the_counts_of_a_window() -> None:
    layout = layout_of(binary_profile())
    counts = empty(layout)
    assert unpack(pack(counts)).ranked == ()
    counts.ranked = sums_of(drawn(50, 3))
    assert len(counts.ranked) == len(SUMS)
    assert unpack(pack(counts)).ranked == counts.ranked
    assert add(counts, empty(layout)).ranked == counts.ranked
    assert add(counts, counts).ranked[0] == 2 * counts.ranked[0]


def test_windows_that_look_at_other_ranks_are_not_put_together_as_if_they_did_not() -> None:
    layout = layout_of(binary_profile())
    five, ten, none = empty(layout), empty(layout), empty(layout)
    five.ranked, five.top = sums_of(drawn(50, 3), 5), 5
    ten.ranked = sums_of(drawn(50, 4))
    assert (unpack(pack(five)).top, unpack(pack(ten)).top) == (5, TOP)
    assert add(five, five).top == 5
    assert add(add(five, none), none).top == add(none, five).top == 5
    mixed = add(five, ten)
    assert mixed.rows == five.rows + ten.rows
    assert (mixed.ranked, mixed.top) == ((), MIXED)
    assert unpack(pack(mixed)).top == MIXED
    assert add(mixed, ten).ranked == add(none, mixed).ranked == add(five, mixed).ranked == ()


# ---------------------------------------------------------------- through a monitor


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Path]]:
    home = tmp_path_factory.mktemp("search")
    backend = open_local(home)
    train, held = (traffic(1500, seed).drop(columns=["id", "at"]) for seed in (1, 2))
    register(
        backend, home / "made", "search", train.drop(columns="late"), train["late"].to_numpy(),
        held.drop(columns="late"), held["late"].to_numpy(), iterations=15,
    )  # fmt: skip
    yield backend, home
    backend.close()


def asked(rows: int, seed: int, day: str) -> pd.DataFrame:
    frame = traffic(rows, seed, day=day).sort_values("at", ignore_index=True)
    return frame.assign(query=[f"{day}-{at // 8}" for at in range(rows)], id=[f"{day}-{at}" for at in range(rows)])


def told(backend: Backend, name: str, frame: pd.DataFrame, top: int = TOP) -> dict[str, float]:
    """The truth of a frame by the model's own scores."""
    champion = load_champion(backend, backend.need("monitors").get(name))
    features = frame[[column.name for column in champion.meta.features]]
    gains = np.where(frame["late"].isna(), np.nan, (frame["late"] == "yes") * 1.0)
    found = measure_ranked(count_ranked(query_of(frame["query"], None), scores_of(champion, features), gains, top))
    return {key: each.value for key, each in found.items()}


def test_late_labels_are_ranked_as_if_they_had_come_with_the_rows(
    searched: tuple[Backend, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    backend, home = searched
    monitor = create_monitor(
        backend, "ranked", "search", mutation=WHO, time_column="at", label_column="late", id_column="id",
        group_column="query",
    )  # fmt: skip
    set_rules(
        backend,
        "ranked",
        '[[rule]]\nname = "order"\nmetric = "ndcg"\nbelow = 0.99\nk = 1\nn = 1\nmin_sample = 1\n',
        WHO,
    )
    champion = load_champion(backend, monitor)
    frame = asked(400, 5, "2024-03-01")
    early = frame.assign(late=frame["late"].where(frame.index % 3 > 0))
    steps = [
        early,
        frame.loc[frame.index % 3 == 0, ["id", "late"]].iloc[:70],
        frame.loc[frame.index % 3 == 0, ["id", "late"]].iloc[70:],
        # What was said wrong is put right.
        frame.loc[:9, ["id", "late"]].assign(late="yes"),
    ]
    now = early
    for number, step in enumerate(steps):
        file = home / f"step{number}.parquet"
        step.to_parquet(file)
        assert ingest_batch(backend, "ranked", file, champion=champion).state in ("stored", "labels")
        if number:
            now = now.set_index("id")
            now.loc[step["id"], "late"] = step["late"].to_numpy()
            now = now.reset_index()
        window = backend.need("monitors").windows("ranked")[-1]
        found = {key: each.value for key, each in window.performance.items() if key in told(backend, "ranked", now)}
        assert found == pytest.approx(told(backend, "ranked", now), abs=1e-9), number
    assert window.performance["ndcg"].n == now.groupby("query")["late"].agg(lambda part: (part == "yes").any()).sum()
    value = measures.value_of(window, "ndcg")
    assert value is not None
    assert value.low is not None
    assert "map" in measures.keys_of(window)
    assert any(alert.rule == "order" for alert in backend.need("monitors").alerts("ranked"))

    assert main(["--workspace", str(home), "--json", "monitor", "show", "ranked"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["monitor"]["group_column"] == "query"
    assert said["windows"][-1]["performance"]["mrr"]["value"] == pytest.approx(window.performance["mrr"].value)
    assert main(["--workspace", str(home), "monitor", "show", "ranked"]) == 0
    assert "NDCG@10" in capfd.readouterr().out


def test_a_worse_order_fires_as_a_worse_accuracy_does(searched: tuple[Backend, Path]) -> None:
    """Held against the queries that training held out whole; by the default rules, which know that it ranks."""
    backend, home = searched
    train, held = traffic(1500, 1), asked(4000, 2, "2024-02-01")
    register(
        backend, home / "made", "lists", train[FEATURES], train["late"].to_numpy(), held[FEATURES],
        held["late"].to_numpy(), iterations=15, held_queries=held["query"],
    )  # fmt: skip
    columns = {"time_column": "at", "label_column": "late", "id_column": "id"}
    monitor = create_monitor(backend, "lists", "lists", mutation=WHO, group_column="query", **columns)
    champion = load_champion(backend, monitor)
    assert champion.profile.query == "query"
    assert champion.profile.ranking == pytest.approx(told(backend, "lists", held), abs=1e-12)
    short = as_ranked_by(champion.profile, msgspec.structs.replace(monitor, top=3))
    assert short.ranking == pytest.approx(told(backend, "lists", held, 3), abs=1e-12)
    odd = as_ranked_by(champion.profile, msgspec.structs.replace(monitor, top=4))
    assert odd.ranking == {"mrr": champion.profile.ranking["mrr"]}, "what looks at all ranks holds for any"

    store, order = backend.need("monitors"), "ranking"

    def day(number: int, *, broken: bool) -> Window:
        frame = asked(800, 100 + number, f"2024-03-{number:02d}")
        if broken:
            frame["late"] = frame["late"].sample(frac=1, random_state=number).to_numpy()
        frame.to_parquet(home / f"list{number}.parquet")
        assert ingest_batch(backend, "lists", home / f"list{number}.parquet", champion=champion).state == "stored"
        return store.windows("lists")[-1]

    for number in range(1, 6):
        window = day(number, broken=False)
    assert window.reference["ndcg"] == champion.profile.ranking["ndcg"]
    assert not [alert for alert in store.alerts("lists") if alert.rule == order]
    for number in range(6, 9):
        day(number, broken=True)
    (alert,) = (alert for alert in store.alerts("lists") if alert.rule == order)
    assert alert.state is AlertState.FIRING
    assert "NDCG@10" in alert.text

    create_monitor(backend, "others", "lists", mutation=WHO, group_column="session", **columns)
    rule = '[[rule]]\nname = "order"\nmetric = "mrr"\nworse_by = 0.05\n'
    with pytest.raises(Invalid, match="none within 'session': train it with"):
        set_rules(backend, "others", rule, WHO)
    create_monitor(backend, "plain", "lists", mutation=WHO, **columns)
    with pytest.raises(Invalid, match="plain ranks nothing"):
        set_rules(backend, "plain", rule, WHO)
    set_rules(backend, "lists", rule, WHO)


def test_a_monitor_ranks_by_its_own_k_before_and_after_late_labels(
    searched: tuple[Backend, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    backend, home = searched
    command = "monitor create short --model search --time at --label late --id id --group query --top 3"
    assert main(["--workspace", str(home), *command.split()]) == 0
    capfd.readouterr()
    rule = '[[rule]]\nname = "order"\nmetric = "ndcg"\nbelow = 0.999\nk = 1\nn = 1\nmin_sample = 1\n'
    set_rules(backend, "short", rule, WHO)
    champion = load_champion(backend, backend.need("monitors").get("short"))
    frame = asked(400, 5, "2024-03-01")
    early = frame.assign(late=frame["late"].where(frame.index % 3 > 0))
    for number, step in enumerate((early, frame.loc[frame.index % 3 == 0, ["id", "late"]])):
        file = home / f"short{number}.parquet"
        step.to_parquet(file)
        assert ingest_batch(backend, "short", file, champion=champion).state in ("stored", "labels")
    (window,) = backend.need("monitors").windows("short")
    truth = told(backend, "short", frame, 3)
    found = {key: each.value for key, each in window.performance.items() if key in truth}
    assert found == pytest.approx(truth, abs=1e-9)
    assert truth["ndcg"] != pytest.approx(told(backend, "short", frame)["ndcg"], abs=1e-3)
    assert unpack(window.counts).top == 3
    assert any("NDCG@3" in alert.text for alert in backend.need("monitors").alerts("short"))
    assert main(["--workspace", str(home), "monitor", "show", "short"]) == 0
    said = capfd.readouterr().out
    assert "precision@3" in said
    assert "the first 3 of each query" in said


def test_k_comes_from_the_configuration_where_nobody_says_another(searched: tuple[Backend, Path]) -> None:
    backend, _ = searched
    more = {"mutation": WHO, "policy": {"top": 7, "k": 2}}
    assert create_monitor(backend, "config", "search", group_column="query", **more).top == 7
    made = create_monitor(backend, "said", "search", group_column="query", top=5, **more)
    assert (made.top, made.policy) == (5, {"k": 2})
    assert create_monitor(backend, "unranked", "search", **more).top == TOP
    for top in (0, 1001):
        with pytest.raises(Invalid, match="from 1 to 1000"):
            create_monitor(backend, "odd", "search", mutation=WHO, group_column="query", top=top)
    with pytest.raises(Invalid, match="nothing is ranked"):
        create_monitor(backend, "odd", "search", mutation=WHO, top=5)


def test_a_group_column_that_is_not_there_is_said(searched: tuple[Backend, Path]) -> None:
    backend, home = searched
    with pytest.raises(Invalid, match="have in common"):
        create_monitor(backend, "odd", "search", mutation=WHO, id_column="id", group_column="id")
    create_monitor(backend, "absent", "search", mutation=WHO, label_column="late", group_column="session")
    asked(60, 6, "2024-03-02").to_parquet(home / "absent.parquet")
    record = ingest_batch(backend, "absent", home / "absent.parquet")
    assert record.state == "stored"
    assert "group column 'session' is not there" in record.reason
    assert "ndcg" not in backend.need("monitors").windows("absent")[-1].performance


def test_a_stretch_with_rankings_at_different_k_says_so_and_each_window_keeps_its_own(
    searched: tuple[Backend, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    backend, home = searched
    columns = {"time_column": "at", "label_column": "late", "id_column": "id", "group_column": "query"}
    store = backend.need("monitors")
    create_monitor(backend, "changed", "search", mutation=WHO, top=3, **columns)
    files = []
    for day, top in (("2024-03-05", 3), ("2024-03-06", 5)):
        monitor = store.put(msgspec.structs.replace(store.get("changed"), top=top), WHO)
        frame = asked(400, top, day)
        files.append(home / f"changed-{day}.parquet")
        frame.to_parquet(files[-1])
        ingest_batch(backend, "changed", files[-1], champion=load_champion(backend, monitor))
    words = "ranking at different k: no common figure"

    def shown(*more: str) -> str:
        assert main(["--workspace", str(home), "monitor", "show", "changed", *more]) == 0
        return capfd.readouterr().out

    capfd.readouterr()
    mixed = shown("--by", "week")
    assert words in mixed
    assert "precision@" not in mixed
    assert "precision@5" in shown()
    first = shown("--at", "2024-03-05T23:00")
    assert "precision@3" in first
    assert words not in first
    view = monitor_view(backend, "changed", look=Look(stretch="week"))
    for lines in (headline_lines(view, 120, low=False), batch_lines(view, 80)):
        assert any(words in "".join(text for text, *_ in line.spans) for line in lines)

    late = asked(400, 3, "2024-03-05")[["id", "late"]].iloc[:8]
    late.assign(late=late["late"].map({"yes": "no", "no": "yes"})).to_parquet(home / "changed-late.parquet")
    ingest_batch(
        backend, "changed", home / "changed-late.parquet", champion=load_champion(backend, store.get("changed"))
    )
    assert words in shown("--at", "2024-03-05T23:00"), "corrected at another k than it was counted at"
