"""When a schedule is due: cron's five fields, `@daily` and its kin, and plain words, in a time zone.

    0 3 * * *          minute hour day-of-month month day-of-week
    */15 8-18 * * mon-fri
    @hourly @daily @weekly @monthly @yearly
    every day at 03:00
    every monday at 7:30, weekdays at 18:00, every 15 minutes, every hour, every month on 1 at 04:00

As in cron, a day fits when day-of-month or day-of-week does where both are given, and both must where one is `*`.
When clocks go forward, a time that does not exist is due at the first moment after the gap; when they go back, a time
that comes twice is due the first time alone. A schedule that names every hour follows the hours that really pass.
Source: POSIX crontab; Vixie cron's handling of daylight saving.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backends.contract import Invalid
from backends.entities import Millis, Record

MINUTE: Final = 60_000
YEARS: Final = 29
"""So far it is looked ahead: 29 February on one weekday comes at most 28 years apart within a century."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WORDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLES: Final = "0 3 * * *, @daily, every day at 03:00, weekdays at 18:30, every 15 minutes"


class Schedule(Record, frozen=True, kw_only=True):
    """The minutes at which something is due."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    """Of the month."""
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Sunday."""
    any_day: bool
    """The day of the month is `*`."""
    any_weekday: bool

    def fits(self, day: date) -> bool:
        """Whether it is due on this day at all."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return of_month and of_week if self.any_day or self.any_weekday else of_month or of_week

    @property
    def floating(self) -> bool:
        """It goes by hours that pass, not by the clock on the wall."""
        return len(self.hours) == 24


def parse(text: str) -> Schedule:
    """The schedule in these words. Invalid says which part is wrong, and what may stand there."""
    words = " ".join(text.strip().lower().split())
    if not words:
        raise Invalid(f"a schedule is empty; wanted such as {_EXAMPLES}.", "schedule")
    fields = _WORDS.get(words) or _plain(words) or words
    parts = fields.split(" ")
    if words.startswith("@") and words not in _WORDS:
        raise Invalid(f"schedule {text!r}: known are {', '.join(_WORDS)}.", "schedule")
    if len(parts) != 5:
        raise Invalid(
            f"schedule {text!r} is neither five fields (minute hour day month weekday) nor known words; wanted such as "
            f"{_EXAMPLES}.",
            "schedule",
        )
    minute, hour, day, month, weekday = parts
    weekdays = _field(text, "weekday", weekday, 0, 7, _DAYS)
    found = Schedule(
        text=text.strip(),
        minutes=_field(text, "minute", minute, 0, 59),
        hours=_field(text, "hour", hour, 0, 23),
        days=_field(text, "day", day, 1, 31),
        months=_field(text, "month", month, 1, 12, _MONTHS),
        weekdays=tuple(sorted({each % 7 for each in weekdays})),
        any_day=day.startswith("*"),
        any_weekday=weekday.startswith("*"),
    )
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    if found.any_weekday and all(found.days[0] > longest.get(each, 31) for each in found.months):
        raise Invalid(f"schedule {text!r}: no such day ever comes; nothing would be done.", "schedule")
    return found


def zone(name: str) -> ZoneInfo:
    """The time zone of this name."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"time zone {name!r} is not known here; wanted a name such as Europe/Berlin or UTC.", "timezone"
        ) from None


def next_after(schedule: Schedule, where: ZoneInfo, after: Millis) -> Millis:
    """The first time after `after` (ms) at which it is due, in ms."""
    if schedule.floating:
        return _next_floating(schedule, where, after)
    local = datetime.fromtimestamp(after / 1000, UTC).astimezone(where)
    day, last = local.date(), local.date().replace(day=1) + timedelta(days=366 * YEARS)
    # A day before: around a change of the clocks, a time of the day before may fall after this moment.
    day -= timedelta(days=1)
    while day <= last:
        if schedule.fits(day):
            due = [
                at
                for hour in schedule.hours
                for minute in schedule.minutes
                if (at := _instant(day, hour, minute, where)) > after
            ]
            if due:
                return min(due)
        day += timedelta(days=1)
    raise Invalid(f"schedule {schedule.text!r}: no such day comes within {YEARS} years.", "schedule")


def next_times(schedule: Schedule, where: ZoneInfo, after: Millis, count: int = 3) -> list[Millis]:
    """The next times at which it is due."""
    found: list[Millis] = []
    for _ in range(count):
        after = next_after(schedule, where, after)
        found.append(after)
    return found


