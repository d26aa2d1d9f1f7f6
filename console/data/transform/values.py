"""Plain values, as JSON brings them, as an Arrow array of a known type."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from backends.contract import Invalid


def array_of(name: str, kind: Any, records: Collection[Mapping[str, Any]], what: str) -> Any:
    """Field `name` of each record; `what` takes them. Invalid names the field that lacks or does not fit."""
    try:
        values = [record[name] for record in records]
    except KeyError:
        raise Invalid(f"the record has no {name!r}, which {what} takes; null says that it is missing.", name) from None
    try:
        if pa.types.is_temporal(kind):
            values = [_moment(value, kind) if isinstance(value, str) else value for value in values]
        return pa.array([None if value != value else value for value in values], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError):
        raise Invalid(f"{name!r} is {str(values[0])[:80]!r}; {what} takes {kind}.", name) from None


def _moment(text: str, kind: Any) -> Any:
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    at = datetime.datetime.fromisoformat(text)
    if at.tzinfo is not None and kind.tz is None:
        at = at.astimezone(datetime.UTC).replace(tzinfo=None)
    elif at.tzinfo is None and kind.tz is not None:
        at = at.replace(tzinfo=datetime.UTC)
    return at
