"""How long a monitor keeps what, as a person says it. Light: the configuration reads it.

`Monitor.keep` and `[contexts.NAME.retention.monitors]` have the same words, each a time such as `2 d` or `3 y`, or
`always`:

    minutes = "2 d"     # windows of a minute (or of a batch); older ones are merged into their hour
    hours   = "90 d"    # windows of an hour; older ones (and batches) are merged into their day
    days    = "10 y"    # windows of a day; older ones go for good, and only they
    scored  = "90 d"    # scored rows by id, which late labels are put to
    samples = "30 d"    # sampled rows, for examples and slices
    ids     = "90 d"    # by what a file is known, so that the same content counts no second time

Merging loses no row: the counts of an hour are those of its minutes. An age counts back from the newest window (or from
today, where that lies ahead), so that a history that was handed in is kept as if it had been watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from backends.contract import Invalid
from backends.entities import Millis
from console.retention.spans import span_words, time_span

ALWAYS: Final = "always"
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
LEAST: Final[dict[str, Millis]] = {
    "minutes": 2 * HOUR, "hours": 2 * DAY, "days": 30 * DAY, "scored": DAY, "samples": HOUR, "ids": DAY,
}  # fmt: skip
"""Less is not taken: alerts look at the newest windows, and days need hours to be made of."""


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is kept, in ms; None for always."""

    minutes: Millis | None = 2 * DAY
    hours: Millis | None = 90 * DAY
    days: Millis | None = 3650 * DAY
    scored: Millis | None = 90 * DAY
    samples: Millis | None = 30 * DAY
    ids: Millis | None = 90 * DAY

    def words(self) -> str:
        """`minutes 2 d, hours 90 d, …`"""
        return ", ".join(f"{name} {said(getattr(self, name))}" for name in self.__struct_fields__)


NAMES: Final = Keep.__struct_fields__


def said(span: Millis | None) -> str:
    """One of them, as it is written."""
    return ALWAYS if span is None else span_words(span)


def read_keep(*tables: Mapping[str, str]) -> Keep:
    """What tables say, later ones over earlier ones and all over the defaults. Invalid names the key."""
    found: dict[str, Millis | None] = {}
    for table in tables:
        for name, text in table.items():
            if name not in LEAST:
                raise Invalid(f"{name[:40]!r} is nothing that a monitor keeps; there are: {', '.join(NAMES)}", name)
            if text.strip() == ALWAYS:
                found[name] = None
                continue
            span = time_span(text, name)
            if span < LEAST[name]:
                raise Invalid(
                    f"{name} = {text[:40]!r}: less than {span_words(LEAST[name])} is not taken; give more, or {ALWAYS}",
                    name,
                )
            found[name] = span
    keep = Keep(**found)
    for shorter, longer in (("minutes", "hours"), ("hours", "days")):
        first, second = getattr(keep, shorter), getattr(keep, longer)
        if second is not None and (first is None or first > second):
            raise Invalid(
                f"{shorter} = {said(first)} and {longer} = {said(second)}: keep {longer} as long as {shorter} at least",
                longer,
            )
    return keep
