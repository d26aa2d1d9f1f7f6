"""What `[contexts.NAME.retention]` of config.toml says. Light: the configuration reads it.

    [contexts.team.retention]
    keep_deleted   = "30 d"     # deleted runs can be restored for so long; then they go for good
    keep_artifacts = "180 d"    # files of runs that ended longer ago go; parameters, metrics and journal stay
    keep_logs      = "90 d"     # logs of runs that ended longer ago go
    max_size       = "50 GB"    # of the whole workspace: over it, files of the oldest runs go
    keep           = "tagged, best 3 by auc"   # besides what is never touched

    [contexts.team.retention.monitors]   # what monitors keep that say nothing else: console/retention/monitors.py
    minutes = "2 d"

A key that is not given sets no limit. Never touched are registered versions and what they stand on, runs with a note or
a `keep` tag, runs that have not ended, the best run of a sweep, and the journal.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from backends.contract import Invalid
from backends.entities import Millis
from console.retention.monitors import read_keep
from console.retention.spans import time_span

_SIZES: Final = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_TAGGED: Final = re.compile(r"tagged(?:\s+(\S+))?")
_BEST: Final = re.compile(r"best\s+(\d+)(?:\s+per\s+experiment)?(?:\s+by\s+(?:(lowest|highest)\s+)?(\S+))?")


class Best(msgspec.Struct, frozen=True):
    """The best runs of every experiment."""

    count: int
    metric: str = ""
    """Empty for what each run is judged by."""
    lowest: bool | None = None
    """None for what is known of the metric."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as numbers. None sets no limit."""

    deleted_ms: Millis | None = None
    artifacts_ms: Millis | None = None
    logs_ms: Millis | None = None
    data_ms: Millis | None = None
    max_bytes: int | None = None
    tagged: bool = False
    """Runs with any tag of a person's stay."""
    tags: tuple[str, ...] = ()
    """Runs with one of these tags stay."""
    best: tuple[Best, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything can go by it."""
        ages = (self.deleted_ms, self.artifacts_ms, self.logs_ms, self.data_ms, self.max_bytes)
        return any(each is not None for each in ages)


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table as it is written."""

    keep_deleted: str = ""
    keep_artifacts: str = ""
    keep_logs: str = ""
    max_size: str = ""
    keep: str = ""
    monitors: dict[str, str] = {}
    """As `Monitor.keep`, for monitors that do not say it themselves."""

    @property
    def cleans(self) -> bool:
        """Whether it is about runs and their files, and not about monitors alone."""
        return bool(self.words()) or not self.monitors

    def limits(self) -> Limits:
        """What it means; Invalid names the key that says nothing."""
        try:
            read_keep(self.monitors)
        except Invalid as error:
            raise Invalid(str(error), f"monitors.{error.field}") from error
        tagged, tags, best = _keep(self.keep)
        return Limits(
            deleted_ms=_span("keep_deleted", self.keep_deleted),
            artifacts_ms=_span("keep_artifacts", self.keep_artifacts),
            logs_ms=_span("keep_logs", self.keep_logs),
            max_bytes=byte_count(self.max_size, "max_size") if self.max_size else None,
            tagged=tagged,
            tags=tags,
            best=best,
        )

    def words(self) -> str:
        """`keep_deleted = 30 d, max_size = 50 GB`: for the journal and the screen; without what monitors keep."""
        said = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "monitors")
        return ", ".join(f"{name} = {value}" for name, value in said if value)


def byte_count(text: str, field: str) -> int:
    """`50 GB` or `500MB` in bytes; powers of ten, and of two for `GiB`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if found is None or found[2].upper() not in _SIZES:
        raise Invalid(f"{field} = {text[:60]!r}: a size such as 50 GB or 500 MB is wanted", field)
    return round(float(found[1]) * _SIZES[found[2].upper()])


def _span(field: str, text: str) -> Millis | None:
    return time_span(text, field) if text else None


def _keep(text: str) -> tuple[bool, tuple[str, ...], tuple[Best, ...]]:
    tagged, tags, best = False, [], []
    for clause in (part.strip() for part in text.split(",")):
        if clause in ("", "registered"):
            continue  # what is registered stays in any case
        if found := _TAGGED.fullmatch(clause):
            if found[1]:
                tags.append(found[1])
            else:
                tagged = True
        elif found := _BEST.fullmatch(clause):
            best.append(Best(int(found[1]), found[3] or "", None if found[2] is None else found[2] == "lowest"))
        else:
            raise Invalid(
                f"keep: {clause[:60]!r} is not known; there are: registered, tagged, tagged NAME, best N, "
                "best N by METRIC, best N by lowest METRIC",
                "keep",
            )
    return tagged, tuple(tags), tuple(best)
