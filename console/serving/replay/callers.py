"""What callers send, held against what a version takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from console.serving.replay.figures import EMPTY, MISSING, REDACTED, REFUSES, TYPE, UNKNOWN, UNSEEN, Sent
from console.serving.rows import Shape, misfit

FEW: Final = 5
WIDE: Final = 40
MOST: Final = 200
"""Columns that are named: a hostile caller may send very many."""


def sent_columns(
    records: Sequence[Mapping[str, Any]],
    redacted: Sequence[frozenset[str]],
    shape: Shape,
    known: Mapping[str, frozenset[str]],
) -> tuple[Sent, ...]:
    """Everything that is not as the version wants it; refused ones first, then by rows.

    `redacted` are the columns that each record had and the log does not hold, `known` the texts of training by column.
    """
    found = [*_strangers(records, shape), *_features(records, redacted, shape, known)]
    found.sort(key=lambda each: (each.kind not in REFUSES, -each.rows, each.column))
    return tuple(found[:MOST])


def _strangers(records: Sequence[Mapping[str, Any]], shape: Shape) -> Iterator[Sent]:
    taken = set(shape.names)
    counts = Counter(name for record in records for name in record if name not in taken)
    for name, rows in counts.items():
        yield Sent(
            column=name, kind=UNKNOWN, rows=rows, note="a server refuses a row with a column that it does not take"
        )


def _features(
    records: Sequence[Mapping[str, Any]],
    redacted: Sequence[frozenset[str]],
    shape: Shape,
    known: Mapping[str, frozenset[str]],
) -> Iterator[Sent]:
    for column in shape.features:
        name, levels = column.name, known.get(column.name)
        absent = hidden = empty = 0
        wrong: Counter[str] = Counter()
        unseen: Counter[str] = Counter()
        for record, gone in zip(records, redacted, strict=True):
            if name not in record:
                hidden, absent = (hidden + 1, absent) if name in gone else (hidden, absent + 1)
                continue
            value = record[name]
            if value is None:
                empty += name in shape.required
            elif why := misfit(column, value):
                wrong[why] += 1
            elif levels is not None and isinstance(value, str) and value not in levels:
                unseen[value] += 1
        if absent:
            yield Sent(column=name, kind=MISSING, rows=absent, note="it is needed")
        if wrong:
            yield Sent(column=name, kind=TYPE, rows=wrong.total(), note=wrong.most_common(1)[0][0])
        if empty:
            yield Sent(column=name, kind=EMPTY, rows=empty, note="it has no answer where this is missing")
        if unseen:
            few = ", ".join(f"{_short(value)} ({rows})" for value, rows in unseen.most_common(FEW))
            more = f" and {len(unseen) - FEW} more" if len(unseen) > FEW else ""
            yield Sent(column=name, kind=UNSEEN, rows=unseen.total(), note=f"not in training: {few}{more}")
        if hidden:
            yield Sent(
                column=name, kind=REDACTED, rows=hidden, note="not in the log, so it is not known what they send"
            )


def _short(text: str) -> str:
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"


def known_texts(pipeline: Any, names: Sequence[str]) -> dict[str, frozenset[str]]:
    """By column the texts that the encoders of a trained pipeline saw in training; nothing where it has none."""
    from sklearn.compose import ColumnTransformer

    found: dict[str, frozenset[str]] = {}
    for _, step in getattr(pipeline, "steps", ()):
        if not isinstance(step, ColumnTransformer):
            continue
        for _, part, columns in getattr(step, "transformers_", ()):
            for encoder in [each for _, each in part.steps] if hasattr(part, "steps") else [part]:
                categories = getattr(encoder, "categories_", None)
                if categories is None or len(categories) != len(columns):
                    continue
                for name, levels in zip(columns, categories, strict=True):
                    if str(name) in names:
                        found[str(name)] = frozenset(each for each in levels if isinstance(each, str))
    return found