def _next_floating(schedule: Schedule, where: ZoneInfo, after: Millis) -> Millis:
    """Minute for minute of the time that passes, a day at once where the day does not fit."""
    moment = datetime.fromtimestamp((after // MINUTE + 1) * 60, UTC)
    end = moment + timedelta(days=366 * YEARS)
    while moment < end:
        local = moment.astimezone(where)
        if not schedule.fits(local.date()):
            following = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), where)
            moment = max(following.astimezone(UTC), moment + timedelta(minutes=1))
            continue
        if local.minute in schedule.minutes:
            return int(moment.timestamp()) * 1000
        later = [each for each in schedule.minutes if each > local.minute]
        step = (later[0] if later else 60) - local.minute
        moment += timedelta(minutes=step)
    raise Invalid(f"schedule {schedule.text!r}: no such day comes within {YEARS} years.", "schedule")


def _instant(day: date, hour: int, minute: int, where: ZoneInfo) -> Millis:
    """When the clocks there show this time: the first of two, and where they skip it the first moment after."""
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=where)  # fold 0: the first of two
    there = wall.astimezone(UTC)
    if there.astimezone(where).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return int(there.timestamp()) * 1000
    # In the gap: fold 0 reads it with the offset from before, fold 1 with the one after; between them lies the jump.
    low, high = wall.replace(fold=1).astimezone(UTC), there
    before = low.astimezone(where).utcoffset()
    while high - low > timedelta(minutes=1):
        middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
        if middle.astimezone(where).utcoffset() == before:
            low = middle
        else:
            high = middle
    return int(high.timestamp()) * 1000


def _field(text: str, name: str, field: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        spread, slash, step_text = part.partition("/")
        if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text) > 0):
            raise _wrong(text, name, part, low, high)
        step = int(step_text) if slash else 1
        first, dash, last = spread.partition("-")
        if spread == "*":
            begin, end = low, 6 if name == "weekday" else high
        else:
            begin = _number(text, name, first, low, high, names)
            end = _number(text, name, last, low, high, names) if dash else (high if slash else begin)
        if end < begin:
            raise Invalid(f"schedule {text!r}: {name} {part!r} runs backwards; write it as two parts.", "schedule")
        found |= set(range(begin, end + 1, step))
    return tuple(sorted(found))


def _number(text: str, name: str, word: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if word[:3] in names and len(word) >= 3 and word.isalpha():
        return names.index(word[:3]) + (1 if name == "month" else 0)
    if word.isascii() and word.isdigit() and low <= int(word) <= high:
        return int(word)
    raise _wrong(text, name, word, low, high)


def _wrong(text: str, name: str, part: str, low: int, high: int) -> Invalid:
    return Invalid(
        f"schedule {text!r}: {name} {part!r} is not from {low} to {high}, nor a list, range or step of such.",
        "schedule",
    )


_AT: Final = r"(?: at (?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?)?"
_DAY_NAMES: Final = {
    "sunday": "0", "monday": "1", "tuesday": "2", "wednesday": "3", "thursday": "4", "friday": "5", "saturday": "6",
}  # fmt: skip


def _plain(words: str) -> str:
    """Five fields for plain words; empty where they are none."""
    if found := re.fullmatch(r"every (?:(?P<n>\d{1,2}) )?minutes?", words):
        return "* * * * *" if not found["n"] else f"*/{_even(words, int(found['n']), 60, 'minutes')} * * * *"
    if found := re.fullmatch(r"every (?:(?P<n>\d{1,2}) )?hours?", words):
        return "0 * * * *" if not found["n"] else f"0 */{_even(words, int(found['n']), 24, 'hours')} * * *"
    if words in ("hourly", "daily", "weekly", "monthly", "yearly"):
        return _WORDS[f"@{words}"]
    if found := re.fullmatch(rf"(?:every )?(?P<days>.+?){_AT}", words):
        days, hour, minute = found["days"], int(found["hour"] or 0), int(found["minute"] or 0)
        at = f"{minute} {hour}"
        if days in ("day", "night", "daily"):
            return f"{at} * * *"
        if days in ("weekday", "weekdays"):
            return f"{at} * * 1-5"
        if days in ("weekend", "weekends"):
            return f"{at} * * 0,6"
        if monthly := re.fullmatch(r"month(?: on(?: the)? (\d{1,2})(?:st|nd|rd|th)?)?", days):
            return f"{at} {monthly[1] or 1} * *"
        named = [each for each in re.split(r",\s*|\s+and\s+|\s+", days) if each]
        if all(each.removesuffix("s") in _DAY_NAMES for each in named):
            return f"{at} * * {','.join(_DAY_NAMES[each.removesuffix('s')] for each in named)}"
    return ""


def _even(words: str, every: int, whole: int, unit: str) -> int:
    if every < 1 or whole % every:
        good = ", ".join(str(each) for each in range(1, whole) if whole % each == 0)
        raise Invalid(
            f"schedule {words!r}: {every} {unit} do not divide {'an hour' if whole == 60 else 'a day'} evenly; "
            f"possible are {good}.",
            "schedule",
        )
    return every
