"""Schedules: fields and words, checked against known dates, both changes of the clocks, and a walk minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Invalid
from console.triggers.cron import next_after, next_times, parse, zone

BERLIN, NEW_YORK, LORD_HOWE, UTC_ = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def iso(at: int, where: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(where).isoformat(timespec="minutes")


def due(words: str, where: ZoneInfo, after: str, count: int = 1) -> list[str]:
    return [iso(at, where) for at in next_times(parse(words), where, ms(after), count)]


@pytest.mark.parametrize(
    ("words", "after", "first"),
    [
        ("0 3 * * *", "2026-11-28T04:00+00:00", "2026-11-29T03:00+00:00"),
        ("0 3 * * *", "2026-11-28T03:00+00:00", "2026-11-29T03:00+00:00"),
        ("0 3 * * *", "2026-11-28T02:59+00:00", "2026-11-28T03:00+00:00"),
        ("@hourly", "2026-11-28T23:30+00:00", "2026-11-29T00:00+00:00"),
        ("@daily", "2026-12-31T12:00+00:00", "2027-01-01T00:00+00:00"),
        ("@weekly", "2026-11-28T12:00+00:00", "2026-11-29T00:00+00:00"),  # a Sunday
        ("@monthly", "2026-11-28T12:00+00:00", "2026-12-01T00:00+00:00"),
        ("@yearly", "2026-11-28T12:00+00:00", "2027-01-01T00:00+00:00"),
        ("*/15 8-18 * * mon-fri", "2026-11-27T18:45+00:00", "2026-11-30T08:00+00:00"),
        ("5/20 * * * *", "2026-11-28T10:06+00:00", "2026-11-28T10:25+00:00"),
        ("0 0 29 2 *", "2026-11-28T10:00+00:00", "2028-02-29T00:00+00:00"),
        ("0 0 13 * fri", "2026-11-07T00:00+00:00", "2026-11-13T00:00+00:00"),  # either, as in cron
        ("0 0 13 * fri", "2026-11-13T00:00+00:00", "2026-11-20T00:00+00:00"),
        ("30 4 1,15 jan,jul *", "2026-11-28T10:00+00:00", "2027-01-01T04:30+00:00"),
        ("0 12 * * 7", "2026-11-28T10:00+00:00", "2026-11-29T12:00+00:00"),
        ("every day at 03:00", "2026-11-28T04:00+00:00", "2026-11-29T03:00+00:00"),
        ("every monday at 7:30", "2026-11-28T04:00+00:00", "2026-11-30T07:30+00:00"),
        ("weekdays at 18:00", "2026-11-27T18:00+00:00", "2026-11-30T18:00+00:00"),
        ("weekends at 9", "2026-11-27T18:00+00:00", "2026-11-28T09:00+00:00"),
        ("every tuesday and thursday at 06:15", "2026-11-28T04:00+00:00", "2026-12-01T06:15+00:00"),
        ("every 15 minutes", "2026-11-28T04:01+00:00", "2026-11-28T04:15+00:00"),
        ("every 6 hours", "2026-11-28T04:01+00:00", "2026-11-28T06:00+00:00"),
        ("every hour", "2026-11-28T04:01+00:00", "2026-11-28T05:00+00:00"),
        ("every month on the 3rd at 04:00", "2026-11-28T04:01+00:00", "2026-12-03T04:00+00:00"),
    ],
)
def test_the_next_time_is_that_of_the_calendar(words: str, after: str, first: str) -> None:
    assert due(words, UTC_, after) == [first]


def test_a_time_that_the_clocks_skip_is_due_right_after_the_gap() -> None:
    assert due("30 2 * * *", BERLIN, "2026-03-28T03:00+01:00", 3) == [
        "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00", "2026-03-31T02:30+02:00",
    ]  # fmt: skip
    assert due("0 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", 2) == [
        "2026-03-08T03:00-04:00", "2026-03-09T02:00-04:00",
    ]  # fmt: skip
    assert due("10 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30") == ["2026-10-04T02:30+11:00"]  # half an hour


def test_a_time_that_comes_twice_is_due_the_first_time_alone() -> None:
    assert due("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", 2) == [
        "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00",
    ]  # fmt: skip
    # Asked between the two, and within the second: not once more that day.
    assert due("30 2 * * *", BERLIN, "2026-10-25T02:45+02:00") == ["2026-10-26T02:30+01:00"]
    assert due("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00") == ["2026-10-26T02:30+01:00"]
    assert due("30 1 * * *", NEW_YORK, "2026-10-31T12:00-04:00", 2) == [
        "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00",
    ]  # fmt: skip


def test_what_goes_by_hours_or_minutes_follows_the_time_that_passes() -> None:
    assert due("@hourly", BERLIN, "2026-10-25T01:30+02:00", 3) == [
        "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00",
    ]  # fmt: skip
    assert due("@hourly", BERLIN, "2026-03-29T01:30+01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]
    passed = next_times(parse("every 15 minutes"), BERLIN, ms("2026-10-24T22:00+02:00"), 40)
    assert {later - earlier for earlier, later in pairwise(passed)} == {900_000}


def test_the_same_words_mean_another_moment_in_another_zone() -> None:
    schedule = parse("every day at 03:00")
    after = ms("2026-07-01T00:00+00:00")
    assert next_after(schedule, BERLIN, after) == ms("2026-07-01T01:00+00:00")
    assert next_after(schedule, NEW_YORK, after) == ms("2026-07-01T07:00+00:00")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "is empty"),
        ("60 * * * *", "minute '60' is not from 0 to 59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "weekday '8'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("5-1 * * * *", "runs backwards"),
        ("0 0 31 feb *", "no such day ever comes"),
        ("0 0 30 2 *", "no such day ever comes"),
        ("@never", "known are @hourly"),
        ("now and then", "neither five fields"),
        ("every 7 minutes", "do not divide an hour evenly"),
        ("every 5 hours", "do not divide a day evenly"),
        ("every day at 25:00", "hour '25'"),
        ("every day at 10:75", "minute '75'"),
    ],
)
def test_what_is_no_schedule_is_told_with_what_is_wrong(words: str, said: str) -> None:
    with pytest.raises(Invalid) as told:
        parse(words)
    assert said in str(told.value)
    assert told.value.field == "schedule"


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(Invalid, match="Europe/Atlantis"):
        zone("Europe/Atlantis")
    assert zone("") is zone("UTC")


def part(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=1, max_size=4).map(lambda found: ",".join(map(str, found))),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
    )


@given(
    st.tuples(part(0, 59), part(0, 23), part(1, 28), st.just("*"), part(0, 6)).map(" ".join),
    st.integers(ms("2024-01-01T00:00+00:00") // 60_000, ms("2028-01-01T00:00+00:00") // 60_000),
)
def test_it_is_the_first_minute_that_fits(words: str, minute: int) -> None:
    schedule = parse(words)
    found = next_after(schedule, UTC_, minute * 60_000)
    assert found > minute * 60_000

    def fits(moment: datetime) -> bool:
        return moment.minute in schedule.minutes and moment.hour in schedule.hours and schedule.fits(moment.date())

    moment = datetime.fromtimestamp(minute * 60, UTC)
    assert fits(datetime.fromtimestamp(found / 1000, UTC))
    for ahead in range(1, min((found // 60_000) - minute, 4_000)):
        assert not fits(moment + timedelta(minutes=ahead))


@given(
    st.sampled_from(["30 2 * * *", "0 2 * * *", "59 1 * * *", "@hourly", "*/20 1-3 * * *", "15 */2 * * *"]),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]),
    st.integers(ms("2026-01-01T00:00+00:00"), ms("2027-01-01T00:00+00:00")),
)
def test_from_any_moment_the_times_are_the_same_and_go_forward(words: str, where: ZoneInfo, after: int) -> None:
    schedule = parse(words)
    first, second, third = next_times(schedule, where, after, 3)
    assert after < first < second < third
    assert next_after(schedule, where, first - 1) == first
    assert next_after(schedule, where, second - 60_000) == second
