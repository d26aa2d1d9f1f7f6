"""What a transform answers. Light: the screen and the command line read it."""

from __future__ import annotations

from typing import Any

from backends.entities import Column, DatasetVersion, Definition, Record


class StepReport(Record, frozen=True, kw_only=True):
    """What became of one step."""

    number: int
    do: str
    learned: str = ""
    """In a line for people; empty where it learns nothing."""
    rows_in: int = 0
    rows_out: int = 0
    added: tuple[str, ...] = ()
    """Columns that are there after it and were not before."""
    removed: tuple[str, ...] = ()


class MadePart(Record, frozen=True, kw_only=True):
    part: str
    """Of the split; empty where there is none."""
    version: DatasetVersion
    created: bool
    """False: a version with this very content was there already."""


class Transformed(Record, frozen=True, kw_only=True):
    """The fitted transform, and the versions that it made."""

    definition: Definition
    parts: tuple[MadePart, ...]
    steps: tuple[StepReport, ...]
    notes: tuple[str, ...] = ()
    """What a person should know: columns that later data lacks."""


class PreviewPart(Record, frozen=True, kw_only=True):
    part: str
    rows: int
    """Of the sample, in this part."""
    first: tuple[tuple[Any, ...], ...]
    """Its first rows, as plain values in the order of the columns."""


class Preview(Record, frozen=True, kw_only=True):
    """What the steps do to a sample; nothing was kept."""

    ref: str
    name: str
    sample: int
    """Rows that were looked at, and learned from where the transform was not fitted before."""
    total: int
    before: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    """The first rows as they are, in the order of `before`."""
    after: tuple[Column, ...]
    parts: tuple[PreviewPart, ...]
    steps: tuple[StepReport, ...]
    notes: tuple[str, ...] = ()
