"""Whether a record holds what its fields say: texts are texts, numbers numbers, times milliseconds."""

from __future__ import annotations

import time
from typing import Any, Final, get_type_hints

import msgspec

from backends.checks.finding import Wrong, shown

_BEGIN: Final = 946_684_800_000
"""2000-01-01."""
_DAY: Final = 86_400_000
_TIMES: Final = ("at", "created_at", "updated_at", "started_at", "ended_at", "deleted_at", "heard_at", "changed_at")


def check_record(record: Any, kind: type, name: str) -> None:
    """Wrong where a field holds something else than its type, or a time that is none."""
    if not isinstance(record, kind):
        raise Wrong(f"a {kind.__name__} for {name}", f"a {type(record).__name__}")
    try:
        again: Any = msgspec.convert(msgspec.to_builtins(record), kind)
    except (msgspec.ValidationError, TypeError) as error:
        raise Wrong(f"fields of a {kind.__name__} as they are declared for {name}", str(error)) from error
    for field in kind.__struct_fields__:  # type: ignore[attr-defined]
        here, declared = getattr(record, field), getattr(again, field)
        if type(here) is not type(declared) and not (type(here) is int and type(declared) is float):
            raise Wrong(f"a {type(declared).__name__} as {field} of {name}", f"{shown(here)}, a {type(here).__name__}")
    check_times(record, kind, name)


def check_times(record: Any, kind: type, name: str) -> None:
    """Wrong where a time is seconds, microseconds or nanoseconds since 1970. Others are what a client wrote."""
    latest = int(time.time() * 1000) + _DAY
    declared = get_type_hints(kind)
    for field in _TIMES:
        at = getattr(record, field, None) if field in declared else None
        if not at:  # None, or 0 for not known
            continue
        for unit, millis in (("seconds", at * 1_000), ("microseconds", at // 1_000), ("nanoseconds", at // 1_000_000)):
            if _BEGIN <= millis <= latest:
                raise Wrong(f"milliseconds since 1970 as {field} of {name}", f"{at}, which looks like {unit}")
